"""The response validator accepts what the document describes and nothing else."""

import json
from dataclasses import dataclass, field, replace

import pytest

from tests.api_schema import assert_conforms, nonconformities

HASH = "sha256:" + "a1" * 32
RUN = "/v1/task-runner/runs/run-7"
JSON = {"Content-Type": "application/json"}
STATE = {
    "runId": "run-7",
    "status": "running",
    "pack": {"name": "deploy-app", "version": "2.0.0"},
    "planHash": HASH,
    "failurePolicy": {"maxAttempts": 1, "backoffSeconds": 0, "continueOnError": False},
    "createdAt": "2025-12-06T10:00:00Z",
    "updatedAt": "2025-12-06T10:05:00.125+01:00",
    "steps": [
        {
            "stepId": "build",
            "kind": "Run",
            "enabled": True,
            "continueOnError": False,
            "status": "Running",
            "attempts": 1,
        }
    ],
}
LINE = {
    "timestamp": "2025-12-06T10:00:00Z",
    "level": "info",
    "eventType": "run.created",
    "message": "Run created via API.",
    "metadata": {"planHash": HASH},
    "cursor": "7",
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    method: str = "GET"
    path: str = RUN
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    body: str | bytes | None = None

    def problems(self) -> list[str]:
        return list(nonconformities(self.method, self.path, self.status, self.headers, self.body))


def refusal(code: str, **extra: object) -> str:
    return json.dumps({"error": {"code": code, "message": "no", "traceId": "1"}, **extra})


def ndjson(*entries: object) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)


READ = Answer(body=json.dumps(STATE))
CREATED = Answer(
    method="POST",
    path="/v1/task-runner/runs",
    status=201,
    headers={"content-type": "application/json; charset=utf-8", "location": RUN},
    body=json.dumps(STATE),
)
LOG = Answer(
    path=f"{RUN}/logs?limit=2",
    headers={"Content-Type": "application/x-ndjson", "X-TaskRunner-Cursor": "7"},
    body=ndjson(LINE, {**LINE, "stepId": "build"}),
)
DOWNLOAD = Answer(
    path=f"{RUN}/artifacts/scan-report",
    status=302,
    headers={"Location": "https://bucket.example.com/x?signature=1"},
)
UNCHANGED = Answer(path="/openapi", status=304, headers={"ETag": '"abc"'}, body="")
REFUSED_PACK = Answer(
    method="POST",
    path="/v1/task-runner/simulations",
    status=400,
    body=refusal("invalid_pack", errors=[{"path": "$.spec", "message": "line 3: missing"}]),
)


def changed_state(**changes: object) -> str:
    return json.dumps({**STATE, **changes})


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(READ, id="a state"),
        pytest.param(replace(READ, body=json.dumps(STATE).encode()), id="bytes"),
        pytest.param(CREATED, id="a run created"),
        pytest.param(LOG, id="a log"),
        pytest.param(replace(LOG, body=""), id="a log without news"),
        pytest.param(DOWNLOAD, id="a redirect"),
        pytest.param(UNCHANGED, id="not modified"),
        pytest.param(REFUSED_PACK, id="a pack refused"),
        pytest.param(Answer(status=404, body=refusal("not_found")), id="no such run"),
        pytest.param(Answer(status=503, body=refusal("try_again")), id="a status by default"),
        pytest.param(
            Answer(method="DELETE", status=405, body=refusal("method_not_allowed")),
            id="no such method",
        ),
        pytest.param(Answer(path="/nowhere", status=404, body=refusal("not_found")), id="no path"),
        pytest.param(
            Answer(path="/v1/task-runner/runs", body='{"runs": []}'), id="a list, not a run"
        ),
    ],
)
def test_an_answer_of_the_document_conforms(answer: Answer) -> None:
    assert answer.problems() == []


