"""`approvals`, `approve` and `reject`."""

import pytest

from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_service import FakeService, plan_hash


def test_lists_the_open_approvals_of_all_pages(taskrunner: Command, service: FakeService) -> None:
    for number in range(3):
        service.add(f"r{number}", "deploy-app", ticks=2)
    service.add("not-waiting", "deploy-app")

    as_text, as_json = taskrunner("approvals"), taskrunner("approvals", "-o", "json")

    listed = [approval["runId"] for approval in as_json.document["approvals"]]
    assert listed == ["r0", "r1", "r2"]
    assert as_text.out.count("Review before deploy") == 3


def test_says_that_no_approval_is_open(taskrunner: Command) -> None:
    assert taskrunner("approvals").out == "no open approvals\n"


@pytest.mark.parametrize(
    ("command", "verdict", "effect"),
    [
        ("approve", "approved", "the run continues"),
        ("reject", "rejected", "the run fails at the gate"),
    ],
)
def test_a_decision_shows_the_plan_and_sends_its_hash(
    taskrunner: Command, service: FakeService, command: str, verdict: str, effect: str
) -> None:
    service.add("r1", "deploy-app", ticks=2)

    ended = taskrunner(
        command, "r1", "security-review", "--as", "approver",
        "--summary", "seen", "--actor", "user:ana@example.com",
    )  # fmt: skip

    assert ended.code == 0
    assert "Review before deploy" in ended.out
    assert plan_hash("deploy-app") in ended.out
    assert effect in ended.out
    assert service.requests[-1].document == {
        "decision": verdict,
        "planHash": plan_hash("deploy-app"),
        "actorId": "user:ana@example.com",
        "summary": "seen",
    }
    assert service.requests[-1].headers["authorization"] == "Bearer token-1-of-approver"


def test_sends_a_given_plan_hash_without_reading_the_run(
    taskrunner: Command, service: FakeService
) -> None:
    service.add("r1", "deploy-app", ticks=2)

    ended = taskrunner(
        "approve", "r1", "security-review", "--plan-hash", plan_hash("deploy-app"), "-o", "json"
    )

    assert ended.document == {"status": "approved", "resumed": True}
    assert [request.method for request in service.requests] == ["POST", "POST"]


def test_prints_the_refusal_of_another_plan_hash(taskrunner: Command, service: FakeService) -> None:
    service.add("r1", "deploy-app", ticks=2)

    ended = taskrunner("approve", "r1", "security-review", "--plan-hash", "x", "-o", "json")

    assert (ended.code, ended.out) == (1, "")
    assert ended.error == {
        "error": {
            "code": "plan_hash_mismatch",
            "message": "The run has another plan.",
            "status": 409,
            "traceId": "f62f3c2b",
        }
    }
