"""Properties of the steps of any run with any journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.model.entries import run_entries
from taskrunner.model.entries.reading import read
from taskrunner.model.entries.run_entries import RunEnded
from taskrunner.model.journal import Event
from taskrunner.model.plan import MapStep, Parallel, StepKind, walk
from taskrunner.model.run import Reason, RunStatus, StepStatus
from taskrunner.model.state.fold import fold
from taskrunner.usecases.simulate_pack import simulate_plan
from tests.unit.model.state.journals import CREATED_AT, journals

if TYPE_CHECKING:
    from taskrunner.model.journal import Entry
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import RunState, StepState

ENDED_AT = "2026-01-01T00:02:00.000Z"
ENDS = [
    run_entries.run_completed(ENDED_AT),
    run_entries.run_failed("a step failed", ENDED_AT),
    run_entries.run_cancelled(ENDED_AT),
    run_entries.run_not_scheduled(ENDED_AT),
]
BLOCKS = {StepKind.PARALLEL, StepKind.MAP, StepKind.LOOP, StepKind.CONDITIONAL}
# A block with an entry of one of these could not be decided, and its children do not count.
OWN_ENDS = {
    Event.STEP_COMPLETED,
    Event.STEP_FAILED,
    Event.GATE_APPROVED,
    Event.GATE_REJECTED,
    Event.GATE_EXPIRED,
}


@settings(max_examples=40)
@given(journals())
def test_every_step_is_listed_once_in_plan_order_behind_its_parent(
    journal: tuple[Plan, list[Entry]],
) -> None:
    plan, entries = journal

    steps = fold(plan, entries, CREATED_AT).steps

    paths = [step.path for step in steps]
    assert len(set(paths)) == len(paths)
    for place, step in enumerate(steps):
        assert step.parent_path is None or step.parent_path in paths[:place]
    places = {step.id: place for place, step in enumerate(plan.all_steps())}
    siblings: dict[Any, list[int]] = {}
    for step in steps:
        iteration = step.path.rpartition("::")[0]
        siblings.setdefault((step.parent_path, iteration), []).append(places[step.template_id])
    assert all(group == sorted(group) for group in siblings.values())
    iterated = {step.id for step in plan.all_steps() if plan.iterations(step.id)}
    assert {step.template_id for step in steps} >= set(places) - iterated


@settings(max_examples=40)
@given(journals(), st.sampled_from(ENDS))
def test_after_the_end_only_a_step_that_ran_beside_others_may_finish(
    journal: tuple[Plan, list[Entry]], end: Entry
) -> None:
    plan, entries = journal
    before = [entry for entry in entries if not isinstance(read(entry), RunEnded)]

    ended = fold(plan, [*before, end], CREATED_AT)
    later = fold(plan, [*before, end, *entries], CREATED_AT)

    assert later.status is ended.status
    assert all(step.status is not StepStatus.PENDING for step in ended.steps)
    running = {step.path for step in ended.steps if step.status is StepStatus.RUNNING}
    assert not running or ended.status is not RunStatus.CANCELLED
    statuses = {step.path: step.status for step in later.steps}
    for step in ended.steps:
        assert step.path in running or statuses[step.path] is step.status
    assert {path.rpartition("::")[2] for path in running} <= _concurrent(plan) | _blocks(ended)


def _concurrent(plan: Plan) -> set[str]:
    return {
        inner.id
        for step in walk(plan.steps)
        if isinstance(step, Parallel | MapStep)
        for inner in walk((step,))
    }


def _blocks(state: RunState) -> set[str]:
    kinds = {*BLOCKS, StepKind.GATE_POLICY}
    return {step.template_id for step in state.steps if step.kind in kinds}


@settings(max_examples=40)
@given(journals())
def test_the_children_of_a_block_make_its_state(journal: tuple[Plan, list[Entry]]) -> None:
    plan, entries = journal

    state = fold(plan, entries, CREATED_AT)

    undecided = {entry.step_path for entry in entries if entry.event in OWN_ENDS}
    children: dict[str, list[StepState]] = {}
    for step in state.steps:
        children.setdefault(step.parent_path or "", []).append(step)
    for step in state.steps:
        if step.kind in BLOCKS and step.path not in undecided:
            _assert_made_of(step, children.get(step.path, []))


def _assert_made_of(block: StepState, children: list[StepState]) -> None:
    has_fatal = any(child.is_fatal for child in children)
    if block.status is StepStatus.SUCCEEDED:
        assert all(child.has_ended for child in children)
        assert not has_fatal
    if block.status is StepStatus.SKIPPED:
        assert all(child.status is not StepStatus.PENDING for child in children)
    if block.status is StepStatus.FAILED:
        cut_short = {Reason.RUN_FAILED, Reason.PARENT_SKIPPED, Reason.EXECUTOR_ERROR}
        assert has_fatal or block.reason in cut_short


@settings(max_examples=40)
@given(journals())
def test_a_journal_always_gives_the_same_state(journal: tuple[Plan, list[Entry]]) -> None:
    plan, entries = journal

    assert fold(plan, entries, CREATED_AT) == fold(plan, entries, CREATED_AT)
    assert fold(plan, [], CREATED_AT).status is RunStatus.QUEUED


@settings(max_examples=80)
@given(journals())
def test_a_run_skips_what_its_simulation_skips(journal: tuple[Plan, list[Entry]]) -> None:
    plan, entries = journal
    skipped = _skipped(simulate_plan(plan))
    possible = [
        entry for entry in entries if (entry.step_path or "").rpartition("::")[2] not in skipped
    ]

    before = fold(plan, [], CREATED_AT).steps
    after = fold(plan, possible, CREATED_AT).steps

    known = {step.template_id: step.reason for step in before if step.status is StepStatus.SKIPPED}
    assert known == {step_id: skipped[step_id] for step_id in known}
    assert not {step.template_id for step in before} & set(skipped) - set(known)
    assert {step.path for step in before} <= {step.path for step in after}
    for step in after:
        if step.template_id in skipped:
            assert (step.status, step.reason) == (StepStatus.SKIPPED, skipped[step.template_id])


def _skipped(steps: list[dict[str, Any]]) -> dict[str, str]:
    """The reasons of all steps that a simulation skips, by id."""
    found: dict[str, str] = {}
    for step in steps:
        if step["status"] == "Skipped":
            found[step["templateId"]] = step["statusReason"]
        found |= _skipped(step["children"])
    return found
