"""`approvals`, `approve` and `reject`."""

import pytest

from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_service import FakeService, plan_hash


def test_lists_what_is_open_over_all_pages(taskrunner: Command, service: FakeService) -> None:
    for number in range(3):
        service.add(f"r{number}", "deploy-app", ticks=2)
    service.add("not-waiting", "deploy-app")

    said, told = taskrunner("approvals"), taskrunner("approvals", "-o", "json")

    assert [a["runId"] for a in told.document["approvals"]] == ["r0", "r1", "r2"]
    assert said.out.count("Review before deploy") == 3


def test_nothing_open_is_said_in_words(taskrunner: Command) -> None:
    assert taskrunner("approvals").out == "nothing waits for an approval\n"


@pytest.mark.parametrize(
    ("command", "decision", "effect"),
    [
        ("approve", "approved", "the run goes on"),
        ("reject", "rejected", "the run fails at the gate"),
    ],
)
def test_a_decision_shows_the_plan_and_sends_its_hash(
    taskrunner: Command, service: FakeService, command: str, decision: str, effect: str
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
    assert service.seen[-1].document == {
        "decision": decision,
        "planHash": plan_hash("deploy-app"),
        "actorId": "user:ana@example.com",
        "summary": "seen",
    }
    assert service.seen[-1].headers["authorization"] == "Bearer token-1-of-approver"


def test_a_given_hash_is_sent_without_reading_the_run(
    taskrunner: Command, service: FakeService
) -> None:
    service.add("r1", "deploy-app", ticks=2)

    ended = taskrunner(
        "approve", "r1", "security-review", "--plan-hash", plan_hash("deploy-app"), "-o", "json"
    )

    assert ended.document == {"status": "approved", "resumed": True}
    assert [seen.method for seen in service.seen] == ["POST", "POST"]


def test_a_stale_hash_is_refused(taskrunner: Command, service: FakeService) -> None:
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
