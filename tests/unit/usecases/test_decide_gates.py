"""Decisions that name their gates; any order of them is in tests/contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import ConflictError, ForbiddenError, NotFoundError
from taskrunner.model.approval import Verdict
from taskrunner.usecases.decide_approval import decide_approval
from taskrunner.usecases.read_approval import read_approval
from taskrunner.usecases.read_run import list_approvals
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    ADMIN,
    ANA,
    BOB,
    CAROL,
    TENANT,
    a_world,
    assert_recovers,
    gate,
    plan_hash,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.ports import World
    from tests.fakes.world import MemoryWorld

EACH = pack(
    """
    - id: each
      name: Each
      map:
        items: {static: [a, b, c]}
        steps:
          - {id: review, gate: {approval: {id: security}}}
          - {id: ship, run: {uses: builtin:noop}}
    - id: careful
      gate:
        policy: {policy: never, failureAction: requestOverride, override: {approval: security}}
    - {id: last, gate: {approval: {id: other}}}
    """,
    spec="""
    approvals: [{id: security, scope: gate, distinctFromRequester: true}, {id: other}]
    policies: [{id: never, version: "1", rules: [{id: no, require: "`false`"}]}]
    """,
)
CONTAINED = EACH.replace("name: Each", "continueOnError: true")
ALL_AT_ONCE = EACH.replace("scope: gate", "scope: run")
_HINT = "of the approval security (the first one is called each[0]::review) not found"
_GATES = "of the approval security not found; available: careful, review"
FIRST, SECOND, THIRD = (f"each[{number}]::review" for number in range(3))


def waiting(manifest: str = EACH, count: int = 3) -> MemoryWorld:
    """A world in which the gates of the first *count* items wait."""
    world = a_world(manifest)
    for number in range(count):
        gate(world, token=f"token-{number}", iteration=f"each[{number}]::")
    return world


def decide(
    world: World,
    step_ids: Sequence[str] | None = None,
    verdict: Verdict = Verdict.APPROVED,
    by: Any = BOB,  # noqa: ANN401 - a caller
) -> dict[str, Any]:
    return decide_approval(
        TENANT,
        "run-7",
        "security",
        verdict,
        plan_hash=world.runs.snapshot(TENANT, "run-7").run.plan_hash,
        caller=by,
        actor=None,
        summary=None,
        step_ids=step_ids,
        world=world,
    )


class TestScopeGate:
    def test_decides_the_gate_that_is_named(self) -> None:
        world = waiting()

        answer = decide(world, [SECOND])

        assert answer == {"status": "approved", "resumed": True}
        assert world.approvals.woken == {"token-1": Verdict.APPROVED}

    def test_decides_several_gates_and_again(self) -> None:
        world = waiting()

        answers = [decide(world, [THIRD, FIRST, THIRD]) for _ in range(2)]

        assert answers == [{"status": "approved", "resumed": True}] * 2
        assert world.approvals.woken == {
            "token-0": Verdict.APPROVED,
            "token-2": Verdict.APPROVED,
        }

    def test_one_rejection_ends_the_run_and_the_other_gates_with_it(self) -> None:
        world = waiting()

        answers = [decide(world, [FIRST, SECOND], Verdict.REJECTED) for _ in range(2)]

        assert answers == [{"status": "rejected", "resumed": False}] * 2
        assert world.approvals.woken == {"token-0": Verdict.REJECTED}
        assert world.approvals.failed == {"token-1", "token-2"}

    def test_decides_nothing_unless_all_gates_may_be_decided(self) -> None:
        world = waiting(count=2)

        with pytest.raises(ConflictError) as refused:
            decide(world, [FIRST, THIRD])

        assert refused.value.code == "approval_not_open"
        assert str(refused.value) == f"{THIRD} does not wait for the approval security"
        assert world.approvals.woken == {}

    def test_must_name_a_gate_if_several_wait(self) -> None:
        with pytest.raises(ConflictError) as refused:
            decide(waiting())

        assert refused.value.code == "approval_ambiguous"
        assert refused.value.details == {"stepIds": [FIRST, SECOND, THIRD]}

    def test_refuses_a_caller_who_may_decide_none_before_asking_which(self) -> None:
        with pytest.raises(ForbiddenError):
            decide(waiting(), by=ANA)

    def test_a_verdict_of_one_gate_refuses_no_decision_of_another(self) -> None:
        world = waiting()
        decide(world, [FIRST])

        with pytest.raises(ConflictError) as refused:
            decide(world, [FIRST], Verdict.REJECTED, CAROL)
        assert refused.value.code == "approval_already_decided"
        assert str(refused.value) == (
            f"the approval security of the gate {FIRST} was already approved"
        )
        assert decide(world, [SECOND], by=CAROL)["resumed"] is True

    def test_an_admin_expires_the_gate_that_is_named(self) -> None:
        world = waiting(CONTAINED)

        answers = [decide(world, [SECOND], Verdict.EXPIRED, ADMIN) for _ in range(2)]

        assert answers == [{"status": "expired", "resumed": False}] * 2
        assert world.approvals.woken == {"token-1": Verdict.EXPIRED}

    def test_an_override_needs_its_own_decision_too(self) -> None:
        world = waiting(count=2)
        decide(world, [FIRST])
        gate(world, "careful", "token-override")

        with pytest.raises(ConflictError):
            decide(world)
        decide(world, ["careful"])

        assert world.approvals.woken == {
            "token-0": Verdict.APPROVED,
            "token-override": Verdict.APPROVED,
        }

    @pytest.mark.parametrize(
        ("step_id", "message"),
        [
            ("nothing", f"gate nothing {_GATES}"),
            ("last", f"gate last {_GATES}"),
            ("each[0]::ship", f"gate each[0]::ship {_GATES}"),
            ("../x", f"gate ../x {_GATES}"),
            (
                "carefull",
                "gate carefull of the approval security not found; did you mean 'careful'?",
            ),
            (
                "review",
                f"gate review {_HINT}",
            ),
            (
                "other[0]::review",
                f"gate other[0]::review {_HINT}",
            ),
        ],
    )
    def test_refuses_what_is_not_a_gate_of_the_approval(self, step_id: str, message: str) -> None:
        with pytest.raises(NotFoundError) as refused:
            decide(waiting(), [step_id])
        assert str(refused.value) == message

    @pytest.mark.parametrize("step_ids", [[FIRST], [FIRST, SECOND]])
    @pytest.mark.parametrize("verdict", [Verdict.APPROVED, Verdict.REJECTED])
    def test_can_be_repeated_after_any_failure(self, step_ids: list[str], verdict: Verdict) -> None:
        assert assert_recovers(waiting, lambda world: decide(world, step_ids, verdict)) > 20


class TestScopeRun:
    def test_one_decision_serves_all_gates(self) -> None:
        world = waiting(ALL_AT_ONCE)

        assert decide(world, [FIRST, SECOND, THIRD])["resumed"] is True

        assert set(world.approvals.woken.values()) == {Verdict.APPROVED}
        assert len(world.approvals.woken) == 3
        assert decide(world, [FIRST])["resumed"] is True  # repeated

    def test_must_not_let_a_gate_on_that_the_caller_did_not_name(self) -> None:
        world = waiting(ALL_AT_ONCE)

        with pytest.raises(ConflictError) as refused:
            decide(world, [FIRST, SECOND])

        assert refused.value.code == "approval_ambiguous"
        assert refused.value.details == {"stepIds": [FIRST, SECOND, THIRD]}
        assert "serves all of its gates" in str(refused.value)
        assert world.approvals.woken == {}

    def test_refuses_a_gate_that_does_not_wait(self) -> None:
        with pytest.raises(ConflictError) as refused:
            decide(waiting(ALL_AT_ONCE, 1), [FIRST, SECOND])
        assert refused.value.code == "approval_not_open"


class TestReading:
    def test_shows_the_decisions_of_each_gate_and_what_the_caller_may_decide(self) -> None:
        world = waiting(EACH.replace("scope: gate", "scope: gate, minApprovals: 2"))
        decide(world, [FIRST])
        decide(world, [FIRST], by=CAROL)
        decide(world, [SECOND])

        view = read_approval(TENANT, "run-7", "security", BOB, world)

        assert (view["scope"], view["status"], view["canDecide"]) == ("gate", "waiting", True)
        assert [
            (found["stepId"], [who["approver"] for who in found["approvedBy"]], found["canDecide"])
            for found in view["gates"]
        ] == [(SECOND, ["bob"], False), (THIRD, [], True)]
        assert view["gates"][0]["cannotDecideReason"]["code"] == "already_approved"
        assert [(decision["stepId"], decision["approver"]) for decision in view["decisions"]] == [
            (FIRST, "bob"),
            (FIRST, "carol"),
            (SECOND, "bob"),
        ]

    def test_is_closed_if_its_gates_have_different_verdicts(self) -> None:
        world = waiting(CONTAINED, 2)
        decide(world, [FIRST])
        assert read_approval(TENANT, "run-7", "security", BOB, world)["status"] == "waiting"
        decide(world, [SECOND], Verdict.REJECTED)

        assert read_approval(TENANT, "run-7", "security", BOB, world)["status"] == "closed"

    def test_lists_each_gate_among_the_open_approvals(self) -> None:
        world = waiting(count=2)
        decide(world, [FIRST])

        page = list_approvals(TENANT, 10, None, BOB, world)

        assert [(approval["stepId"], approval["scope"]) for approval in page["approvals"]] == [
            (SECOND, "gate")
        ]
        assert plan_hash(world) == page["approvals"][0]["planHash"]
