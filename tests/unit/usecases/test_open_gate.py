from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import (
    ApprovalExpiredError,
    ApprovalRejectedError,
    ConflictError,
    TryAgainError,
)
from taskrunner.model.approval import Verdict
from taskrunner.model.run import StepReference
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.decide_approval import decide_approval
from taskrunner.usecases.open_gate import expire_gate
from tests.packs import pack
from tests.unit.usecases.given import (
    BOB,
    CAROL,
    GATED,
    TENANT,
    a_world,
    assert_heals,
    everything,
    gate,
    log,
    plan_hash,
    step,
    told,
)

if TYPE_CHECKING:
    from taskrunner.model.notification import Notification
    from taskrunner.ports.world import World
    from tests.fakes.world import MemoryWorld

OVERRIDDEN = pack(
    """
    - id: checked
      gate:
        policy: {policy: never, failureAction: requestOverride, override: {approval: exception}}
    """,
    spec="""
    policies: [{id: never, version: "1", rules: [{id: no, require: "`false`"}]}]
    approvals: [{id: exception, minApprovals: 2, message: Only in an emergency}]
    """,
    name="overridden",
)
TWO_GATES = pack(
    """
    - {id: review, gate: {approval: {id: security}}}
    - {id: again, gate: {approval: {id: security}}}
    """,
    spec="approvals: [{id: security, minApprovals: 2}]",
)


def decide(
    world: MemoryWorld,
    verdict: Verdict = Verdict.APPROVED,
    *,
    by: Any = BOB,  # noqa: ANN401
) -> None:
    decide_approval(
        TENANT,
        "run-7",
        "security",
        verdict,
        plan_hash=plan_hash(world),
        caller=by,
        actor=None,
        summary=None,
        world=world,
    )


def expire(world: World, step_id: str = "review") -> Any:  # noqa: ANN401
    return expire_gate(StepReference(TENANT, "run-7", step_id), world)


def waiting(world: MemoryWorld) -> list[str]:
    run = world.runs.head(TENANT, "run-7").run
    return [one.step_path for one in world.approvals.waiting(run, "security")]


def notifications(world: MemoryWorld) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in world.notifications.published]


class TestOpening:
    def test_the_gate_waits_until_its_approval_expires(self) -> None:
        world = a_world(GATED)

        assert gate(world) == {"status": "open"}

        (one,) = world.approvals.list_open(TENANT, 10, None).items
        assert (one["openedAt"], one["expiresAt"]) == (
            "2025-12-06T12:00:00.000Z",
            "2025-12-06T13:00:00.000Z",
        )
        assert log(world) == ["run.created", "run.started", "review#awaiting"]

    def test_it_stands_in_the_list_of_open_approvals(self) -> None:
        world = a_world(GATED)

        gate(world)

        assert world.approvals.list_open(TENANT, 10, None).items == [
            {
                "runId": "run-7",
                "approvalId": "security",
                "stepId": "review",
                "grants": ["packs.approve"],
                "openedAt": "2025-12-06T12:00:00.000Z",
                "expiresAt": "2025-12-06T13:00:00.000Z",
                "planHash": plan_hash(world),
                "pack": {"name": "gated", "version": "1.0.0"},
                "requestedBy": "ana",
                "message": "Look at the build first",
            }
        ]

    def test_no_token_is_shown_anywhere(self) -> None:
        world = a_world(GATED)

        answer = gate(world, token="secret-token")

        record = world.approvals.get(TENANT, "run-7", "security")
        journal = [placed.entry for placed in world.runs.journal(TENANT, "run-7")]
        shown = (answer, record, journal, world.approvals.list_open(TENANT, 10, None))
        assert "secret-token" not in repr((shown, world.notifications))

    def test_opening_twice_opens_once_under_the_newer_token(self) -> None:
        world = a_world(GATED)

        gate(world, token="older")
        gate(world, token="newer")
        assert waiting(world) == ["review"]
        decide(world)

        assert log(world).count("review#awaiting") == 1
        assert waiting(world) == []
        assert world.approvals.woken == {"newer": Verdict.APPROVED}

    def test_opening_again_after_the_journal_moved_on_says_nothing_twice(self) -> None:
        world = a_world(TWO_GATES)
        gate(world)
        decide(world)
        head = world.runs.head(TENANT, "run-7")
        for number in range(9):
            entry = replace(head.tail[0].entry, id=f"e{number}")
            world.runs.append(head, [entry])

        gate(world, token="newer")

        assert log(world).count("review#awaiting") == 1

    def test_a_run_that_has_ended_opens_nothing(self) -> None:
        world = a_world(GATED)
        cancel_run(TENANT, "run-7", "ana", world)
        before = everything(world)

        with pytest.raises(ConflictError) as caught:
            gate(world)

        assert caught.value.code == "run_ended"
        assert everything(world) == before

    def test_who_is_always_overtaken_is_told_to_try_again(self) -> None:
        world = a_world(GATED)
        world.approvals.open = lambda *_, **__: False  # type: ignore[method-assign]

        with pytest.raises(TryAgainError, match="review"):
            gate(world)


