"""Deploys the template into the emulator with CloudFormation, as into an AWS account.

The template's parameters describe how the emulator differs from an account: its endpoint has no
TLS, and serves the keys of the user pool. The emulator's CloudFormation ignores an API's gateway
responses, its ANY methods and the headers of OPTIONS, and functions' reserved concurrency, so this
module adds them.
"""

import base64
import hashlib
import platform
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from taskrunner_cli.local.emulator import (
    ACCESS_KEY_ID,
    FUNCTION_CONCURRENCY,
    OTHER_CONCURRENCY,
    REGION,
    SECRET_ACCESS_KEY,
    Emulator,
)
from taskrunner_cli.local.errors import LocalStackError
from taskrunner_cli.local.packaging import LAYER, Store, package, source_files
from taskrunner_cli.local.workspace import Workspace, python_version

STACK_NAME = "taskrunner"
STAGE = "live"
_BUCKET: Final = "deployments"
_SOURCES = (
    "template.yaml",
    "functions",
    "examples/executors",
    LAYER,
    "statemachine",
    "cli/taskrunner_cli/local",  # it completes what the template says
)
_POLL: Final = {"Delay": 0.05, "MaxAttempts": 2400}  # every 50 ms, for two minutes at most


@contextmanager
def translated_errors(step: str) -> Iterator[None]:
    """Raise the errors of boto3 during a *step* of the deployment as errors of the local stack."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise LocalStackError(
            f"the emulator failed while {step}: {error}",
            cure="read .local/logs/emulator.log, and start over: make down up",
        ) from error


def client(service: str, endpoint_url: str) -> Any:  # noqa: ANN401 -- boto3 has no types
    """Return a boto3 client of *service* with the emulator's root credentials."""
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
    )


def digest(workspace: Workspace) -> str:
    """Return a digest of all files and settings that a deployment depends on."""
    result = hashlib.sha256(f"{python_version()} {architecture()}".encode())
    for source in _SOURCES:
        for path in source_files(workspace.root / source):
            result.update(f"\0{path.relative_to(workspace.root)}\0".encode())
            result.update(path.read_bytes())
    return result.hexdigest()


@translated_errors("deploying the stack")
def deploy(
    workspace: Workspace, emulator: Emulator, stack_name: str = STACK_NAME, **parameters: str
) -> dict[str, str]:
    """Deploy the template with *parameters* into *emulator*, and return the stack's outputs.

    Raises:
        LocalStackError: the deployment failed; the message has CloudFormation's reasons.

    """
    store = _store(emulator)
    template = package(workspace, parameters, store)
    _create_or_update(
        client("cloudformation", emulator.endpoint_url),
        StackName=stack_name,
        TemplateURL=f"{emulator.endpoint_url}/{store(template.encode()).removeprefix('s3://')}",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in local_parameters(emulator).items()
        ],
    )
    return complete(emulator, stack_name)


def local_parameters(emulator: Emulator) -> dict[str, str]:
    """Return the template's parameters that describe how the emulator differs from an account."""
    return {
        "Runtime": f"python{python_version()}",
        "Architecture": architecture(),
        "ApiConcurrency": str(FUNCTION_CONCURRENCY),
        "StepConcurrency": str(FUNCTION_CONCURRENCY),
        "WorkerConcurrency": str(FUNCTION_CONCURRENCY),
        "AwsEndpointUrl": emulator.endpoint_url,
        "BucketTlsOnly": "false",
        "ExampleExecutors": "true",
        "IdentityEndpoint": emulator.endpoint_url,
        "AllowedOrigin": "*",
    }


def complete(emulator: Emulator, stack_name: str) -> dict[str, str]:
    """Add what the emulator ignored in a deployed stack, and return the stack's outputs."""
    cloudformation = client("cloudformation", emulator.endpoint_url)
    stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    answer = cloudformation.get_template(StackName=stack_name, TemplateStage="Processed")
    template = answer["TemplateBody"]
    parameters = {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack["Parameters"]}
    _complete_the_api(
        emulator, template["Resources"]["Api"]["Properties"]["Body"], outputs["ApiId"], parameters
    )
    _reserve_concurrency(emulator, stack, template)
    return outputs


@translated_errors("reading the evidence key")
def public_key(emulator: Emulator, key_arn: str) -> str:
    """Return the public half of a KMS key in PEM, which is DER in lines of base64 (RFC 7468)."""
    der = client("kms", emulator.endpoint_url).get_public_key(KeyId=key_arn)["PublicKey"]
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


def _store(emulator: Emulator) -> Store:
    """Return a function that stores content in a bucket of the emulator, under its digest."""
    s3 = client("s3", emulator.endpoint_url)
    s3.create_bucket(Bucket=_BUCKET)  # in us-east-1, this succeeds if the bucket exists

    def store(content: bytes) -> str:
        key = hashlib.sha256(content).hexdigest()
        s3.put_object(Bucket=_BUCKET, Key=key, Body=content)
        return f"s3://{_BUCKET}/{key}"

    return store


