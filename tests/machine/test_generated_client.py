"""A client generated from the served document does a user's whole job with it, over HTTP."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from tests.machine.engine import engine
from tests.machine.http_server import serving
from tests.packs import pack
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

_BIN = ROOT / ".local/venvs/generator/bin"
_DEADLINE_S = 240.0
PACK = pack(
    """
    - id: scans
      map:
        items: inputs.images
        step: {id: scan, run: {uses: builtin:scanner, with: {target: "{{ item }}"}}}
    - id: review
      gate: {approval: {id: security, message: "Look at the findings"}}
    - {id: ship, run: {uses: builtin:noop, with: {reviewed: true}}}
    """,
    spec="""
    inputs: [{name: images, type: array, required: true}]
    approvals: [{id: security, grants: [packs.approve], scope: gate}]
    finally: [{id: notify, run: {uses: builtin:noop}}]
    outputs: [{name: shipped, type: object, expression: "{{ steps.ship.outputs }}"}]
    """,
    name="generated",
)
INPUTS = {"images": ["registry.example.com/a:v1", "registry.example.com/b:v2"]}


class Generated:
    """The generated package *name*, and clients of it for the callers of the API."""

    def __init__(self, name: str, base_url: str) -> None:
        self.name = name
        self._client = importlib.import_module(f"{name}.client").AuthenticatedClient
        self.models = importlib.import_module(f"{name}.models")
        self._base_url = base_url

    def call(self, operation: str, *given: object, subject: str = "ana", **named: object) -> Any:  # noqa: ANN401
        """Return the detailed response of an operation, such as `runs.create_pack_run`."""
        module = importlib.import_module(f"{self.name}.api.{operation}")
        with self._client(base_url=self._base_url, token=subject) as client:
            return module.sync_detailed(*given, client=client, **named)


@pytest.fixture(name="document", scope="module")
def _document() -> Iterator[str]:
    """The document, as the API that is being served describes itself."""
    with engine() as made, serving(made) as base_url:
        yield httpx.get(f"{base_url}/openapi", timeout=_DEADLINE_S).text


@pytest.fixture(name="generated", scope="module")
def _generated(document: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generated]:
    """The client, generated without a single warning and without any configuration."""
    folder = tmp_path_factory.mktemp("generated")
    source = folder / "openapi.yaml"
    source.write_text(document, encoding="utf-8")
    package = folder / "generated_taskrunner"
    program = str(_BIN / "openapi-python-client")
    command = [program, "generate", "--path", str(source), "--meta", "none"]
    done = subprocess.run(  # noqa: S603 - a fixed program
        [*command, "--output-path", str(package), "--fail-on-warning"],
        env={"PATH": f"{_BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    server = yaml.load(document, yaml.CSafeLoader)["servers"][0]["url"]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield Generated(package.name, server)


def test_generates_a_model_for_every_schema_and_a_function_for_every_operation(
    document: str, generated: Generated
) -> None:
    described = yaml.load(document, yaml.CSafeLoader)
    operations = {
        operation["operationId"].lower()
        for item in described["paths"].values()
        for operation in item.values()
    }
    functions = {
        path.stem.replace("_", "")
        for folder in importlib.import_module(f"{generated.name}.api").__path__
        for path in Path(folder).glob("*/*.py")
        if path.stem != "__init__"
    }

    aliases = {"LeaseSecret", "NextCursor"}  # texts, for which there is no class
    assert {
        name
        for name in described["components"]["schemas"].keys() - aliases
        if not hasattr(generated.models, name)
    } == set()
    assert functions == operations


def test_does_the_main_job(generated: Generated) -> None:
    models = generated.models
    inputs = models.CreateRunRequestInputs.from_dict(INPUTS)
    simulated = generated.call(
        "simulations.simulate_task_pack",
        body=models.SimulationRequest(
            manifest=PACK, inputs=models.SimulationRequestInputs.from_dict(INPUTS)
        ),
    ).parsed
    assert simulated.has_pending_approvals
    request = models.CreateRunRequest(
        manifest=PACK, inputs=inputs, expect_plan_hash=simulated.plan_hash
    )

    created = generated.call("runs.create_pack_run", body=request, idempotency_key="release 7")
    again = generated.call("runs.create_pack_run", body=request, idempotency_key="release 7")
    run_id = created.parsed.run_id
    events = follow(generated, run_id, "gate.awaiting")
    (waiting,) = generated.call("approvals.list_open_approvals").parsed.approvals
    shown = generated.call(
        "approvals.get_run_approval", run_id, waiting.approval_id, step_id=waiting.step_id
    ).parsed
    decided = generated.call(
        "approvals.apply_approval_decision",
        run_id,
        waiting.approval_id,
        body=models.ApprovalDecisionRequest(
            decision=models.ApprovalDecisionRequestDecision.APPROVED,
            plan_hash=waiting.plan_hash,
            step_id=[waiting.step_id],
        ),
        subject="bob",
    )
    events += follow(generated, run_id, "run.completed", after=events[-1]["cursor"])

    assert (created.status_code, again.parsed) == (201, created.parsed)
    assert (
        httpx.get(
            created.headers["Location"],
            headers={"Authorization": "Bearer ana"},
            timeout=_DEADLINE_S,
        ).json()["runId"]
        == run_id
    )
    assert [gate.step_id for gate in shown.gates] == ["review"]
    assert (shown.scope, waiting.scope) == ("gate", "gate")
    assert decided.parsed.resumed
    assert [event["eventType"] for event in events].count("gate.awaiting") == 1
    state = generated.call("runs.get_run_state", run_id).parsed
    assert (state.status, state.plan_hash) == ("succeeded", simulated.plan_hash)
    assert [step.step_id for step in state.steps if step.phase == "finally"] == ["notify"]
    plan = generated.call("runs.get_run_plan", run_id).parsed.plan
    assert [step.id for step in plan.finally_] == ["notify"]
    last = generated.call("logs.stream_run_logs", run_id, tail=1).parsed
    assert [json.loads(line)["eventType"] for line in last.splitlines()] == ["run.completed"]
    assert_results(generated, run_id)


def assert_results(generated: Generated, run_id: str) -> None:
    """Assert that the client reads the outputs and artifacts of the run."""
    scan = generated.call("runs.get_run_step", run_id, "scans[1]::scan").parsed
    assert scan.outputs["repository"] == "b"
    assert [attempt.status for attempt in scan.attempt_history] == ["Succeeded"]
    listed = {
        artifact.name: artifact
        for artifact in generated.call("artifacts.list_run_artifacts", run_id).parsed
    }
    assert {"scan-report.scans-0.scan", "scan-report.scans-1.scan", "shipped"} <= listed.keys()
    assert json.loads(listed["shipped"].expression_json) == {"reviewed": True}
    for name in ("shipped", "scan-report.scans-1.scan"):
        download = generated.call("artifacts.download_artifact", run_id, name)
        assert download.status_code == 302
        assert listed[name].stored_path in download.headers["Location"]
    cancelled = generated.call("runs.cancel_run", run_id).parsed
    assert (cancelled.status, cancelled.run_status) == ("cancelled", "succeeded")


def follow(
    generated: Generated, run_id: str, event_type: str, after: str | None = None
) -> list[dict[str, Any]]:
    """Return the log's entries behind the cursor *after*, up to the first of that type."""
    events: list[dict[str, Any]] = []
    deadline = time.monotonic() + _DEADLINE_S
    while not any(event["eventType"] == event_type for event in events):
        assert time.monotonic() < deadline, events
        cursor = {} if after is None else {"cursor": after}
        page = generated.call("logs.stream_run_logs", run_id, **cursor)
        events += map(json.loads, page.parsed.splitlines())
        after = page.headers["X-TaskRunner-Cursor"]
        time.sleep(0.02)
    return events


def test_reads_errors_as_the_document_describes_them(generated: Generated) -> None:
    body = generated.models.CreateRunRequest(manifest="kind: Nonsense")
    body.additional_properties["expectedPlanHash"] = "sha256:0"

    unknown = generated.call("runs.create_pack_run", body=body)
    del body.additional_properties["expectedPlanHash"]
    invalid = generated.call("runs.create_pack_run", body=body)
    missing = generated.call("runs.get_run_state", "run-of-nobody")

    assert unknown.status_code == 400
    assert "did you mean 'expectPlanHash'" in unknown.parsed.errors[0].message
    assert (invalid.status_code, invalid.parsed.error.code) == (400, "invalid_pack")
    assert len(invalid.parsed.errors) > 1
    assert (missing.status_code, missing.parsed.error.code) == (404, "not_found")
