"""The listing of a run: branches, iterations, and the reasons for which steps are skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskrunner.compiler.driver import plan_pack
from taskrunner.model.entries import flow_entries, run_entries, step_entries
from taskrunner.model.entries.flow_entries import Evaluation
from taskrunner.model.flow import PolicyVerdict
from taskrunner.model.plan import Policy
from taskrunner.model.run import Reason, StepStatus
from taskrunner.model.state.fold import fold
from taskrunner.model.state.listing import MAX_LISTED_STEPS
from tests.packs import pack
from tests.unit.model.state.sample_journal import CREATED_AT, at, completed, failed, started

if TYPE_CHECKING:
    from taskrunner.model.journal import Entry
    from taskrunner.model.plan import Plan

FAILED = run_entries.run_failed("step bad failed", at(50))
CANCELLED = run_entries.run_cancelled(at(50))
BAD = "{id: bad, run: {uses: builtin:fail}}"
# Planning knows that the second arm is not taken.
CHOICE = (
    "{id: choice, conditional: {branches: [{condition: inputs.on, steps: ["
    "{id: taken, run: {uses: builtin:noop}}]}], else: [{id: passed, parallel: {steps: ["
    "{id: inside, run: {uses: builtin:noop}}]}}]}}"
)
EACH = "{id: each, map: {items: inputs.hosts, step: {id: leaf, run: {uses: builtin:noop}}}}"
GATE = (
    "{id: gate, gate: {policy: {policy: rules, failureAction: branch, "
    "branch: [{id: leaf, run: {uses: builtin:noop}}]}}}"
)
CONTAINED = "{id: block, continueOnError: true, conditional: {branches: [{condition: "


def planned(steps: str) -> Plan:
    spec = """
    inputs:
      - {name: "on", type: boolean, default: true}
      - {name: "off", type: boolean, default: false}
      - {name: hosts, type: array, default: [a]}
      - {name: none, type: array, default: []}
    policies: [{id: rules, version: "1", rules: [{id: r, require: inputs.on}]}]
    """
    return plan_pack(pack(steps, spec=spec), {})


def listed(steps: str, *entries: Entry) -> dict[str, tuple[StepStatus, Reason | None]]:
    """The status and reason of every step, by path."""
    state = fold(planned(steps), entries, CREATED_AT)
    return {step.path: (step.status, step.reason) for step in state.steps}


def skipped(path: str) -> Entry:
    return step_entries.step_skipped(path, at(1))


def evaluated(path: str, verdict: PolicyVerdict) -> Entry:
    evaluation = Evaluation(Policy(id="rules", version="1"), 1, verdict, ["r: not on"])
    return flow_entries.policy_evaluated(path, evaluation, at(1))


# --- branches that are not taken ----------------------------------------------------------------


@pytest.mark.parametrize("condition", ["`true`", "steps.first.outputs.n == `1`"])
def test_a_step_of_a_branch_that_is_not_taken_is_skipped_whatever_its_entries_say(
    condition: str,
) -> None:
    steps = f"""
    - {{id: first, run: {{uses: builtin:noop}}}}
    - id: choice
      conditional:
        branches:
          - condition: "{condition}"
            steps: [{{id: taken, run: {{uses: builtin:noop}}}}]
        else: [{{id: other, run: {{uses: builtin:noop}}}}]
    """
    decision = flow_entries.branch_taken("choice", 0, at(1))
    entries = [decision] if "steps" in condition else []

    found = listed(steps, *entries, started("other"), started("taken"), completed("taken"))

    assert found["choice"] == (StepStatus.SUCCEEDED, None)
    assert found["other"] == (StepStatus.SKIPPED, Reason.BRANCH_NOT_TAKEN)


COLLECTED = """
- id: turns
  loop:
    items: {static: [1]}
    body: [{id: turn, run: {uses: builtin:noop, with: {n: 1}}}]
    outputs: "{{ {n: steps.turn.outputs.n} }}"
