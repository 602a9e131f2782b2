"""SAM builds and deploys the template as the README says; the local stack takes a shorter way."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from taskrunner_cli.local import deployment, emulator
from taskrunner_cli.local.workspace import python_version
from tests.stack.api import until
from tests.stack.own_stack import own_workspace
from tests.stack.packs import STEP
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner_cli.local import Stack
    from tests.stack.api import Api

STACK = "by-sam"


def sam(home: Path, *words: str, **variables: str) -> None:
    """Run SAM with this interpreter first on the PATH and *home* for what it remembers."""
    # SAM asks the package index once a week for a newer SAM; this says that it has just asked.
    (home / "metadata.json").write_text(json.dumps({"lastVersionCheck": time.time()}))
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    done = subprocess.run(  # noqa: S603 - every word is ours
        [ROOT / ".local/venvs/sam/bin/sam", *words],
        cwd=ROOT,
        env=kept
        | {
            "AWS_ACCESS_KEY_ID": emulator.ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": emulator.SECRET_ACCESS_KEY,
            "AWS_DEFAULT_REGION": emulator.REGION,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]]),
            "PYTHON": sys.executable,
            "LAYER_PYTHON": python_version(),
            "LAYER_ARCHITECTURE": deployment.architecture(),
            "LAYER_PLATFORM": "lambda" if sys.platform == "linux" else "native",
            "SAM_CLI_TELEMETRY": "0",
            "__SAM_CLI_APP_DIR": str(home),
        }
        | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(name="built", scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the template and of all that it names, as `sam build` makes it."""
    folder = tmp_path_factory.mktemp("sam")
    runtime = f"Runtime=python{python_version()}"
    sam(
        folder,
        "build",
        *("--build-dir", str(folder / "build"), "--cache-dir", str(folder / "cache")),
        *("--parameter-overrides", runtime, f"Architecture={deployment.architecture()}"),
    )
    return folder / "build"


def packages(folder: Path) -> set[str]:
    """The packages in *folder* with their versions, without the tools of an environment."""
    names = {path.name for path in folder.glob("*.dist-info")}
    return {name for name in names if not name.startswith("pip-")}


def modules(package: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(package)): path.read_bytes()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


LAYERS = ("CoreLayer", "SchemaLayer", "SignatureLayer")
# Lambda takes 250 MB. A layer's content is fetched before a cold start, and counts for each one.
MAX_LAYER_BYTES = 30_000_000


def test_the_layers_hold_what_the_local_stack_runs(built: Path) -> None:
    contents = [packages(built / layer / "python") for layer in LAYERS]
    environment = ROOT / ".local/venvs/layer/lib" / f"python{python_version()}" / "site-packages"

    assert set().union(*contents) == packages(environment)
    assert sum(map(len, contents)) == len(packages(environment))  # none is in two layers
    taskrunner = built / "CoreLayer" / "python" / "taskrunner"
    assert modules(taskrunner) == modules(ROOT / "layers/core/python/taskrunner")


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_small(built: Path, layer: str) -> None:
    files = [file for file in (built / layer).rglob("*") if file.is_file()]

    assert sum(file.stat().st_size for file in files) < MAX_LAYER_BYTES


def test_every_function_is_built(built: Path) -> None:
    template = (built / "template.yaml").read_text(encoding="utf-8")
    paths = re.findall(r"CodeUri: (\S+)", template)

    functions = [*ROOT.glob("functions/*/app.py"), *ROOT.glob("examples/executors/*/app.py")]
    assert sorted((built / path / "app.py").read_bytes() for path in paths) == sorted(
        path.read_bytes() for path in functions
    )


@pytest.fixture(name="outputs", scope="module")
def _outputs(built: Path, stack: Stack) -> dict[str, str]:  # noqa: ARG001 - it runs
    """Deploy what SAM has built beside the local stack, and return the new stack's outputs."""
    here = own_workspace()
    process = emulator.running(here)
    assert process is not None
    parameters = deployment.local_parameters(process)
    with here.locked():
        sam(
            built.parent,
            *("deploy", "--template-file", str(with_definitions_in_json(built))),
            *("--config-file", str(ROOT / "samconfig.toml"), "--stack-name", STACK),
            *("--region", emulator.REGION, "--no-confirm-changeset", "--no-progressbar"),
            *("--parameter-overrides", *(f"{name}={it}" for name, it in parameters.items())),
            AWS_ENDPOINT_URL=process.endpoint_url,
        )
        return deployment.complete(process, STACK)


def test_a_stack_that_sam_deploys_answers(
    outputs: dict[str, str], stack: Stack, operator: Api
) -> None:
    url = f"{stack.endpoint_url}/_aws/execute-api/{outputs['ApiId']}/{deployment.STAGE}"

    assert operator.http.get(f"{url}/openapi").status_code == 200
    # In the source, the schema is a link to a file outside of the function's folder.
    assert operator.http.get(f"{url}/schemas/pack.v1.json").status_code == 200
    # The authorizer refuses this token itself, with the libraries of the layer.
    headers = {"Authorization": f"Bearer {operator.token}"}
    refused = operator.http.get(f"{url}/v1/task-runner/runs", headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "unauthorized")


@pytest.mark.usefixtures("outputs")
def test_a_stack_that_sam_deploys_runs_a_pack(aws: Callable[[str], Any]) -> None:
    """Its functions have the layers' packages, which the build has made smaller."""
    resources = aws("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    names = {it["LogicalResourceId"]: it["PhysicalResourceId"] for it in resources}

    def answer(function: str, event: str, **changes: Any) -> Any:  # noqa: ANN401 - any JSON
        sent = json.loads((ROOT / "events" / event).read_text(encoding="utf-8")) | changes
        called = aws("lambda").invoke(FunctionName=names[function], Payload=json.dumps(sent))
        reply = json.loads(called["Payload"].read())
        assert "body" in reply, reply
        return json.loads(reply["body"])

    def read(event: str) -> Any:  # noqa: ANN401 - any JSON
        return answer("ReadRunFunction", f"read_run/{event}", pathParameters={"runId": run_id})

    body = json.dumps({"manifest": STEP})
    created = answer("CreateRunFunction", "create_run/without_run_id.json", body=body)
    run_id = created["runId"]

    until(lambda: read("state.json")["status"] == "succeeded", f"{run_id} succeeds")
    until(lambda: bool(read("artifacts.json")), f"{run_id} has its evidence")
    assert read("plan.json")["planHash"] == created["planHash"]


def with_definitions_in_json(built: Path) -> Path:
    """The built template with its state machines in JSON, because the emulator reads no YAML."""

    def rendered(match: re.Match[str]) -> str:
        source = built / match[1]
        target = built / f"{source.stem}.json"
        definition = yaml.safe_load(source.read_text(encoding="utf-8"))
        target.write_text(json.dumps(definition), encoding="utf-8")
        return f"DefinitionUri: {target.name}"

    template = built / "template.yaml"
    text = template.read_text(encoding="utf-8")
    made = built / "emulated.yaml"
    made.write_text(re.sub(r"DefinitionUri: (\S+\.yaml)", rendered, text), encoding="utf-8")
    return made
