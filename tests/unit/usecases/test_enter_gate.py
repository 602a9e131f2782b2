"""The steps of a gate before it waits: skip, evaluate its policy, or expire."""

from __future__ import annotations

from taskrunner.model.approval import Verdict
from taskrunner.model.run import StepReference
from taskrunner.usecases.enter_gate import enter_gate
from taskrunner.usecases.expire_gate import expire_gate
from tests.packs import pack
from tests.unit.usecases.scenarios import GATED, TENANT, a_world, decide, entry_ids, gate, result_of

GATE = StepReference(TENANT, "run-7", "g")
REVIEW = StepReference(TENANT, "run-7", "review")


def conditional_gate(when: str) -> str:
    return pack(
        f"- {{id: g, when: {when}, gate: {{approval: {{id: a}}}}}}", spec="approvals: [{id: a}]"
    )


def override(rule: str, retries: str = "") -> str:
    return pack(
        f"""
        - id: g
          gate:
            policy:
              policy: p
              {retries}
              failureAction: requestOverride
              override: {{approval: a}}
        """,
        spec=f"""
        approvals: [{{id: a}}]
        policies: [{{id: p, version: "1", rules: [{{id: r, require: "{rule}"}}]}}]
        """,
    )


def test_skips_a_gate_whose_condition_the_run_finds_false() -> None:
    world = a_world(conditional_gate("run.id == 'other'"))

    assert enter_gate(GATE, "token", world) == {"status": "skipped"}

    assert world.approvals.woken == {"token": Verdict.APPROVED}
    assert entry_ids(world)[-1] == "g#skipped"


def test_skips_a_gate_whose_condition_planning_found_false() -> None:
    world = a_world(conditional_gate("'`false`'"))
    before = entry_ids(world)

    assert enter_gate(GATE, "token", world) == {"status": "skipped"}

    assert world.approvals.woken == {"token": Verdict.APPROVED}
    assert entry_ids(world) == before


def test_opens_a_gate_whose_condition_is_true() -> None:
    world = a_world(conditional_gate("run.id == 'run-7'"))

    assert enter_gate(GATE, "token", world) == {"status": "open"}
    assert world.approvals.sent == []


def test_answers_a_gate_whose_condition_cannot_be_evaluated() -> None:
    world = a_world(conditional_gate("abs(run.id) == `1`"))

    assert enter_gate(GATE, "token", world) == {"status": "failed"}

    assert world.approvals.refused == {"token": "StepFailedError"}


def test_needs_no_override_when_the_policy_holds() -> None:
    world = a_world(override("run.id == 'run-7'"))

    assert enter_gate(GATE, "token", world) == {"status": "passed"}
    assert world.approvals.woken == {"token": Verdict.APPROVED}


def test_waits_for_the_override_after_the_last_evaluation() -> None:
    world = a_world(override("run.id == 'other'", "retries: {count: 1}"))

    assert enter_gate(GATE, "first", world) == {"status": "failed"}
    assert world.approvals.refused == {"first": "AttemptFailedError"}
    assert enter_gate(GATE, "second", world) == {"status": "open"}
    # A retry opens the gate again, and evaluates nothing.
    assert enter_gate(GATE, "third", world) == {"status": "open"}
    assert entry_ids(world).count("g#awaiting") == 1


def test_expires_a_gate_that_has_waited_for_all_of_its_time() -> None:
    world = a_world(GATED)
    gate(world)

    assert enter_gate(REVIEW, "newer", world, has_timed_out=True) == {"status": "failed"}

    assert world.approvals.refused == {"newer": "ApprovalExpiredError"}
    assert entry_ids(world)[-1] != "review#awaiting"


def test_an_expiring_gate_goes_on_if_a_decision_came_just_before() -> None:
    world = a_world(GATED)
    gate(world)
    decide(world)

    enter_gate(REVIEW, "newer", world, has_timed_out=True)

    assert world.approvals.woken["newer"] is Verdict.APPROVED


def test_a_machine_of_an_earlier_release_still_expires_its_gates() -> None:
    world = a_world(GATED)
    gate(world)

    assert result_of(lambda: expire_gate(REVIEW, world)) == "ApprovalExpiredError"
