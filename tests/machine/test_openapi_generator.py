"""OpenAPI Generator accepts the served document, and its client does a user's whole job."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from tests.machine.engine import engine
from tests.machine.http_server import serving
from tests.machine.test_generated_client import INPUTS, PACK
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

_BIN = ROOT / ".local/venvs/generator/bin"
_PACKAGE = "openapi_taskrunner"
_DEADLINE_S = 240.0
_AS_TEXT = {"Accept": "text/plain"}
# A generator runs for seconds, so optimizing its code takes longer than it saves.
_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def run_generator(*arguments: str) -> str:
    """Run OpenAPI Generator with the Java of its environment, and return what it printed."""
    done = subprocess.run(  # noqa: S603 - a fixed program
        [str(_BIN / "openapi-generator-cli"), *arguments],
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "JAVA_TOOL_OPTIONS": _JAVA_OPTIONS,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    return printed


@pytest.fixture(name="source", scope="module")
def _source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The document in a file, as the API that is being served describes itself."""
    path = tmp_path_factory.mktemp("openapi") / "openapi.yaml"
    with engine() as made, serving(made) as base_url:
        document = httpx.get(f"{base_url}/openapi", timeout=_DEADLINE_S).text
        path.write_text(document, encoding="utf-8")
        yield path


@pytest.fixture(name="generated", scope="module")
def _generated(source: Path) -> Iterator[ModuleType]:
    """The generated Python package."""
    folder = str(source.parent / "client")
    options = ("-g", "python", "-i", str(source), "-o", folder, "--package-name", _PACKAGE)
    assert "ERROR" not in run_generator("generate", *options)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module(_PACKAGE)


@pytest.fixture(name="ana")
def _ana(generated: ModuleType, source: Path) -> Iterator[Any]:
    with a_client(generated, source, "ana") as client:
        yield client


@pytest.fixture(name="bob")
def _bob(generated: ModuleType, source: Path) -> Iterator[Any]:
    with a_client(generated, source, "bob") as client:
        yield client


def a_client(generated: ModuleType, source: Path, token: str) -> Any:  # noqa: ANN401
    server = yaml.load(source.read_text(encoding="utf-8"), yaml.CSafeLoader)["servers"][0]["url"]
    configuration = generated.Configuration(host=server, access_token=token)
    return generated.ApiClient(configuration)


def test_finds_no_error_in_the_document(source: Path) -> None:
    assert "Errors:" not in run_generator("validate", "-i", str(source))


def test_the_log_is_a_text_in_java_too(source: Path) -> None:
    folder = source.parent / "java"

    run_generator("generate", "-g", "java", "-i", str(source), "-o", str(folder))

    (api,) = folder.glob("src/main/java/**/LogsApi.java")
    assert "public String streamRunLogs(" in api.read_text(encoding="utf-8")


def test_its_client_does_the_main_job(generated: ModuleType, ana: Any, bob: Any) -> None:  # noqa: ANN401
    runs = generated.RunsApi(ana)
    simulated = generated.SimulationsApi(ana).simulate_task_pack(
        generated.SimulationRequest(manifest=PACK, inputs=INPUTS)
    )
    request = generated.CreateRunRequest(
        manifest=PACK, inputs=INPUTS, expectPlanHash=simulated.plan_hash
    )

    run_id = runs.create_pack_run(request, idempotency_key="release 7").run_id
    again = runs.create_pack_run(request, idempotency_key="release 7").run_id
    follow(generated, ana, run_id, "gate.awaiting")
    (waiting,) = generated.ApprovalsApi(ana).list_open_approvals().approvals
    decision = generated.ApprovalDecisionRequest(decision="approved", planHash=waiting.plan_hash)
    decided = generated.ApprovalsApi(bob).apply_approval_decision(
        run_id, waiting.approval_id, decision
    )
    follow(generated, ana, run_id, "run.completed")

    assert again == run_id
    assert decided.resumed
    assert runs.get_run_state(run_id).status == "succeeded"
    assert runs.get_run_step(run_id, "scans[1]::scan").outputs["repository"] == "b"
    names = {artifact.name for artifact in generated.ArtifactsApi(ana).list_run_artifacts(run_id)}
    assert {"scan-report.scans-0.scan", "scan-report.scans-1.scan", "shipped"} <= names
    assert runs.cancel_run(run_id).run_status == "succeeded"
    with pytest.raises(generated.exceptions.NotFoundException):
        runs.get_run_state("run-of-nobody")


def follow(generated: ModuleType, client: Any, run_id: str, event_type: str) -> None:  # noqa: ANN401
    """Read the log by its cursor until it has an entry of that type.

    The client asks for NDJSON by default, because its name contains json, and cannot
    read it.
    """
    logs, cursor = generated.LogsApi(client), None
    deadline = time.monotonic() + _DEADLINE_S
    while True:
        page = logs.stream_run_logs_with_http_info(run_id, cursor=cursor, _headers=_AS_TEXT)
        events = [json.loads(line)["eventType"] for line in page.data.splitlines()]
        if event_type in events:
            return
        assert time.monotonic() < deadline, event_type
        cursor = page.headers["X-TaskRunner-Cursor"]
        time.sleep(0.02)
