"""Decisions as use cases see them; the rules themselves are in tests/unit/model/test_approval."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import ConflictError, ForbiddenError, NotFoundError, TryAgainError
from taskrunner.model.approval import Verdict
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.decide_approval import decide_approval
from taskrunner.usecases.read_step import run_step_state
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    ADMIN,
    BOB,
    CAROL,
    GATED,
    TENANT,
    a_world,
    assert_recovers,
    entry_ids,
    gate,
    plan_hash,
    result_of,
    step,
    stored_state,
)

if TYPE_CHECKING:
    from taskrunner.ports import World
    from tests.fakes.world import MemoryWorld

TWO_OF_THEM = pack(
    "- {id: review, gate: {approval: {id: security}}}",
    spec="approvals: [{id: security, minApprovals: 2}, {id: unused}]",
)


LANES = pack(
    """
    - id: lanes
      CONTAINED
      parallel:
        steps:
          - id: inner
            parallel:
              steps:
                - {id: one, gate: {approval: {id: security}}}
                - {id: other, gate: {approval: {id: legal}}}
                - {id: bad, run: {uses: builtin:fail}}
          - {id: beside, gate: {approval: {id: security}}}
    """,
    spec="approvals: [{id: security}, {id: legal}]",
)
CONTAINED = LANES.replace("CONTAINED", "continueOnError: true")
UNCONTAINED = LANES.replace("CONTAINED", "name: Lanes")
EACH = pack(
    """
    - id: each
      continueOnError: true
      map:
        items: {static: [1, 2, 3]}
        steps:
          - {id: review, gate: {approval: {id: security}}}
    """,
    spec="approvals: [{id: security, expiresAfterSeconds: 60}]",
)


def open_lanes(manifest: str) -> MemoryWorld:
    """A world in which all three gates of LANES wait."""
    world = a_world(manifest)
    for step_id in ("one", "other", "beside"):
        gate(world, step_id, f"token-{step_id}")
    return world


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
        "plan_hash": world.runs.snapshot(TENANT, "run-7").run.plan_hash,
        "caller": BOB,
        "actor": None,
        "summary": None,
    }
    approval = changes.pop("approval", "security")
    return decide_approval(TENANT, "run-7", approval, verdict, world=world, **(arguments | changes))


def test_records_an_approval_and_wakes_the_gate() -> None:
    world = waiting()

    bob = replace(BOB, name="release-bot")
    answer = decide(world, caller=bob, actor="user:bob", summary="looks fine")

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
        "approverName": "release-bot",
        "actorId": "user:bob",
        "summary": "looks fine",
    }


def test_the_outputs_of_the_gate_name_the_approver_as_the_registry_does() -> None:
    world = waiting()

    decide(world, caller=replace(BOB, name="release-bot"))

    (approver,) = run_step_state(TENANT, "run-7", "review", world)["outputs"]["approvals"]
    assert (approver["subject"], approver["name"]) == ("bob", "release-bot")


@pytest.mark.parametrize(("verdict", "caller"), [(Verdict.REJECTED, BOB), (Verdict.EXPIRED, ADMIN)])
def test_a_rejection_or_expiry_fails_the_gate(verdict: Verdict, caller: Any) -> None:  # noqa: ANN401
    world = waiting()

    answer = decide(world, verdict, caller=caller)

    assert answer == {"status": verdict.value, "resumed": False}
    assert world.approvals.woken == {"token-1": verdict}


def test_a_repeated_decision_gets_the_same_answer_and_is_recorded_once() -> None:
    world = waiting()

    first, again = decide(world), decide(world)

    assert first == again
    assert entry_ids(world).count("review#decided") == 1


def test_the_second_of_two_needed_approvals_wakes_the_gate() -> None:
    world = waiting(TWO_OF_THEM)

    answers = [decide(world), decide(world), decide(world, caller=CAROL), decide(world)]

    assert [answer["resumed"] for answer in answers] == [False, False, True, False]
    assert entry_ids(world)[-2:] == ["review#approval#bob", "review#decided"]


def test_rejects_a_decision_on_another_plan() -> None:
    world = waiting()
    before = stored_state(world)

    with pytest.raises(ConflictError, match="review that one") as caught:
        decide(world, plan_hash="sha256:" + "0" * 64)

    assert caught.value.code == "plan_hash_mismatch"
    assert stored_state(world) == before


@pytest.mark.parametrize("approval", ["unused", "security"])
def test_rejects_a_decision_when_no_gate_waits(approval: str) -> None:
    world = a_world(TWO_OF_THEM)
    before = stored_state(world)

    with pytest.raises(ConflictError) as caught:
        decide(world, approval=approval)

    assert caught.value.code == "approval_not_open"
    assert stored_state(world) == before


def test_does_not_find_an_approval_that_the_pack_does_not_declare() -> None:
    world = waiting()

    with pytest.raises(NotFoundError) as refused:
        decide(world, approval="nobody")

    assert str(refused.value) == "approval nobody of run run-7 not found; available: security"


def test_does_not_find_a_run_of_another_tenant() -> None:
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


def test_rejects_a_decision_on_a_cancelled_run() -> None:
    world = waiting()
    cancel_run(TENANT, "run-7", "ana", world)

    assert result_of(lambda: decide(world)) == "ConflictError approval_not_open"
    assert world.approvals.woken == {}


def test_a_decision_from_before_a_cancellation_gets_the_same_answer_again() -> None:
    world = waiting(TWO_OF_THEM)
    first = decide(world)
    cancel_run(TENANT, "run-7", "ana", world)

    assert decide(world) == first


def test_a_forbidden_decision_changes_nothing() -> None:
    world = waiting()
    before = stored_state(world)

    with pytest.raises(ForbiddenError):
        decide(world, Verdict.EXPIRED)

    assert stored_state(world) == before


def test_gives_up_after_repeated_conflicts() -> None:
    world = waiting()
    world.approvals.decide = lambda *_: False  # type: ignore[method-assign]

    with pytest.raises(TryAgainError, match="security"):
        decide(world)


def test_decides_anew_after_a_conflict() -> None:
    world = waiting()
    real = world.approvals.decide

    def overtaken(*args: Any) -> bool:  # noqa: ANN401
        world.approvals.decide = real  # type: ignore[method-assign]
        decide(world, Verdict.REJECTED, caller=CAROL)
        return real(*args)

    world.approvals.decide = overtaken  # type: ignore[method-assign, assignment]

    assert result_of(lambda: decide(world)) == "ConflictError approval_already_decided"
    assert world.approvals.woken == {"token-1": Verdict.REJECTED}


def test_one_of_several_simultaneous_decisions_wins() -> None:
    for _ in range(20):
        world = waiting()
        words = [(Verdict.APPROVED, BOB), (Verdict.REJECTED, CAROL)]

        with ThreadPoolExecutor(2) as pool:
            answers = list(
                pool.map(
                    lambda word, world=world: result_of(
                        lambda: decide(world, word[0], caller=word[1])
                    ),
                    words,
                )
            )

        assert answers.count("ConflictError approval_already_decided") == 1
        (winner,) = (answer for answer in answers if isinstance(answer, dict))
        assert world.approvals.woken == {"token-1": Verdict(winner["status"])}
        assert entry_ids(world).count("review#decided") == 1


@pytest.mark.parametrize(
    ("verdict", "calls"), [(Verdict.APPROVED, 10), (Verdict.REJECTED, 14), (Verdict.EXPIRED, 15)]
)
def test_deciding_again_after_a_crash_completes_the_decision(verdict: Verdict, calls: int) -> None:
    def arrange() -> MemoryWorld:
        world = a_world(GATED)
        step(world, "build")
        gate(world)
        return world

    ways = assert_recovers(arrange, lambda world: decide(world, verdict, caller=ADMIN))

    assert ways == 2 * 2 * calls


def test_an_approval_that_is_repeated_after_a_crash_counts_once() -> None:
    ways = assert_recovers(lambda: waiting(TWO_OF_THEM), decide)

    assert ways == 2 * 2 * 7 + 2 * 2


class TestFailureOfTheRun:
    def test_a_rejection_ends_the_run_with_the_same_write(self) -> None:
        world = open_lanes(UNCONTAINED)

        decide(world, Verdict.REJECTED)

        assert entry_ids(world)[-3:] == ["beside#decided", "one#decided", "run.ended"]
        end = world.runs.journal(TENANT, "run-7")[-1].entry
        assert end.message == "Run failed: step beside failed."
        assert end.metadata == {"error": "ApprovalRejectedError"}
        assert world.approvals.woken == {
            "token-beside": Verdict.REJECTED,
            "token-one": Verdict.REJECTED,
        }
        assert world.approvals.failed == {"token-other"}

    @pytest.mark.parametrize("verdict", list(Verdict))
    @pytest.mark.parametrize("manifest", [CONTAINED, UNCONTAINED])
    def test_rejects_a_decision_on_a_gate_that_a_failure_has_ended(
        self, manifest: str, verdict: Verdict
    ) -> None:
        world = open_lanes(manifest)
        result_of(lambda: step(world, "bad"))
        before = stored_state(world)

        answer = result_of(lambda: decide(world, verdict, approval="legal", caller=ADMIN))

        assert answer == "ConflictError approval_not_open"
        assert stored_state(world) == before

    def test_an_approval_opens_no_gate_of_a_block_that_a_failure_has_stopped(self) -> None:
        world = open_lanes(CONTAINED)
        result_of(lambda: step(world, "bad"))

        assert decide(world) == {"status": "approved", "resumed": True}

        assert entry_ids(world)[-1] == "beside#decided"
        assert "one#decided" not in entry_ids(world)
        assert world.approvals.woken == {"token-beside": Verdict.APPROVED}
        assert world.approvals.failed == {"token-one", "token-other"}

    def test_a_rejection_that_a_block_contains_stops_the_block_alone(self) -> None:
        world = open_lanes(CONTAINED)

        decide(world, Verdict.REJECTED, approval="legal")

        assert world.runs.snapshot(TENANT, "run-7").run.outcome is None
        assert entry_ids(world)[-1] == "other#decided"
        assert world.approvals.failed == {"token-one"}
        assert decide(world)["resumed"] is True
        assert entry_ids(world)[-1] == "beside#decided"

    def test_a_rejection_of_many_gates_fails_them_all_at_once(self) -> None:
        world = a_world(
            pack(
                """
                - id: each
                  map:
                    items: {range: {end: 99}}
                    step: {id: review, gate: {approval: {id: security}}}
                """,
                spec="approvals: [{id: security}]",
            )
        )
        for number in range(40):
            gate(world, "review", f"token-{number}", iteration=f"each[{number}]::")

        decide(world, Verdict.REJECTED)

        decided = [entry_id for entry_id in entry_ids(world) if entry_id.endswith("#decided")]
        assert len(decided) == 40
        assert entry_ids(world)[-1] == "run.ended"


class TestExpiry:
    """An admin expires the gates that wait. A gate that opens later waits its own time."""

    def test_ends_the_gates_that_wait_and_no_later_one(self) -> None:
        world = a_world(EACH)
        for number in (0, 1):
            gate(world, "review", f"token-{number}", iteration=f"each[{number}]::")

        assert decide(world, Verdict.EXPIRED, caller=ADMIN, summary="too late") == {
            "status": "expired",
            "resumed": False,
        }
        gate(world, "review", "token-2", iteration="each[2]::")

        assert world.approvals.woken == {
            "token-0": Verdict.EXPIRED,
            "token-1": Verdict.EXPIRED,
        }
        entry = next(
            placed.entry
            for placed in world.runs.journal(TENANT, "run-7")
            if placed.entry.id == "each[1]::review#decided"
        )
        assert (entry.message, entry.metadata["approver"]) == ("Expired: security", "root")
        assert entry.metadata["summary"] == "too late"
        assert decide(world) == {"status": "approved", "resumed": True}
        assert world.approvals.woken["token-2"] is Verdict.APPROVED

    def test_that_is_repeated_gets_the_same_answer_and_ends_what_waits_by_then(self) -> None:
        world = a_world(EACH)
        gate(world, "review", "token-0", iteration="each[0]::")
        first = decide(world, Verdict.EXPIRED, caller=ADMIN)

        assert decide(world, Verdict.EXPIRED, caller=ADMIN) == first
        gate(world, "review", "token-1", iteration="each[1]::")
        assert decide(world, Verdict.EXPIRED, caller=ADMIN) == first

        assert world.approvals.woken == {
            "token-0": Verdict.EXPIRED,
            "token-1": Verdict.EXPIRED,
        }

    @pytest.mark.parametrize("verdict", [Verdict.APPROVED, Verdict.REJECTED])
    def test_rejects_another_decision_while_no_gate_waits(self, verdict: Verdict) -> None:
        world = a_world(EACH)
        gate(world, "review", iteration="each[0]::")
        decide(world, Verdict.EXPIRED, caller=ADMIN)

        with pytest.raises(ConflictError, match="its gate has expired") as caught:
            decide(world, verdict)

        assert caught.value.code == "approval_already_decided"

    def test_lists_the_approval_while_a_gate_waits(self) -> None:
        world = a_world(EACH)
        gate(world, "review", "token-0", iteration="each[0]::")
        decide(world, Verdict.EXPIRED, caller=ADMIN)
        assert world.approvals.list_open(TENANT, 10, None).items == []

        gate(world, "review", "token-1", iteration="each[1]::")

        (listed,) = world.approvals.list_open(TENANT, 10, None).items
        assert listed["stepId"] == "each[1]::review"
