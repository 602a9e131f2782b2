"""What holds of the state of a run, whatever its journal says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.compiler import plan as planning
from taskrunner.model.fold import fold
from taskrunner.model.journal import Entry, Event
from taskrunner.model.plan import MapStep, Parallel, StepKind, walk
from taskrunner.model.run import Reason, RunStatus, StepStatus
from tests.machine.packs import packs
from tests.strategies import as_yaml

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from taskrunner.model.plan import Plan
    from taskrunner.model.run import RunState, StepState

CREATED = "2026-01-01T00:00:00.000Z"
ENDED = {StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED}
BLOCKS = {StepKind.PARALLEL, StepKind.MAP, StepKind.LOOP, StepKind.CONDITIONAL}
_RUN_ENDS = [Event.RUN_COMPLETED, Event.RUN_FAILED, Event.RUN_CANCELLED, Event.RUN_SCHEDULE_FAILED]


@st.composite
def journals(draw: DrawFn) -> tuple[Plan, list[Entry]]:
    """A plan, and entries about its steps in any order, likely and unlikely ones."""
    plan = planning.make(as_yaml(draw(packs())), {})
    paths = [_path(plan, step.id) for step in walk(plan.steps)]
    entries = st.builds(
        Entry,
        id=st.just("an-entry"),
        at=st.integers(0, 59).map(lambda second: f"2026-01-01T00:00:{second:02}.000Z"),
        event=st.sampled_from(Event),
        message=st.just("A message."),
        step=st.none() | st.sampled_from([*paths, "nobody", "s1[0]::s1"]),
        metadata=st.fixed_dictionaries(
            {},
            optional={
                "attempt": st.sampled_from(["1", "2", "many"]),
                "ask": st.sampled_from(["branch", "items", "end", "policy"]),
                "value": st.sampled_from(["0", "1", "2", "branch", "x"]),
                "reason": st.sampled_from(["condition-false", "policy-failed", "no-reason"]),
                "nextAttemptAt": st.just("2026-01-01T00:01:00.000Z"),
            },
        ),
    )
    return plan, draw(st.lists(entries, max_size=25))


def _path(plan: Plan, step_id: str) -> str:
    return "".join(f"{one.id}[0]::" for one in plan.iterations(step_id)) + step_id


def end(event: Event) -> Entry:
    return Entry(id="end", at="2026-01-01T00:02:00.000Z", event=event, message="Over.")


@settings(deadline=None, max_examples=40)
@given(journals())
def test_every_step_is_listed_once_in_plan_order_behind_its_parent(
    journal: tuple[Plan, list[Entry]],
) -> None:
    plan, entries = journal
    steps = fold(plan, entries, CREATED).steps

    paths = [one.step_id for one in steps]
    assert len(set(paths)) == len(paths)
    for place, one in enumerate(steps):
        assert one.parent_id is None or one.parent_id in paths[:place]
    order = {step.id: place for place, step in enumerate(plan.all_steps())}
    siblings: dict[Any, list[int]] = {}
    for one in steps:
        siblings.setdefault((one.parent_id, one.step_id.rpartition("::")[0]), []).append(
            order[one.template_id]
        )
    assert all(group == sorted(group) for group in siblings.values())
    iterated = {step.id for step in walk(plan.steps) if plan.iterations(step.id)}
    assert {one.template_id for one in steps} >= set(order) - iterated


@settings(deadline=None, max_examples=40)
@given(journals(), st.sampled_from(_RUN_ENDS))
def test_after_the_end_only_what_ran_beside_a_failure_may_still_finish(
    journal: tuple[Plan, list[Entry]], how: Event
) -> None:
    plan, entries = journal
    before = [one for one in entries if one.event not in _RUN_ENDS]
    ended = fold(plan, [*before, end(how)], CREATED)
    later = fold(plan, [*before, end(how), *entries], CREATED)

    assert later.status is ended.status
    assert all(one.status is not StepStatus.PENDING for one in ended.steps)
    after = {one.step_id: one for one in later.steps}
    around = {one.step_id for one in ended.steps if one.status is StepStatus.RUNNING}
    assert not around or ended.status is RunStatus.FAILED
    for one in ended.steps:
        if one.step_id not in around:
            assert after[one.step_id].status is one.status
    concurrent = {
        inner.id
        for step in walk(plan.steps)
        if isinstance(step, Parallel | MapStep)
        for inner in walk((step,))
    }
    assert {path.rpartition("::")[2] for path in around} <= concurrent | _containers(ended)


def _containers(state: RunState) -> set[str]:
    return {
        one.template_id
        for one in state.steps
        if one.kind in BLOCKS or one.kind is StepKind.GATE_POLICY
    }


@settings(deadline=None, max_examples=40)
@given(journals())
def test_a_block_is_what_its_children_make_it(journal: tuple[Plan, list[Entry]]) -> None:
    plan, entries = journal
    state = fold(plan, entries, CREATED)
    inside: dict[str, list[StepState]] = {}
    for one in state.steps:
        inside.setdefault(one.parent_id or "", []).append(one)
    own = {
        entry.step
        for entry in entries
        if entry.event
        in {
            Event.STEP_COMPLETED,
            Event.STEP_FAILED,
            Event.GATE_APPROVED,
            Event.GATE_REJECTED,
            Event.GATE_EXPIRED,
        }
    }
    for one in state.steps:
        if one.kind not in BLOCKS or one.step_id in own:
            continue  # decide_flow could not decide it
        found = inside.get(one.step_id, [])
        fatal = [x for x in found if x.status is StepStatus.FAILED and not x.continue_on_error]
        if one.status is StepStatus.SUCCEEDED:
            assert all(child.status in ENDED for child in found)
            assert not fatal
        if one.status is StepStatus.SKIPPED:
            assert all(child.status is not StepStatus.PENDING for child in found)
        if one.status is StepStatus.FAILED:
            assert fatal or one.reason in {
                Reason.RUN_FAILED,
                Reason.PARENT_SKIPPED,
                Reason.EXECUTOR_ERROR,
            }


@settings(deadline=None, max_examples=40)
@given(journals())
def test_a_repeated_journal_says_the_same(journal: tuple[Plan, list[Entry]]) -> None:
    plan, entries = journal

    assert fold(plan, entries, CREATED) == fold(plan, entries, CREATED)
    assert fold(plan, [], CREATED).status is RunStatus.QUEUED
