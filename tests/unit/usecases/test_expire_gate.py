"""Gates that the clock decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import (
    ApprovalExpiredError,
    ApprovalRejectedError,
    ConflictError,
    TryAgainError,
)
from taskrunner.model.approval import Verdict
from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus, StepReference
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.expire_gate import expire_gate
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    GATED,
    TENANT,
    a_world,
    assert_recovers,
    decide,
    entry_ids,
    gate,
    result_of,
    step,
)

if TYPE_CHECKING:
    from taskrunner.ports import World
    from tests.fakes.world import MemoryWorld


EACH = pack(
    """
    - id: each
      continueOnError: true
      map:
        items: {static: [1, 2, 3]}
        steps: [{id: review, gate: {approval: {id: security}}}]
    """,
    spec="approvals: [{id: security, expiresAfterSeconds: 60}]",
)


def expire(world: World, *, iteration: str = "") -> Any:  # noqa: ANN401
    return expire_gate(StepReference(TENANT, "run-7", "review", iteration), world)


def test_fails_a_gate_that_nobody_decided_and_the_run_with_it() -> None:
    world = a_world(GATED)
    gate(world)
    world.clock.advance(3600)

    with pytest.raises(ApprovalExpiredError, match="nobody decided the gate review in time"):
        expire(world)

    expired, end = [placed.entry for placed in world.runs.journal(TENANT, "run-7")][-2:]
    assert (expired.id, expired.event) == ("review#decided", Event.GATE_EXPIRED)
    assert expired.metadata == {"approvalId": "security", "approver": "clock"}
    assert expired.occurred_at == end.occurred_at == "2025-12-06T13:00:00.000Z"
    assert end.message == "Run failed: step review failed."
    assert end.metadata == {"error": "ApprovalExpiredError"}
    assert world.runs.snapshot(TENANT, "run-7").run.outcome is RunStatus.FAILED


def test_fails_a_gate_that_could_never_be_opened() -> None:
    world = a_world(GATED)

    with pytest.raises(ApprovalExpiredError):
        expire(world)

    assert entry_ids(world)[-2:] == ["review#decided", "run.ended"]


def test_leaves_the_other_gates_of_the_approval_their_own_time() -> None:
    world = a_world(EACH)
    for number in (0, 1):
        gate(world, "review", f"token-{number}", iteration=f"each[{number}]::")
        world.clock.advance(30)

    with pytest.raises(ApprovalExpiredError):
        expire(world, iteration="each[0]::")
    gate(world, "review", "token-2", iteration="each[2]::")

    assert world.approvals.woken == {}
    assert world.approvals.get(TENANT, "run-7", "security").verdict is None
    assert world.runs.snapshot(TENANT, "run-7").run.outcome is None
    (listed,) = world.approvals.list_open(TENANT, 10, None).items
    assert listed["stepId"] == "each[2]::review"
    decide(world)
    assert world.approvals.woken == {
        "token-1": Verdict.APPROVED,
        "token-2": Verdict.APPROVED,
    }


def test_lists_a_gate_that_still_waits() -> None:
    world = a_world(EACH)
    for number in (0, 1):
        gate(world, "review", f"token-{number}", iteration=f"each[{number}]::")
    (listed,) = world.approvals.list_open(TENANT, 10, None).items
    assert listed["stepId"] == "each[1]::review"

    result_of(lambda: expire(world, iteration="each[1]::"))

    (listed,) = world.approvals.list_open(TENANT, 10, None).items
    assert listed["stepId"] == "each[0]::review"
    result_of(lambda: expire(world, iteration="each[0]::"))
    assert world.approvals.list_open(TENANT, 10, None).items == []


def test_an_approval_just_before_lets_the_run_go_on() -> None:
    world = a_world(GATED)
    gate(world)
    decide(world)

    assert expire(world) == {"status": "approved"}

    assert entry_ids(world).count("review#decided") == 1


def test_a_rejection_just_before_fails_the_gate() -> None:
    world = a_world(GATED)
    gate(world)
    decide(world, Verdict.REJECTED)

    with pytest.raises(ApprovalRejectedError):
        expire(world)


def test_rejects_a_decision_after_the_expiry() -> None:
    world = a_world(GATED)
    gate(world)
    result_of(lambda: expire(world))

    with pytest.raises(ConflictError) as caught:
        decide(world)

    assert caught.value.code == "approval_already_decided"


def test_a_decision_at_the_same_time_counts() -> None:
    world = a_world(GATED)
    gate(world)
    real = world.approvals.expire

    def overtaken(*args: Any) -> bool:  # noqa: ANN401
        decide(world)
        return real(*args)

    world.approvals.expire = overtaken  # type: ignore[assignment, method-assign]

    assert expire(world) == {"status": "approved"}
    assert world.approvals.woken == {"token-1": Verdict.APPROVED}


def test_gives_up_after_repeated_conflicts() -> None:
    world = a_world(GATED)
    gate(world)
    world.approvals.expire = lambda *_: False  # type: ignore[method-assign]

    with pytest.raises(TryAgainError, match="review"):
        expire(world)


def test_rejects_the_expiry_of_a_run_that_has_ended() -> None:
    world = a_world(GATED)
    gate(world)
    cancel_run(TENANT, "run-7", "ana", world)

    with pytest.raises(ConflictError):
        expire(world)

    assert entry_ids(world)[-1] == "run.cancelled"


def test_expiring_again_after_a_crash_expires_the_gate() -> None:
    def arrange() -> MemoryWorld:
        world = a_world(GATED)
        step(world, "build")
        gate(world)
        return world

    assert assert_recovers(arrange, expire) == 2 * 2 * 13