- {id: after, run: {uses: builtin:noop}}
"""


@pytest.mark.parametrize(
    ("entries", "status"),
    [
        ([], StepStatus.RUNNING),
        ([flow_entries.outputs_assembled("turns", at(3))], StepStatus.SUCCEEDED),
        ([step_entries.step_undecidable("turns", "no", at(3))], StepStatus.FAILED),
        ([run_entries.run_completed(at(50))], StepStatus.SUCCEEDED),
    ],
    ids=["not yet", "assembled", "failed", "of an earlier release"],
)
def test_a_loop_runs_until_its_outputs_are_assembled(
    entries: list[Entry], status: StepStatus
) -> None:
    turn = "turns[0]::turn"

    found = listed(COLLECTED, started(turn), completed(turn), *entries)

    assert found["turns"][0] is status


@pytest.mark.parametrize(
    ("steps", "entries", "reason"),
    [
        pytest.param(f"- {CHOICE}", [CANCELLED], "cancelled", id="cancelled"),
        pytest.param(
            f"- {BAD}\n- {CHOICE}",
            [failed("bad"), FAILED],
            "run-failed",
            id="behind the step that failed the run",
        ),
        pytest.param(
            f"- {{id: block, when: inputs.off, parallel: {{steps: [{CHOICE}]}}}}",
            [],
            "parent-skipped",
            id="in a block that planning skips",
        ),
        pytest.param(
            f"- {{id: block, when: run.id, parallel: {{steps: [{CHOICE}]}}}}",
            [skipped("block")],
            "parent-skipped",
            id="in a block that the run skips",
        ),
        pytest.param(
            f"- {CONTAINED}inputs.on, steps: [{BAD}, {CHOICE}]}}]}}}}",
            [failed("bad")],
            "parent-skipped",
            id="behind a failure that a block contains",
        ),
        pytest.param(
            f"- {{id: block, conditional: {{branches: [{{condition: inputs.off, "
            f"steps: [{CHOICE}]}}]}}}}",
            [],
            "parent-skipped",
            id="in a branch that planning knows is not taken",
        ),
        pytest.param(
            f"- {{id: block, gate: {{policy: {{policy: rules, failureAction: branch, "
            f"branch: [{CHOICE}]}}}}}}",
            [evaluated("block", PolicyVerdict.PASSED)],
            "parent-skipped",
            id="in the branch of a policy that holds",
        ),
    ],
)
def test_a_branch_that_planning_knows_is_not_taken_keeps_that_reason(
    steps: str, entries: list[Entry], reason: str
) -> None:
    state = fold(planned(steps), entries, CREATED_AT)

    found = {step.path: (step.status, step.reason) for step in state.steps}
    assert found["taken"] == (StepStatus.SKIPPED, reason)
    assert found["passed"] == (StepStatus.SKIPPED, "branch-not-taken")
    assert found["inside"] == (StepStatus.SKIPPED, "parent-skipped")
    (passed,) = [step for step in state.steps if step.path == "passed"]
    assert passed.last_transition_at == CREATED_AT


# --- iterations ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "entries", "leaf"),
    [
        pytest.param(f"- {EACH}", [], (StepStatus.PENDING, None), id="that may come"),
        pytest.param(
            f"- {BAD}\n- {EACH}",
            [failed("bad"), FAILED],
            (StepStatus.SKIPPED, "run-failed"),
            id="behind the step that failed the run",
        ),
        pytest.param(
            f"- {CONTAINED}inputs.hosts, steps: [{BAD}, {EACH}]}}]}}}}",
            [failed("bad")],
            (StepStatus.SKIPPED, "parent-skipped"),
            id="behind a failure that a block contains",
        ),
        pytest.param(
            f"- {CONTAINED}run.id, steps: [{EACH}]}}]}}}}",
            [failed("block")],
            (StepStatus.SKIPPED, "parent-skipped"),
            id="in a conditional that cannot be decided",
        ),
        pytest.param(
            f"- {{id: block, when: run.id, parallel: {{steps: [{EACH}]}}}}",
            [skipped("block")],
            (StepStatus.SKIPPED, "parent-skipped"),
            id="in a block that the run skips",
        ),
        pytest.param(
            f"- {{id: block, when: inputs.none, parallel: {{steps: [{EACH}]}}}}",
            [],
            None,
            id="in a block that planning skips",
        ),
        pytest.param(
            f"- {{id: block, conditional: {{branches: [{{condition: inputs.none, "
            f"steps: [{EACH}]}}]}}}}",
            [],
            None,
            id="in a branch that planning knows is not taken",
        ),
    ],
)
def test_lists_iterations_that_planning_knows_unless_it_skips_their_block(
    steps: str, entries: list[Entry], leaf: tuple[StepStatus, str | None] | None
) -> None:
    assert listed(steps, *entries).get("each[0]::leaf") == leaf


@pytest.mark.parametrize(
    ("count", "is_listed"), [(MAX_LISTED_STEPS, True), (MAX_LISTED_STEPS + 1, False)]
)
def test_lists_only_begun_iterations_of_a_block_with_too_many_steps(
    count: int, *, is_listed: bool
) -> None:
    steps = "- {id: each, map: {items: run.id, step: {id: leaf, run: {uses: builtin:noop}}}}"
    items = flow_entries.items_counted("each", count, at(1))

    found = listed(steps, items, started("each[7]::leaf"))

    assert found["each[7]::leaf"] == (StepStatus.RUNNING, None)
    assert ("each[8]::leaf" in found) is is_listed
    assert len(found) == (1 + count if is_listed else 2)


# --- policy gates with a branch -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "entries", "leaf"),
    [
        pytest.param(f"- {GATE}", [CANCELLED], "cancelled", id="cancelled"),
        pytest.param(
            f"- {BAD}\n- {GATE}", [failed("bad"), FAILED], "run-failed", id="never reached"
        ),
        pytest.param(
            f"- {CONTAINED}run.id, steps: [{GATE}]}}]}}}}",
            [failed("block")],
            "parent-skipped",
            id="in a conditional that cannot be decided",
        ),
        pytest.param(
            f"- {GATE}",
            [evaluated("gate", PolicyVerdict.BROKEN), FAILED],
            "branch-not-taken",
            id="failed by itself",
        ),
    ],
)
def test_the_branch_of_a_policy_gate_is_not_taken_only_if_the_gate_ended_without_it(
    steps: str, entries: list[Entry], leaf: str
) -> None:
    assert listed(steps, *entries)["leaf"] == (StepStatus.SKIPPED, leaf)


@pytest.mark.parametrize(
    ("entries", "gate"),
    [
        ([], (StepStatus.RUNNING, None)),
        ([started("leaf")], (StepStatus.RUNNING, None)),
        ([started("leaf"), completed("leaf")], (StepStatus.SUCCEEDED, Reason.POLICY_FAILED)),
        ([started("leaf"), failed("leaf")], (StepStatus.FAILED, None)),
    ],
)
def test_a_policy_gate_whose_branch_runs_ends_as_the_branch_does(
    entries: list[Entry], gate: tuple[StepStatus, Reason | None]
) -> None:
    branching = evaluated("gate", PolicyVerdict.BRANCH)

    assert listed(f"- {GATE}", branching, *entries)["gate"] == gate