class TestNotifying:
    def test_approvers_are_told_of_the_gate_that_waits(self) -> None:
        world = a_world(GATED)

        gate(world)

        (told_of,) = notifications(world)
        assert told_of.pop("id") == world.notifications.published[0].id
        assert told_of == {
            "kind": "awaiting-approval",
            "tenant": TENANT,
            "runId": "run-7",
            "approvalId": "security",
            "stepId": "review",
            "message": "Look at the build first",
            "grants": ["packs.approve"],
            "minApprovals": 1,
            "planHash": plan_hash(world),
            "pack": {"name": "gated", "version": "1.0.0"},
            "requestedBy": "ana",
            "openedAt": "2025-12-06T12:00:00.000Z",
            "expiresAt": "2025-12-06T13:00:00.000Z",
            "decisionPath": "/v1/task-runner/runs/run-7/approvals/security",
        }

    def test_they_are_told_of_a_policy_that_somebody_may_override(self) -> None:
        world = a_world(OVERRIDDEN)

        gate(world, "checked")

        (told_of,) = notifications(world)
        said = ("kind", "approvalId", "stepId", "minApprovals", "message")
        assert [told_of[name] for name in said] == [
            "awaiting-override",
            "exception",
            "checked",
            2,
            "Only in an emergency",
        ]

    def test_nobody_is_told_before_the_gate_is_on_record(self) -> None:
        world = a_world(GATED)
        seen: list[list[str]] = []

        def publish(_: object) -> bool:
            seen.append(waiting(world))
            return True

        world.notifications.publish = publish  # type: ignore[method-assign, assignment]

        gate(world)

        assert seen == [["review"]]

    def test_opening_again_tells_nobody_again(self) -> None:
        world = a_world(GATED)

        gate(world, token="older")
        world.clock.advance(60)
        gate(world, token="newer")

        assert len(world.notifications.published) == 1

    def test_neither_does_it_after_one_of_two_approvals(self) -> None:
        world = a_world(TWO_GATES)
        gate(world)
        decide(world)

        gate(world, token="newer")

        assert len(world.notifications.published) == 1

    def test_what_is_not_known_to_be_out_is_told_again_under_one_id(self) -> None:
        world = a_world(GATED)
        world.approvals.record_notified = lambda *_: None  # type: ignore[method-assign]

        gate(world, token="older")
        world.clock.advance(60)
        gate(world, token="newer")

        first, second = notifications(world)
        assert first["id"] == second["id"]
        assert first["openedAt"] != second["openedAt"]

    def test_a_table_that_is_too_busy_to_note_it_fails_no_gate(self) -> None:
        world = a_world(GATED)

        def record_notified(*_: object) -> None:
            raise TryAgainError("others write to the same item again and again")

        world.approvals.record_notified = record_notified  # type: ignore[method-assign, assignment]

        assert gate(world) == {"status": "open"}

        assert len(world.notifications.published) == 1

    def test_each_gate_of_an_approval_is_told_of(self) -> None:
        world = a_world(TWO_GATES)

        gate(world)
        gate(world, "again", token="token-2")

        assert [one["stepId"] for one in notifications(world)] == ["review", "again"]
        assert len({one.id for one in world.notifications.published}) == 2

    @pytest.mark.parametrize("verdict", [Verdict.APPROVED, Verdict.REJECTED])
    def test_a_gate_that_is_decided_already_is_none_to_tell_of(self, verdict: Verdict) -> None:
        world = a_world(TWO_GATES)
        gate(world)
        decide(world, verdict)
        if verdict is Verdict.APPROVED:
            decide(world, by=CAROL)
        world.notifications.published.clear()

        gate(world, "again", token="token-2")

        assert world.notifications.published == []

    def test_a_gate_that_nobody_could_be_told_of_waits_and_is_listed(self) -> None:
        world = a_world(GATED)
        world.notifications.is_down = True

        assert gate(world) == {"status": "open"}

        assert waiting(world) == ["review"]
        listed = world.approvals.list_open(TENANT, 10, None).items
        assert [one["stepId"] for one in listed] == ["review"]
        decide(world)
        assert world.approvals.woken == {"token-1": Verdict.APPROVED}

    def test_opening_it_again_tries_once_more(self) -> None:
        world = a_world(GATED)
        world.notifications.is_down = True
        gate(world, token="older")
        world.notifications.is_down = False

        gate(world, token="newer")
        gate(world, token="newest")

        assert len(world.notifications.published) == 1

    def test_a_decision_in_the_middle_of_telling_stands(self) -> None:
        world = a_world(GATED)
        real = world.notifications.publish

        def decided_meanwhile(one: Notification) -> bool:
            decide(world)
            return real(one)

        world.notifications.publish = decided_meanwhile  # type: ignore[method-assign, assignment]

        gate(world)

        record = world.approvals.get(TENANT, "run-7", "security")
        assert record.verdict is Verdict.APPROVED
        assert world.approvals.woken == {"token-1": Verdict.APPROVED}