def _create_or_update(cloudformation: Any, **stack: Any) -> None:  # noqa: ANN401
    """Create or update the stack, and wait until that is done."""
    name = stack["StackName"]
    existing = [
        entry
        for page in cloudformation.get_paginator("describe_stacks").paginate()
        for entry in page["Stacks"]
        if entry["StackName"] == name
    ]
    try:
        if existing:
            cloudformation.update_stack(**stack)
        else:
            cloudformation.create_stack(**stack)
        waiter = "stack_update_complete" if existing else "stack_create_complete"
        cloudformation.get_waiter(waiter).wait(StackName=name, WaiterConfig=_POLL)
    except ClientError as error:
        reason = error.response["Error"]["Message"]
        if reason != "No updates are to be performed.":
            raise _not_deployed(name, reason) from error
    except WaiterError as error:
        raise _not_deployed(name, _failures(cloudformation, name)) from error


def _not_deployed(name: str, reason: str) -> LocalStackError:
    return LocalStackError(
        f"the stack {name} cannot be deployed:\n{reason}",
        cure="correct the template, and start over: make down up",
    )


def _failures(cloudformation: Any, name: str) -> str:  # noqa: ANN401
    """Return the failed resources of a stack with the reasons, a line for each."""
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return "\n".join(
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in events
        if event["ResourceStatus"].endswith("FAILED")
    )


def _complete_the_api(
    emulator: Emulator, body: dict[str, Any], api_id: str, parameters: dict[str, str]
) -> None:
    """Add the API's gateway responses, ANY methods and headers, and deploy the API again."""
    gateway = client("apigateway", emulator.endpoint_url)
    for kind, response in body["x-amazon-apigateway-gateway-responses"].items():
        gateway.put_gateway_response(
            restApiId=api_id,
            responseType=kind,
            responseTemplates=response["responseTemplates"],
            responseParameters=_headers(response.get("responseParameters", {}), parameters),
            **({"statusCode": str(response["statusCode"])} if "statusCode" in response else {}),
        )
    _put_any_methods(gateway, api_id, body["paths"])
    _put_answers_of_options(gateway, api_id, body["paths"], parameters)
    variables = gateway.get_stage(restApiId=api_id, stageName=STAGE).get("variables", {})
    gateway.create_deployment(restApiId=api_id, stageName=STAGE, variables=variables)


def _headers(mappings: dict[str, Any], parameters: dict[str, str]) -> dict[str, str]:
    """Return a response's headers; the template has a function for the allowed origin only."""
    origin = parameters["AllowedOrigin"]
    every = {
        name: f"'{origin}'" if isinstance(value, dict) else value
        for name, value in mappings.items()
    }
    return {name: value for name, value in every.items() if value != "''"}


def _reserve_concurrency(emulator: Emulator, stack: dict[str, Any], template: Any) -> None:  # noqa: ANN401
    """Reserve each function's concurrency, and less for those that need less."""
    parameters = {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack["Parameters"]}
    cloudformation = client("cloudformation", emulator.endpoint_url)
    functions = client("lambda", emulator.endpoint_url)
    for logical_id, resource in template["Resources"].items():
        reserved = OTHER_CONCURRENCY.get(logical_id, 0)
        match resource.get("Properties", {}).get("ReservedConcurrentExecutions"):
            case {"Fn::If": [_, {"Ref": parameter}, _]}:
                reserved = reserved or int(parameters[parameter])
        if reserved:
            function = cloudformation.describe_stack_resource(
                StackName=stack["StackName"], LogicalResourceId=logical_id
            )["StackResourceDetail"]
            functions.put_function_concurrency(
                FunctionName=function["PhysicalResourceId"], ReservedConcurrentExecutions=reserved
            )


def _put_any_methods(gateway: Any, api_id: str, paths: dict[str, Any]) -> None:  # noqa: ANN401
    """Add the paths' ANY methods, unauthenticated, to the function that serves GET /openapi."""
    resources = gateway.get_resources(restApiId=api_id, limit=500)["items"]
    ids = {resource["path"]: resource["id"] for resource in resources}
    integration = gateway.get_integration(
        restApiId=api_id, resourceId=ids["/openapi"], httpMethod="GET"
    )
    for path, item in paths.items():
        if "x-amazon-apigateway-any-method" in item:
            method = {"restApiId": api_id, "resourceId": ids[path], "httpMethod": "ANY"}
            gateway.put_method(**method, authorizationType="NONE")
            gateway.put_integration(
                **method, type="AWS_PROXY", integrationHttpMethod="POST", uri=integration["uri"]
            )


def _put_answers_of_options(
    gateway: Any,  # noqa: ANN401
    api_id: str,
    paths: dict[str, Any],
    parameters: dict[str, str],
) -> None:
    """Add the headers with which OPTIONS answers a browser, at each path that has it."""
    resources = gateway.get_resources(restApiId=api_id, limit=500)["items"]
    ids = {resource["path"]: resource["id"] for resource in resources}
    for path, item in paths.items():
        if "options" in item:
            integration = item["options"]["x-amazon-apigateway-integration"]
            gateway.put_integration_response(
                restApiId=api_id,
                resourceId=ids[path],
                httpMethod="OPTIONS",
                statusCode="200",
                responseParameters=_headers(
                    integration["responses"]["default"]["responseParameters"], parameters
                ),
            )


def architecture() -> str:
    """Return this machine's processor architecture in Lambda's terms."""
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"