@pytest.mark.parametrize(
    ("answer", "reported"),
    [
        (replace(READ, status=204), "the document has no response 204"),
        (replace(READ, path="/nowhere"), "the document has no response 200"),
        (replace(READ, method="PUT"), "the document has no response 200"),
        (replace(READ, headers={}), "content-type '' is not one of application/json"),
        (replace(READ, headers={"Content-Type": "text/plain"}), "content-type 'text/plain'"),
        (replace(READ, body=""), "not JSON"),
        (replace(READ, body="{"), "not JSON"),
        (replace(READ, body='{"runId": NaN}'), "not JSON: NaN"),
        (replace(READ, body=changed_state(planHash="sha256:a1b2...")), "$.planHash"),
        (replace(READ, body=changed_state(createdAt="yesterday")), "is not a 'date-time'"),
        (replace(READ, body=changed_state(createdAt="2025-12-06T10:00:00")), "'date-time'"),
        (replace(READ, body=changed_state(createdAt="2025-13-06T10:00:00Z")), "'date-time'"),
        (replace(READ, body=changed_state(startedAt=None)), "$.startedAt: None is not of type"),
        (replace(READ, body=changed_state(status="done")), "$.status: 'done' is not one of"),
        (replace(READ, body=changed_state(colour="red")), "'colour' was unexpected"),
        (
            replace(READ, body=changed_state(steps=[{**STATE["steps"][0], "statusreason": ""}])),  # type: ignore[index]
            "$.steps[0]: Additional properties are not allowed ('statusreason'",
        ),
        (replace(READ, body="{}"), "'runId' is a required property"),
        (replace(CREATED, headers=JSON), "header Location is missing"),
        (replace(LOG, body=ndjson(LINE).rstrip("\n")), "the last line has no end"),
        (replace(LOG, body=ndjson(LINE) + "\n"), "line 2: not JSON"),
        (replace(LOG, body=ndjson(LINE, {**LINE, "level": "fatal"})), "line 2: $.level"),
        (replace(LOG, body=ndjson({**LINE, "metadata": {"n": 1}})), "line 1: $.metadata.n"),
        (replace(LOG, headers=JSON), "not one of application/x-ndjson"),
        (replace(DOWNLOAD, body="{}"), "a body that the document does not have"),
        (replace(DOWNLOAD, headers={}), "header Location is missing"),
        (replace(UNCHANGED, headers={}), "header ETag is missing"),
        (replace(REFUSED_PACK, body=refusal("invalid_pack")), "'errors' is a required property"),
        (replace(REFUSED_PACK, body='{"errors": []}'), "no error envelope"),
        (Answer(status=404, body='{"message": "Not Found"}'), "no error envelope"),
        (Answer(status=404, body="[]"), "no error envelope"),
        (Answer(status=404, body=refusal("gone")), "error code 'gone' is not documented"),
        (Answer(status=400, body=refusal("not_found")), "belongs to status 404"),
        (Answer(path="/nowhere", status=404, body="nothing"), "not JSON"),
        (
            Answer(path="/openapi", headers={"Content-Type": "application/yaml"}, body="openapi:"),
            "header X-Signature is missing",
        ),
        (
            Answer(
                path="/openapi",
                headers={
                    "Content-Type": "application/yaml",
                    "ETag": '"abc"',
                    "X-Signature": "sha256:def456...",
                },
                body="openapi:",
            ),
            "header X-Signature: 'sha256:def456...' does not match",
        ),
    ],
)
def test_any_other_answer_is_refused(answer: Answer, reported: str) -> None:
    problems = answer.problems()

    assert any(reported in problem for problem in problems), problems


def test_the_assertion_tells_the_request_and_every_problem() -> None:
    body = changed_state(status="done", planHash="?")

    with pytest.raises(AssertionError, match=rf"200 to GET {RUN}") as refused:
        assert_conforms("GET", RUN, 200, JSON, body)

    assert "$.status" in str(refused.value)
    assert "$.planHash" in str(refused.value)
