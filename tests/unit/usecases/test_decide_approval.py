"""Decisions as use cases see them; the rules themselves are in tests/unit/model/test_approval."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import ConflictError, ForbiddenError, NotFoundError, TryAgainError
from taskrunner.model.approval import Verdict
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.decide_approval import decide_approval
from tests.packs import pack
from tests.unit.usecases.given import (
    ADMIN,
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
    from taskrunner.ports import World
    from tests.fakes.world import MemoryWorld

TWO_OF_THEM = pack(
    "- {id: review, gate: {approval: {id: security}}}",
    spec="approvals: [{id: security, minApprovals: 2}, {id: unused}]",
)


def waiting(manifest: str = GATED) -> MemoryWorld:
    """A world in which run-7 waits at its gate."""
    world = a_world(manifest)
    gate(world)
    return world


def decide(
    world: World,
    verdict: Verdict = Verdict.APPROVED,
    **changes: Any,  # noqa: ANN401 - any argument
) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "plan_hash": world.runs.head(TENANT, "run-7").run.plan_hash,
        "caller": BOB,
        "actor": None,
        "summary": None,
    }
    approval = changes.pop("approval", "security")
    return decide_approval(TENANT, "run-7", approval, verdict, world=world, **(arguments | changes))


def test_an_approval_is_recorded_and_lets_the_run_go_on() -> None:
    world = waiting()

    answer = decide(world, actor="user:bob", summary="looks fine")

    assert answer == {"status": "approved", "resumed": True}
    assert world.approvals.woken == {"token-1": Verdict.APPROVED}
    entry = world.runs.journal(TENANT, "run-7")[-1].entry
    assert (entry.id, entry.step_path, entry.message) == (
        "review#decided",
        "review",
        "Approved: security",
    )
    assert entry.metadata == {
        "approvalId": "security",
        "approver": "bob",
        "actorId": "user:bob",
        "summary": "looks fine",
    }


@pytest.mark.parametrize(("verdict", "caller"), [(Verdict.REJECTED, BOB), (Verdict.EXPIRED, ADMIN)])
def test_what_is_no_approval_fails_the_gate(verdict: Verdict, caller: Any) -> None:  # noqa: ANN401
    world = waiting()

    answer = decide(world, verdict, caller=caller)

    assert answer == {"status": verdict.value, "resumed": False}
    assert world.approvals.woken == {"token-1": verdict}


def test_the_same_decision_again_is_answered_the_same_and_recorded_once() -> None:
    world = waiting()

    first, again = decide(world), decide(world)

    assert first == again
    assert log(world).count("review#decided") == 1


def test_with_two_needed_the_second_lets_the_run_go_on() -> None:
    world = waiting(TWO_OF_THEM)

    answers = [decide(world), decide(world), decide(world, caller=CAROL), decide(world)]

    assert [one["resumed"] for one in answers] == [False, False, True, False]
    assert log(world)[-2:] == ["review#approval#bob", "review#decided"]


def test_the_plan_that_was_reviewed_must_be_the_runs() -> None:
    world = waiting()
    before = everything(world)

    with pytest.raises(ConflictError, match="review that one") as caught:
        decide(world, plan_hash="sha256:" + "0" * 64)

    assert caught.value.code == "plan_hash_mismatch"
    assert everything(world) == before


@pytest.mark.parametrize("approval", ["unused", "security"])
def test_a_gate_that_does_not_wait_cannot_be_decided(approval: str) -> None:
    world = a_world(TWO_OF_THEM)
    before = everything(world)

    with pytest.raises(ConflictError) as caught:
        decide(world, approval=approval)

    assert caught.value.code == "approval_not_open"
    assert everything(world) == before


def test_an_approval_that_the_pack_does_not_have_is_not_found() -> None:
    world = waiting()

    with pytest.raises(NotFoundError, match="approval nobody of run run-7 not found"):
        decide(world, approval="nobody")


def test_a_run_of_another_tenant_is_not_found() -> None:
    world = waiting()

    with pytest.raises(NotFoundError):
        decide_approval(
            "globex",
            "run-7",
            "security",
            Verdict.APPROVED,
            plan_hash=plan_hash(world),
            caller=BOB,
            actor=None,
            summary=None,
            world=world,
        )


def test_a_run_that_was_cancelled_takes_no_decision() -> None:
    world = waiting()
    cancel_run(TENANT, "run-7", "ana", world)

    assert told(lambda: decide(world)) == "ConflictError approval_not_open"
    assert world.approvals.woken == {}


def test_a_decision_before_the_cancellation_is_still_answered_the_same() -> None:
    world = waiting(TWO_OF_THEM)
    first = decide(world)
    cancel_run(TENANT, "run-7", "ana", world)

    assert decide(world) == first


def test_who_may_not_decide_changes_nothing() -> None:
    world = waiting()
    before = everything(world)

    with pytest.raises(ForbiddenError):
        decide(world, Verdict.EXPIRED)

    assert everything(world) == before


def test_who_is_always_overtaken_is_told_to_try_again() -> None:
    world = waiting()
    world.approvals.decide = lambda *_: False  # type: ignore[method-assign]

    with pytest.raises(TryAgainError, match="security"):
        decide(world)


def test_who_is_overtaken_once_decides_on_what_is_there_then() -> None:
    world = waiting()
    real = world.approvals.decide

    def overtaken(*args: Any) -> bool:  # noqa: ANN401
        world.approvals.decide = real  # type: ignore[method-assign]
        decide(world, Verdict.REJECTED, caller=CAROL)
        return real(*args)

    world.approvals.decide = overtaken  # type: ignore[method-assign, assignment]

    assert told(lambda: decide(world)) == "ConflictError approval_already_decided"
    assert world.approvals.woken == {"token-1": Verdict.REJECTED}


def test_of_contrary_decisions_at_once_one_wins_and_the_others_learn() -> None:
    for _ in range(20):
        world = waiting()
        words = [(Verdict.APPROVED, BOB), (Verdict.REJECTED, CAROL)]

        with ThreadPoolExecutor(2) as pool:
            answers = list(
                pool.map(
                    lambda word, world=world: told(lambda: decide(world, word[0], caller=word[1])),
                    words,
                )
            )

        assert answers.count("ConflictError approval_already_decided") == 1
        (winner,) = (one for one in answers if isinstance(one, dict))
        assert world.approvals.woken == {"token-1": Verdict(winner["status"])}
        assert log(world).count("review#decided") == 1


@pytest.mark.parametrize("verdict", [Verdict.APPROVED, Verdict.REJECTED])
def test_deciding_again_after_a_crash_ends_as_if_nothing_had_failed(verdict: Verdict) -> None:
    def arrange() -> MemoryWorld:
        world = a_world(GATED)
        step(world, "build")
        gate(world)
        return world

    assert assert_heals(arrange, lambda world: decide(world, verdict)) == 2 * 2 * 7 + 2 * 2


def test_one_approval_of_two_after_a_crash_counts_once() -> None:
    ways = assert_heals(lambda: waiting(TWO_OF_THEM), decide)

    assert ways == 2 * 2 * 6 + 2 * 2
