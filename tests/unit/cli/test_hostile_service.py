"""Whatever a service sends, it is shown and not obeyed: packs and their runs are anybody's."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_http import Answer, Seen
from tests.unit.cli.fake_service import ARTIFACT, FakeService

# A title, a cleared screen, a reversed line, and half a character.
SPITE = "\x1b]0;mine\x07\x1b[2J\x9b2J\x7f\u202etxt\ud800"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
PACK = """
apiVersion: stellaops.io/pack.v1
kind: TaskPack
metadata: {name: deploy-app, version: 1.0.0}
"""

COMMANDS = {
    "runs": ("runs",),
    "show": ("show", "r1"),
    "logs": ("logs", "r1"),
    "artifacts": ("artifacts", "r1"),
    "an artifact": ("artifacts", "r1", "scan-report"),
    "approvals": ("approvals",),
    "approve": ("approve", "r1", "security-review"),
    "approve blindly": ("approve", "r1", "security-review", "--plan-hash", "sha256:0"),
    "cancel": ("cancel", "r1"),
    "simulate": ("simulate", "pack.yaml"),
    "run": ("run", "pack.yaml"),
    "a run that is not there": ("show", "nobody"),
}


def spoilt(value: Any, key: str = "") -> Any:  # noqa: ANN401 -- any JSON
    """*value* with something behind every text in it, but for what the command line must find."""
    if isinstance(value, dict):
        return {name: spoilt(child, name) for name, child in value.items()}
    if isinstance(value, list):
        return [spoilt(child, key) for child in value]
    known = key in {"access_token", "planHash", "cursor"} or value == "scan-report"
    return value + SPITE if isinstance(value, str) and not known else value


class Spiteful(FakeService):
    """A service with something behind all that it says."""

    def route(self, request: Seen) -> Answer:
        given = super().route(request)
        if isinstance(given.document, bytes):
            if given.headers.get("Content-Type") != "application/x-ndjson":
                return given
            lines = [spoilt(json.loads(line)) for line in given.document.splitlines()]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            return Answer(given.status, text.encode(), given.headers)
        return Answer(given.status, spoilt(given.document), given.headers)


@pytest.fixture(name="service")
def _service() -> FakeService:
    service = Spiteful("http://store")
    run = service.add("r1", "deploy-app", ticks=2)
    run.artifacts.append({**ARTIFACT, "notes": "said", "sourcePath": "/output/x"})
    run.say("step.failed", "build", "it broke", "error")
    return service


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_no_terminal_obeys_what_a_service_sends(
    taskrunner: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    form: str,
) -> None:
    (tmp_path / "pack.yaml").write_text(PACK)
    monkeypatch.chdir(tmp_path)

    ended = taskrunner(*command, "-o", form)

    assert ended.out + ended.err
    assert OBEYED.findall(ended.out + ended.err) == []


@pytest.mark.parametrize("said", [b"<html>", b"", b"\xff", b"{}"])
def test_who_is_no_service_of_ours_is_told_from_one(
    taskrunner: Command, service: FakeService, said: bytes
) -> None:
    for command in ("artifacts", "show", "cancel"):
        service.instead.append(Answer(200, said))

        ended = taskrunner(command, "r1")

        assert ended.code == 1
        assert "is this address a TaskRunner API?" in ended.err


def test_a_program_reads_what_was_sent(taskrunner: Command) -> None:
    (summary,) = taskrunner("runs", "-o", "json").document["runs"]

    assert summary["runId"] == "r1" + SPITE