class TestASecondGateOnOneApproval:
    @pytest.mark.parametrize("verdict", [Verdict.APPROVED, Verdict.REJECTED])
    def test_a_recorded_decision_holds_for_it_at_once(self, verdict: Verdict) -> None:
        world = a_world(TWO_GATES)
        gate(world)
        decide(world, verdict)
        if verdict is Verdict.APPROVED:
            decide(world, by=CAROL)

        answer = gate(world, "again", token="token-2")

        assert answer == {"status": verdict.value}
        assert world.approvals.woken == {"token-1": verdict, "token-2": verdict}
        assert log(world)[-2:] == ["again#awaiting", "again#decided"]
        assert world.approvals.list_open(TENANT, 10, None).items == []

    def test_two_that_wait_are_woken_together(self) -> None:
        world = a_world(TWO_GATES)
        gate(world)
        gate(world, "again", token="token-2")

        assert waiting(world) == ["again", "review"]
        decide(world)
        decide(world, by=CAROL)

        assert waiting(world) == []
        assert set(world.approvals.woken) == {"token-1", "token-2"}
        assert sorted(log(world)[-2:]) == ["again#decided", "review#decided"]


class TestExpiring:
    def test_a_gate_that_nobody_decided_fails_for_the_clock(self) -> None:
        world = a_world(GATED)
        gate(world)
        world.clock.advance(3600)

        with pytest.raises(ApprovalExpiredError, match="nobody decided the gate review in time"):
            expire(world)

        record = world.approvals.get(TENANT, "run-7", "security")
        assert record.verdict is Verdict.EXPIRED
        assert [(one.approver, one.decided_at) for one in record.decisions] == [
            ("clock", "2025-12-06T13:00:00.000Z")
        ]
        assert log(world)[-1] == "review#decided"

    def test_a_gate_that_never_opened_expires_all_the_same(self) -> None:
        world = a_world(GATED)

        with pytest.raises(ApprovalExpiredError):
            expire(world)

        assert log(world)[-1] == "review#decided"

    def test_an_approval_just_before_lets_the_run_go_on(self) -> None:
        world = a_world(GATED)
        gate(world)
        decide(world)

        assert expire(world) == {"status": "approved"}

        assert log(world).count("review#decided") == 1

    def test_a_rejection_just_before_stands(self) -> None:
        world = a_world(GATED)
        gate(world)
        decide(world, Verdict.REJECTED)

        with pytest.raises(ApprovalRejectedError):
            expire(world)

    def test_nothing_is_decided_after_it(self) -> None:
        world = a_world(GATED)
        gate(world)
        told(lambda: expire(world))

        with pytest.raises(ConflictError) as caught:
            decide(world)

        assert caught.value.code == "approval_already_decided"

    def test_a_decision_at_the_same_moment_stands(self) -> None:
        world = a_world(GATED)
        gate(world)
        real = world.approvals.decide

        def overtaken(*args: Any) -> bool:  # noqa: ANN401
            world.approvals.decide = real  # type: ignore[method-assign]
            decide(world)
            return real(*args)

        world.approvals.decide = overtaken  # type: ignore[method-assign, assignment]

        assert expire(world) == {"status": "approved"}
        assert world.approvals.woken == {"token-1": Verdict.APPROVED}

    def test_who_is_always_overtaken_while_expiring_is_told_to_try_again(self) -> None:
        world = a_world(GATED)
        gate(world)
        world.approvals.decide = lambda *_: False  # type: ignore[method-assign]

        with pytest.raises(TryAgainError, match="review"):
            expire(world)

    def test_a_run_that_has_ended_expires_nothing(self) -> None:
        world = a_world(GATED)
        gate(world)
        cancel_run(TENANT, "run-7", "ana", world)

        with pytest.raises(ConflictError):
            expire(world)

        assert log(world)[-1] == "run.cancelled"


class TestCrashes:
    def test_opening_again_ends_as_if_nothing_had_failed(self) -> None:
        assert assert_heals(lambda: a_world(GATED), gate) == 2 * 2 * 7

    def test_opening_a_decided_gate_again_wakes_it_once(self) -> None:
        def arrange() -> MemoryWorld:
            world = a_world(TWO_GATES)
            gate(world)
            decide(world, Verdict.REJECTED)
            return world

        ways = assert_heals(arrange, lambda world: gate(world, "again", "token-2"))

        assert ways == 2 * 2 * 6

    def test_expiring_again_ends_as_if_nothing_had_failed(self) -> None:
        def arrange() -> MemoryWorld:
            world = a_world(GATED)
            step(world, "build")
            gate(world)
            return world

        assert assert_heals(arrange, expire) == 2 * 2 * 6
