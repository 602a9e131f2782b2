"""Builds the template with SAM and deploys it into the emulator, as one would into an account.

What differs from an account is said in parameters: an endpoint without TLS, and where the user
pool's keys are. What CloudFormation does and the emulator leaves out is done here: a state
machine's YAML becomes JSON, an API gets the gateway responses and the ANY methods of its own
definition, and parameters that SAM's transform needs to know become defaults.
"""

import base64
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import yaml

from taskrunner_cli.local.emulator import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Emulator
from taskrunner_cli.local.errors import LocalStackError
from taskrunner_cli.local.workspace import Workspace, python_version

STACK_NAME = "taskrunner"
STAGE = "live"
_SOURCES = (
    "template.yaml",
    "samconfig.toml",
    "functions",
    "examples/executors",
    "layers/core/python",
    "statemachine",
)
_COMPILED = {"__pycache__", ".mypy_cache", ".ruff_cache"}


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
    total = hashlib.sha256(f"{python_version()} {_architecture()}".encode())
    for path in _source_files(workspace.root):
        total.update(f"\0{path.relative_to(workspace.root)}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def _built(workspace: Workspace) -> Path:
    return workspace.root / ".aws-sam" / "build"


def build(workspace: Workspace) -> None:
    """Run `sam build` for this interpreter's runtime.

    Raises:
        LocalStackError: it failed.

    """
    runtime = f"python{python_version()}"
    _sam(
        workspace,
        "build",
        # The layer's cache does not know for which Python it was filled.
        ["--cache-dir", str(workspace.local / "sam-cache" / runtime)],
        ["--parameter-overrides", f"Runtime={runtime}", f"Architecture={_architecture()}"],
    )
    _render_definitions(_built(workspace))


def deploy(
    workspace: Workspace, emulator: Emulator, stack_name: str = STACK_NAME, **parameters: str
) -> dict[str, str]:
    """Run `sam deploy` into *emulator* with more *parameters*, and return the stack's outputs.

    Raises:
        LocalStackError: it failed.

    """
    template = _built(workspace) / f"{stack_name}.yaml"
    template.write_text(_with_defaults(_built(workspace) / "template.yaml", parameters))
    _sam(
        workspace,
        "deploy",
        ["--template-file", str(template)],
        ["--config-file", str(workspace.root / "samconfig.toml")],
        ["--stack-name", stack_name, "--region", REGION, "--no-confirm-changeset"],
        ["--no-progressbar"],
        [
            "--parameter-overrides",
            f"Runtime=python{python_version()}",
            f"Architecture={_architecture()}",
            "BucketTlsOnly=false",
            "ExampleExecutors=true",
            f"IdentityEndpoint={emulator.endpoint_url}",
        ],
        AWS_ENDPOINT_URL=emulator.endpoint_url,
    )
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


def _render_definitions(built: Path) -> None:
    """Put JSON beside the built template for every YAML definition that it names."""
    template = built / "template.yaml"

    def rendered(match: re.Match[str]) -> str:
        source = built / match["path"]
        target = built / f"{source.stem}.json"
        definition = yaml.safe_load(source.read_text(encoding="utf-8"))
        target.write_text(json.dumps(definition, indent=2), encoding="utf-8")
        return f"DefinitionUri: {target.name}"

    text = template.read_text(encoding="utf-8")
    text = re.sub(r"DefinitionUri: (?P<path>\S+\.yaml)$", rendered, text, flags=re.MULTILINE)
    template.write_text(text, encoding="utf-8")


def _with_defaults(template: Path, parameters: dict[str, str]) -> str:
    """The text of *template* with *parameters* as defaults: the transform sees no others."""
    text = template.read_text(encoding="utf-8")
    for name, value in parameters.items():
        default = re.compile(rf"(^  {name}:\n(?:    .*\n)*?    Default: ).*", re.MULTILINE)
        text, found = default.subn(rf"\g<1>{value}", text)
        if found != 1:
            raise LocalStackError(f"the template has no parameter {name}", cure="correct its name")
    return text


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


def _architecture() -> str:
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"


def _source_files(root: Path) -> Iterator[Path]:
    """Every file a deployment is made of, links followed, in an order that does not change."""
    for source in _SOURCES:
        top = root / source
        if top.is_file():
            yield top
        for folder, folders, names in os.walk(top, followlinks=True):
            folders[:] = sorted(set(folders) - _COMPILED)
            yield from (Path(folder, name) for name in sorted(names))


def _sam(workspace: Workspace, command: str, *options: list[str], **variables: str) -> None:
    """Run a SAM command with its output in a log of its own."""
    sam = workspace.tool("sam", "sam")
    workspace.logs.mkdir(parents=True, exist_ok=True)
    log = workspace.logs / f"sam-{command}.log"
    with log.open("w") as sink:
        done = subprocess.run(  # noqa: S603 -- every word is ours
            [sam, command, *(word for group in options for word in group)],
            cwd=workspace.root,
            env=_environment(workspace) | variables,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        raise LocalStackError(
            f"sam {command} failed:\n{tail}",
            cure=f"the whole output is in {log}; after mending, make down up starts afresh",
        )


def _environment(workspace: Workspace) -> dict[str, str]:
    """The environment of SAM: the emulator's caller, this interpreter first, nothing sent home."""
    home = workspace.local / "sam"
    home.mkdir(exist_ok=True)
    # SAM asks PyPI weekly for a newer SAM; as of now it has just asked.
    (home / "metadata.json").write_text(json.dumps({"lastVersionCheck": time.time()}))
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    return kept | {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
        "PYTHON": sys.executable,
        "LAYER_PYTHON": python_version(),
        "LAYER_ARCHITECTURE": _architecture(),
        # The emulator runs the functions on this machine, whose wheels are Lambda's only on Linux.
        "LAYER_PLATFORM": "lambda" if sys.platform == "linux" else "native",
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(home),
    }
