"""Text from the service is shown on the terminal and never obeyed: anybody may write packs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_http import Answer, Request
from tests.unit.cli.fake_service import ARTIFACT, COMPARISON, FakeService

# Sets the title, clears the screen, reverses the line; and a lone surrogate.
ATTACK = "\x1b]0;mine\x07\x1b[2J\x9b2J\x7f\u202etxt\ud800"
DANGEROUS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
DEPLOY = str(Path(__file__).resolve().parents[3] / "examples/deploy-app.yaml")
PACK = """
apiVersion: stellaops.io/pack.v1
kind: TaskPack
metadata: {name: deploy-app, version: 1.0.0}
"""

COMMANDS = {
    "runs": ("runs",),
    "show": ("show", "r1"),
    "watch": ("watch", "ended"),
    "logs": ("logs", "r1"),
    "logs of some words": ("logs", "r1", "--grep", "compiling"),
    "reject": ("reject", "r1", "security-review", "--yes"),
    "evidence fetch": ("evidence", "fetch", "r1"),
    "artifacts": ("artifacts", "r1"),
    "an artifact": ("artifacts", "r1", "scan-report"),
    "approvals": ("approvals",),
    "approve": ("approve", "r1", "security-review", "--yes"),
    "approve a plan hash": ("approve", "r1", "security-review", "--plan-hash", "sha256:0"),
    "outputs": ("outputs", "r1", "build"),
    "artifacts download": ("artifacts", "download", "r1"),
    "rerun": ("rerun", "r1", "--detach"),
    "plan diff": ("plan", DEPLOY, "--diff", "r0"),
    "failed logs": ("logs", "r1", "--tail", "3"),
    "cancel": ("cancel", "r1"),
    "simulate": ("simulate", "pack.yaml"),
    "run": ("run", "pack.yaml"),
    "an unknown run": ("show", "nobody"),
}


def poisoned(value: Any, key: str = "") -> Any:  # noqa: ANN401 -- any JSON
    """*value* with ATTACK after every text, except those that the command line compares."""
    if isinstance(value, dict):
        return {name: poisoned(child, name) for name, child in value.items()}
    if isinstance(value, list):
        return [poisoned(child, key) for child in value]
    if not isinstance(value, str) or key in {"access_token", "planHash", "cursor"}:
        return value
    return value if value in {"scan-report", "succeeded"} else value + ATTACK


class HostileService(FakeService):
    """A service that puts ATTACK into every text."""

    def route(self, request: Request) -> Answer:
        answer = super().route(request)
        if isinstance(answer.document, bytes):
            if answer.headers.get("Content-Type") != "application/x-ndjson":
                return answer
            lines = [poisoned(json.loads(line)) for line in answer.document.splitlines()]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            return Answer(answer.status, text.encode(), answer.headers)
        return Answer(answer.status, poisoned(answer.document), answer.headers)


@pytest.fixture(name="service")
def _service() -> FakeService:
    service = HostileService("http://store")
    run = service.add("r1", "deploy-app", ticks=2)
    run.artifacts.append({**ARTIFACT, "notes": "why", "sourcePath": "/output/x"})
    run.add_entry("step.output", "build", "compiling")
    run.add_entry("step.failed", "build", "it broke", "error")
    ended = service.add("ended", "hello", ticks=9)
    ended.add_entry("step.output", "build", "compiling")
    service.comparison = COMPARISON
    service.approval = {
        "runId": "r1",
        "approvalId": "security-review",
        "inputs": {"a name": "a value"},
        "secrets": ["a secret"],
        "gates": [
            {
                "stepId": "approval", "guards": ["deploy"], "unless": "steps.a",
                "findings": [{"name": "steps.a.outputs.b", "value": {"a": "b"}}],
            },
        ],
        "decisions": [{"decision": "approved", "approver": "bo", "summary": "fine"}],
        "canDecide": False,
        "cannotDecideReason": {"code": "self_approval", "message": "You did."},
    }  # fmt: skip
    return service


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_no_output_contains_control_characters(
    taskrunner: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    output: str,
) -> None:
    (tmp_path / "pack.yaml").write_text(PACK)
    monkeypatch.chdir(tmp_path)

    ended = taskrunner(*command, "-o", output)

    assert ended.out + ended.err
    assert DANGEROUS.findall(ended.out + ended.err) == []


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff", b"{}"])
def test_rejects_the_answers_of_another_service(
    taskrunner: Command, service: FakeService, body: bytes
) -> None:
    commands = ["artifacts", "show"] if body == b"{}" else ["artifacts", "show", "cancel"]
    for command in commands:  # every member of a cancellation's answer is optional
        service.next_answers.append(Answer(200, body))

        ended = taskrunner(command, "r1")

        assert ended.code == 1
        assert "check that the address is that of a TaskRunner API" in ended.err


def test_json_output_decodes_to_what_the_service_sent(taskrunner: Command) -> None:
    summary, _ = taskrunner("runs", "-o", "json").document["runs"]

    assert summary["runId"] == "r1" + ATTACK
