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
from taskrunner.model.run import StepReference
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.expire_gate import expire_gate
from tests.unit.usecases.given import (
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


def expire(world: World, step_id: str = "review") -> Any:  # noqa: ANN401
    return expire_gate(StepReference(TENANT, "run-7", step_id), world)


def test_fails_a_gate_that_nobody_decided() -> None:
    world = a_world(GATED)
    gate(world)
    world.clock.advance(3600)

    with pytest.raises(ApprovalExpiredError, match="nobody decided the gate review in time"):
        expire(world)

    record = world.approvals.get(TENANT, "run-7", "security")
    assert record.verdict is Verdict.EXPIRED
    assert [(decision.approver, decision.decided_at) for decision in record.decisions] == [
        ("clock", "2025-12-06T13:00:00.000Z")
    ]
    assert entry_ids(world)[-1] == "review#decided"


def test_fails_a_gate_that_could_never_be_opened() -> None:
    world = a_world(GATED)

    with pytest.raises(ApprovalExpiredError):
        expire(world)

    assert entry_ids(world)[-1] == "review#decided"


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
    real = world.approvals.decide

    def overtaken(*args: Any) -> bool:  # noqa: ANN401
        world.approvals.decide = real  # type: ignore[method-assign]
        decide(world)
        return real(*args)

    world.approvals.decide = overtaken  # type: ignore[method-assign, assignment]

    assert expire(world) == {"status": "approved"}
    assert world.approvals.woken == {"token-1": Verdict.APPROVED}


def test_gives_up_after_repeated_conflicts() -> None:
    world = a_world(GATED)
    gate(world)
    world.approvals.decide = lambda *_: False  # type: ignore[method-assign]

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

    assert assert_recovers(arrange, expire) == 2 * 2 * 7
