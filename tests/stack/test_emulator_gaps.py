"""Where the emulator differs from AWS. A test that fails here says that a gap has been closed.

The code follows AWS's documentation and does not know these gaps. docs/architecture.md says what
each of them means on the local stack.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.packs import pack
from tests.stack.executions import execution_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.stack.api import Api


def test_the_class_of_an_error_does_not_reach_the_machine(
    operator: Api, aws: Callable[[str], Any]
) -> None:
    """AWS reports StepFailedError, so that `ErrorEquals: [ConflictError]` and others can match."""
    run_id = operator.run(pack("- {id: broken, run: {uses: builtin:fail, with: {message: no}}}"))
    operator.ended(run_id)

    execution = execution_of(run_id, aws)
    history = aws("stepfunctions").get_execution_history(executionArn=execution)["events"]

    errors = {details["error"] for event in history for details in _failures(event)}
    assert "Runtime.HandlerError" in errors
    assert "StepFailedError" not in errors


def test_the_class_of_an_executor_functions_error_does_not_reach_its_step(operator: Api) -> None:
    """AWS reports BadParametersError, and the step's message would begin with it."""
    run_id = operator.run(pack("- {id: it, run: {uses: 'lambda:change-window', with: {}}}"))

    (step,) = operator.ended(run_id)["steps"]

    assert "failed: Runtime.HandlerError: 'environment' is missing" in step["errorMessage"]


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


@contextmanager
def _stack(
    aws: Callable[[str], Any], template: dict[str, Any], **parameters: str
) -> Iterator[dict[str, str]]:
    """The name of a stack of *template*, which is deleted at the end."""
    cloudformation, name = aws("cloudformation"), {"StackName": "gap"}
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


def _failures(event: dict[str, Any]) -> list[dict[str, Any]]:
    names = ("taskFailedEventDetails", "lambdaFunctionFailedEventDetails")
    return [event[name] for name in names if "error" in event.get(name, {})]
