"""Deploys the template into the emulator, as one would into an account.

Parameters say how the emulator differs from an account: an endpoint without TLS, and where the
user pool's keys are. What CloudFormation does and the emulator leaves out is done here: an API gets
the gateway responses and the ANY methods of its own definition.
"""

import base64
import hashlib
import platform
import textwrap
from typing import Any, Final

import boto3
from botocore.exceptions import ClientError, WaiterError

from taskrunner_cli.local.emulator import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Emulator
from taskrunner_cli.local.errors import LocalStackError
from taskrunner_cli.local.packaging import LAYER, Store, package, source_files
from taskrunner_cli.local.workspace import Workspace, python_version

STACK_NAME = "taskrunner"
STAGE = "live"
_BUCKET: Final = "deployments"
_SOURCES = ("template.yaml", "functions", "examples/executors", LAYER, "statemachine")
_POLL: Final = {"Delay": 0.05, "MaxAttempts": 2400}  # every 50 ms, for two minutes at most


def client(service: str, endpoint_url: str) -> Any:  # noqa: ANN401 -- boto3 makes its clients' types
    """Return a boto3 client of *service* as the emulator's root caller."""
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
    )


def digest(workspace: Workspace) -> str:
    """Return a digest of everything a deployment is made of."""
    total = hashlib.sha256(f"{python_version()} {architecture()}".encode())
    for source in _SOURCES:
        for path in source_files(workspace.root / source):
            total.update(f"\0{path.relative_to(workspace.root)}\0".encode())
            total.update(path.read_bytes())
    return total.hexdigest()


def deploy(
    workspace: Workspace, emulator: Emulator, stack_name: str = STACK_NAME, **parameters: str
) -> dict[str, str]:
    """Deploy the template into *emulator* with more *parameters*, and return the stack's outputs.

    Raises:
        LocalStackError: it failed; the message has CloudFormation's reasons.

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
    """Return the template's parameters that say how the emulator differs from an account."""
    return {
        "Runtime": f"python{python_version()}",
        "Architecture": architecture(),
        "BucketTlsOnly": "false",
        "ExampleExecutors": "true",
        "IdentityEndpoint": emulator.endpoint_url,
    }


def complete(emulator: Emulator, stack_name: str) -> dict[str, str]:
    """Do for a deployed stack what the emulator left out, and return the stack's outputs."""
    cloudformation = client("cloudformation", emulator.endpoint_url)
    stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    _complete_the_api(emulator, stack_name, outputs["ApiId"])
    return outputs


def public_key(emulator: Emulator, key_arn: str) -> str:
    """Return the public half of a KMS key in PEM, which is DER in lines of base64 (RFC 7468)."""
    der = client("kms", emulator.endpoint_url).get_public_key(KeyId=key_arn)["PublicKey"]
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


def _store(emulator: Emulator) -> Store:
    """Return what keeps a content in a bucket of the emulator, under the content's own digest."""
    s3 = client("s3", emulator.endpoint_url)
    s3.create_bucket(Bucket=_BUCKET)  # in us-east-1, one that is there already is no error

    def store(content: bytes) -> str:
        key = hashlib.sha256(content).hexdigest()
        s3.put_object(Bucket=_BUCKET, Key=key, Body=content)
        return f"s3://{_BUCKET}/{key}"

    return store


def _create_or_update(cloudformation: Any, **stack: Any) -> None:  # noqa: ANN401
    """Make the stack, or bring it up to date, and wait until it is there."""
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
        cure="correct the template; then make down up starts afresh",
    )


def _failures(cloudformation: Any, name: str) -> str:  # noqa: ANN401
    """Return which resources of a stack failed, and why, one a line."""
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return "\n".join(
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in events
        if event["ResourceStatus"].endswith("FAILED")
    )


def _complete_the_api(emulator: Emulator, stack_name: str, api_id: str) -> None:
    """Give the API what its own definition has and the import left out, and deploy it with that."""
    cloudformation = client("cloudformation", emulator.endpoint_url)
    answer = cloudformation.get_template(StackName=stack_name, TemplateStage="Processed")
    body = answer["TemplateBody"]["Resources"]["Api"]["Properties"]["Body"]
    gateway = client("apigateway", emulator.endpoint_url)
    for kind, response in body["x-amazon-apigateway-gateway-responses"].items():
        gateway.put_gateway_response(
            restApiId=api_id,
            responseType=kind,
            responseTemplates=response["responseTemplates"],
            responseParameters=response.get("responseParameters", {}),
            **({"statusCode": str(response["statusCode"])} if "statusCode" in response else {}),
        )
    _put_any_methods(gateway, api_id, body["paths"])
    gateway.create_deployment(restApiId=api_id, stageName=STAGE)


def _put_any_methods(gateway: Any, api_id: str, paths: dict[str, Any]) -> None:  # noqa: ANN401
    """Each path's ANY, which asks nobody who calls, and goes where GET /openapi goes."""
    resources = gateway.get_resources(restApiId=api_id, limit=500)["items"]
    ids = {resource["path"]: resource["id"] for resource in resources}
    document = gateway.get_integration(
        restApiId=api_id, resourceId=ids["/openapi"], httpMethod="GET"
    )
    for path, item in paths.items():
        if "x-amazon-apigateway-any-method" in item:
            method = {"restApiId": api_id, "resourceId": ids[path], "httpMethod": "ANY"}
            gateway.put_method(**method, authorizationType="NONE")
            gateway.put_integration(
                **method, type="AWS_PROXY", integrationHttpMethod="POST", uri=document["uri"]
            )


def architecture() -> str:
    """Return this machine's processor as Lambda names it."""
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"
