"""Answers that are none of the API's, to each request of every command.

Any answer of a service, or of a page in its place: no traceback, and a documented exit code.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_http import Answer, Request
from tests.unit.cli.fake_run import FakeRun
from tests.unit.cli.fake_service import ARTIFACT, COMPARISON, FakeService

ROOT = Path(__file__).resolve().parents[3]
PACK = str(ROOT / "examples/deploy-app.yaml")
EXIT_CODES = {0, 1, 2, 3}
COMMANDS = {
    "runs": ("runs", "--limit", "5"),
    "show": ("show", "r1"),
    "watch": ("watch", "r1"),
    "logs": ("logs", "r1"),
    "logs follow": ("logs", "r1", "--follow"),
    "logs failed": ("logs", "r1", "--failed"),
    "outputs": ("outputs", "r1", "build"),
    "artifacts": ("artifacts", "r1"),
    "artifacts download": ("artifacts", "download", "r1"),
    "evidence fetch": ("evidence", "fetch", "r1"),
    "approvals": ("approvals",),
    "approve": ("approve", "r1", "security-review", "--yes"),
    "reject": ("reject", "r1", "security-review", "--yes", "-o", "json"),
    "cancel": ("cancel", "r1"),
    "simulate": ("simulate", PACK),
    "plan": ("plan", PACK, "--diff", "r0"),
    "run": ("run", PACK),
    "rerun": ("rerun", "r1", "--detach"),
}
HTML = b"<!doctype html><title>Sign in</title>"
ENVELOPE = {
    "error": {"code": ["no"], "message": {"a": 1}, "traceId": 7},
    "errors": [3, {"path": 1}],
}
ANSWERS = {
    "html": Answer(200, HTML, {"Content-Type": "text/html"}),
    "nothing": Answer(200, b""),
    "no content": Answer(204),
    "not modified": Answer(304),
    "half json": Answer(200, b'{"runId": "r1", "steps": ['),
    "half answer": Answer(200, b'{"a"', {"Content-Length": "99", "Connection": "close"}),
    "deep": Answer(200, b"[" * 100_000),
    "deep object": Answer(200, b'{"a":' * 100_000),
    "infinite": Answer(200, b'{"runId": "r1", "sizeBytes": 1e400}'),
    "not a number": Answer(200, b"NaN"),
    "many digits": Answer(200, b"9" * 10_000),
    "byte order mark": Answer(200, b"\xef\xbb\xbf{}"),
    "not utf-8": Answer(200, b'{"runId": "\xff"}'),
    "surrogate": Answer(200, b'{"runId": "\\ud800", "planHash": "\\udfff", "steps": []}'),
    "twice": Answer(200, b'{"runId": "a", "runId": "b"}'),
    "null": Answer(200, b"null"),
    "text": Answer(200, b'"text"'),
    "list": Answer(200, [[], 1, None]),
    "lines": Answer(200, b'1\n"a"\n{}\n[]\nnull\n'),
    "broken line": Answer(200, b'{"message": "a"}\n{"message'),
    "not gzip": Answer(200, b"{}", {"Content-Encoding": "gzip"}),
    "redirect": Answer(302, headers={"Location": "https://example.invalid/login"}),
    "redirect nowhere": Answer(302),
    "redirect odd": Answer(307, headers={"Location": "http://[::1"}),
    "redirect file": Answer(302, headers={"Location": "file:///etc/passwd"}),
    "teapot": Answer(418, HTML),
    "odd error": Answer(400, ENVELOPE),
    "odd conflict": Answer(409, {"error": "no"}),
    "error list": Answer(500, [1]),
    "wait long": Answer(429, headers={"Retry-After": "9" * 400}),
    "wait odd": Answer(503, headers={"Retry-After": "-1"}),
    "wait date": Answer(503, headers={"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}),
    "status": Answer(599, b"\x00"),
}


class InterruptedService(FakeService):
    """A service of which one request, counted from 0 without those for tokens, is answered by
    *answer*, and, if *stays* is set, so are all after it.
    """

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")
        self.answer: Answer | None = None
        self.at = 0
        self.stays = False
        self.calls = 0
        self.approval = {"runId": "r1", "approvalId": "security-review"}
        self.comparison = COMPARISON

    def route(self, request: Request) -> Answer:
        if request.path == "/token":
            return super().route(request)
        number, self.calls = self.calls, self.calls + 1
        if self.answer and (number == self.at or (self.stays and number > self.at)):
            return self.answer
        return super().route(request)

    def add(self, run_id: str, pack: str = "scan-deploy", *, ticks: int = 0) -> FakeRun:
        run = super().add(run_id, pack, ticks=ticks)
        run.verdict = "approved"  # so that every run ends
        return run

    def begin(self, answer: Answer | None, at: int, *, stays: bool) -> None:
        self.answer, self.at, self.stays, self.calls = answer, at, stays, 0
        self.runs.clear()
        run = self.add("r1", "deploy-app", ticks=2)
        run.artifacts = [ARTIFACT]


@pytest.fixture(name="service")
def _service() -> InterruptedService:
    return InterruptedService()


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_no_answer_is_a_traceback(
    taskrunner: Command,
    service: InterruptedService,
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    service.begin(None, 0, stays=False)
    taskrunner(*command)
    requests = service.calls
    assert requests

    # Each answer to another request, and to all that follow the first: together that is every kind
    # of answer, and every request.
    for number, (name, answer) in enumerate(ANSWERS.items()):
        at = number % requests
        service.begin(answer, at, stays=at == 0)

        ended = taskrunner(*command)

        assert ended.code in EXIT_CODES, (name, at, ended)
        assert ended.out or ended.err, (name, at, ended)
        assert "Traceback" not in ended.out + ended.err
        if ended.code and "-o" in command:
            _assert_is_error(json.loads(ended.err))


def _assert_is_error(document: Any) -> None:  # noqa: ANN401 -- any JSON
    assert isinstance(document["error"]["code"], str)
    assert isinstance(document["error"]["message"], str)
