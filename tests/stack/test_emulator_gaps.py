"""The emulator's differences from AWS. A test that fails here says that a gap has been closed.

The code follows AWS's documentation and does not know these gaps. docs/architecture.md says what
each of them means on the local stack. The local stack closes other gaps, which
test_function_errors.py and test_throttles.py show.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.stack.api import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner_cli.local import Stack


_MOST_TRIES = 10


def test_an_api_of_a_stack_loses_the_any_methods_of_its_definition(
    aws: Callable[[str], Any],
) -> None:
    """AWS imports them; the local stack adds the template's own after the deployment."""
    methods = ("get", "x-amazon-apigateway-any-method")
    definition = _definition({method: {"responses": {}} for method in methods})
    api = {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": definition}}

    with _stack(aws, {"Resources": {"Api": api}}) as name:
        made = aws("cloudformation").describe_stack_resource(**name, LogicalResourceId="Api")
        api_id = made["StackResourceDetail"]["PhysicalResourceId"]
        resources = aws("apigateway").get_resources(restApiId=api_id)["items"]

    imported = {
        resource["path"]: set(resource.get("resourceMethods", {})) for resource in resources
    }
    assert imported["/a"] == {"GET"}


def test_cloudformation_ignores_reserved_concurrency(aws: Callable[[str], Any]) -> None:
    """AWS reserves it; the local stack reserves it after the deployment."""
    function = {
        "Runtime": "provided.al2023",
        "Handler": "app.handler",
        "Role": "arn:aws:iam::000000000000:role/any",
        "Code": {"ZipFile": "nothing"},
        "ReservedConcurrentExecutions": 3,
    }
    resource = {"Type": "AWS::Lambda::Function", "Properties": function}

    with _stack(aws, {"Resources": {"Function": resource}}) as name:
        made = aws("cloudformation").describe_stack_resource(**name, LogicalResourceId="Function")
        physical_id = made["StackResourceDetail"]["PhysicalResourceId"]
        reserved = aws("lambda").get_function_concurrency(FunctionName=physical_id)

    assert "ReservedConcurrentExecutions" not in reserved


def test_sams_transform_does_not_see_parameters(aws: Callable[[str], Any]) -> None:
    """On AWS it does. The local stack makes parameters defaults where the transform reads them."""
    properties = {
        "StageName": "live",
        "DefinitionBody": _definition({"get": {"responses": {}}}),
        "Auth": {"DefaultAuthorizer": {"Ref": "Authorization"}},
    }
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": {"Authorization": {"Type": "String", "Default": "NONE"}},
        "Resources": {"Api": {"Type": "AWS::Serverless::Api", "Properties": properties}},
    }

    with _stack(aws, template, Authorization="AWS_IAM") as name:
        processed = aws("cloudformation").get_template(**name, TemplateStage="Processed")

    assert "awsSigv4" not in json.dumps(processed["TemplateBody"])


def test_branches_of_a_parallel_share_the_state_of_the_context(
    aws: Callable[[str], Any], stack: Stack
) -> None:
    """On AWS each branch has its own `$$.State`, and `slow` reads its own name.

    On a slow machine the other branch may begin after `slow` has read it, so some executions begin.
    """
    states = aws("stepfunctions")
    deployed = states.describe_state_machine(stateMachineArn=stack.pack_run_machine_arn)
    slow = {"Type": "Wait", "Seconds": 1, "OutputPath": "$$.State.Name", "End": True}
    branches = [
        {"StartAt": "slow", "States": {"slow": slow}},
        {"StartAt": "other", "States": {"other": {"Type": "Pass", "End": True}}},
    ]
    lanes = {"Type": "Parallel", "Branches": branches, "End": True}
    machine = states.create_state_machine(
        name=f"gap-of-parallel-branches-{uuid4()}",
        definition=json.dumps({"StartAt": "lanes", "States": {"lanes": lanes}}),
        roleArn=deployed["roleArn"],
    )["stateMachineArn"]

    def read_by_slow() -> str:
        execution = states.start_execution(stateMachineArn=machine, input="{}")["executionArn"]

        def found() -> dict[str, Any]:
            description: dict[str, Any] = states.describe_execution(executionArn=execution)
            return description

        until(lambda: found()["status"] != "RUNNING", "the machine ends")
        return str(json.loads(found()["output"])[0])

    names = (read_by_slow() for _ in range(_MOST_TRIES))
    has_gap = any(name == "other" for name in names)
    states.delete_state_machine(stateMachineArn=machine)

    assert has_gap


@contextmanager
def _stack(
    aws: Callable[[str], Any], template: dict[str, Any], **parameters: str
) -> Iterator[dict[str, str]]:
    """The name of a stack of *template*, which is deleted at the end."""
    cloudformation, name = aws("cloudformation"), {"StackName": f"gap-{uuid4().hex[:8]}"}
    values = [{"ParameterKey": key, "ParameterValue": text} for key, text in parameters.items()]
    cloudformation.create_stack(
        **name,
        TemplateBody=json.dumps(template),
        Parameters=values,
        Capabilities=["CAPABILITY_AUTO_EXPAND"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(**name, WaiterConfig={"Delay": 1})
    yield name
    cloudformation.delete_stack(**name)
    cloudformation.get_waiter("stack_delete_complete").wait(**name, WaiterConfig={"Delay": 1})


def _definition(methods: dict[str, Any]) -> dict[str, Any]:
    return {"openapi": "3.0.1", "info": {"title": "a", "version": "1"}, "paths": {"/a": methods}}
