"""What holds of the state of a run, whatever its journal says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.compiler import plan as planning
from taskrunner.model.fold import fold
from taskrunner.model.journal import Entry, Event
from taskrunner.model.plan import MapStep, Parallel, StepKind, walk
from taskrunner.model.run import Reason, RunStatus, StepStatus
from taskrunner.usecases.simulate_pack import simulate_plan
from tests.machine.generated_packs import packs
from tests.packs import pack
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


@pytest.mark.parametrize("decided", [[], ["0"]], ids=["when planned", "when run"])
def test_a_step_of_an_arm_that_is_passed_by_does_not_run(decided: list[str]) -> None:
    condition = "steps.first.outputs.n == `1`" if decided else "`true`"
    plan = planning.make(
        pack(
            f"""
            - {{id: first, run: {{uses: builtin:noop}}}}
            - id: choice
              conditional:
                branches:
                  - condition: "{condition}"
                    steps: [{{id: taken, run: {{uses: builtin:noop}}}}]
                else: [{{id: other, run: {{uses: builtin:noop}}}}]
            """
        ),
        {},
    )
    entries = [entry(Event.FLOW_DECIDED, "choice", ask="branch", value=value) for value in decided]
    started = [entry(Event.STEP_STARTED, step) for step in ("other", "taken")]
    done = entry(Event.STEP_COMPLETED, "taken")

    state = fold(plan, [*entries, *started, done], CREATED)

    told = {one.step_id: (one.status, one.reason) for one in state.steps}
    assert told["choice"] == (StepStatus.SUCCEEDED, None)
    assert told["other"] == (StepStatus.SKIPPED, Reason.BRANCH_NOT_TAKEN)


def entry(event: Event, step: str, **metadata: str) -> Entry:
    at = "2026-01-01T00:00:01.000Z"
    return Entry(id="e", at=at, event=event, message="M.", step=step, metadata=metadata)


@settings(deadline=None, max_examples=40)
@given(journals())
def test_a_repeated_journal_says_the_same(journal: tuple[Plan, list[Entry]]) -> None:
    plan, entries = journal

    assert fold(plan, entries, CREATED) == fold(plan, entries, CREATED)
    assert fold(plan, [], CREATED).status is RunStatus.QUEUED


def planned(steps: list[dict[str, Any]]) -> dict[str, str]:
    """The reasons of what the simulation skips, by template."""
    found: dict[str, str] = {}
    for one in steps:
        if one["status"] == "Skipped":
            found[one["templateId"]] = one["statusReason"]
        found |= planned(one["children"])
    return found


@settings(deadline=None, max_examples=80)
@given(journals())
def test_what_planning_knows_holds_whatever_becomes_of_the_run(
    journal: tuple[Plan, list[Entry]],
) -> None:
    plan, entries = journal
    skipped = planned(simulate_plan(plan))
    possible = [one for one in entries if (one.step or "").rpartition("::")[2] not in skipped]

    before = fold(plan, [], CREATED).steps
    after = fold(plan, possible, CREATED).steps

    known = {one.template_id: one.reason for one in before if one.status is StepStatus.SKIPPED}
    assert known == {one: skipped[one] for one in known}
    assert not {one.template_id for one in before} & set(skipped) - set(known)
    assert {one.step_id for one in before} <= {one.step_id for one in after}
    for one in after:
        if one.template_id in skipped:
            assert (one.status, one.reason) == (StepStatus.SKIPPED, skipped[one.template_id])


BAD = "{id: bad, run: {uses: builtin:fail}}"
CHOICE = (
    "{id: choice, conditional: {branches: [{condition: inputs.on, steps: ["
    "{id: taken, run: {uses: builtin:noop}}]}], else: [{id: passed, parallel: {steps: ["
    "{id: inside, run: {uses: builtin:noop}}]}}]}}"
)


def failed(step: str) -> Entry:
    at = "2026-01-01T00:00:01.000Z"
    return Entry(id="failed", at=at, event=Event.STEP_FAILED, message="Bad.", step=step)


def not_wanted(step: str) -> Entry:
    return Entry(
        id="skipped",
        at="2026-01-01T00:00:01.000Z",
        event=Event.STEP_SKIPPED,
        message="No.",
        step=step,
        metadata={"reason": "condition-false"},
    )


@pytest.mark.parametrize(
    ("steps", "entries", "taken"),
    [
        pytest.param(f"- {CHOICE}", [end(Event.RUN_CANCELLED)], "cancelled", id="cancelled"),
        pytest.param(
            f"- {BAD}\n- {CHOICE}",
            [failed("bad"), end(Event.RUN_FAILED)],
            "run-failed",
            id="behind what failed the run",
        ),
        pytest.param(
            f"- {{id: block, when: inputs.off, parallel: {{steps: [{CHOICE}]}}}}",
            [],
            "parent-skipped",
            id="in a block that planning skips",
        ),
        pytest.param(
            f"- {{id: block, when: run.id, parallel: {{steps: [{CHOICE}]}}}}",
            [not_wanted("block")],
            "parent-skipped",
            id="in a block that the run skips",
        ),
        pytest.param(
            f"- id: block\n  continueOnError: true\n"
            f"  conditional: {{branches: [{{condition: inputs.on, steps: [{BAD}, {CHOICE}]}}]}}",
            [failed("bad")],
            "parent-skipped",
            id="behind a failure that a block contains",
        ),
        pytest.param(
            f"- {{id: block, conditional: {{branches: [{{condition: inputs.off, "
            f"steps: [{CHOICE}]}}]}}}}",
            [],
            "parent-skipped",
            id="in an arm that planning passed by",
        ),
        pytest.param(
            f"- {{id: block, gate: {{policy: {{policy: rules, failureAction: branch, "
            f"branch: [{CHOICE}]}}}}}}",
            [
                Entry(
                    id="passed",
                    at=CREATED,
                    event=Event.STEP_COMPLETED,
                    message="Holds.",
                    step="block",
                )
            ],
            "parent-skipped",
            id="in the branch of a policy that holds",
        ),
    ],
)
def test_an_arm_that_planning_passed_by_was_not_taken_whatever_happens_around_it(
    steps: str, entries: list[Entry], taken: str
) -> None:
    spec = """
    inputs:
      - {name: "on", type: boolean, default: true}
      - {name: "off", type: boolean, default: false}
    policies: [{id: rules, version: "1", rules: [{id: r, require: inputs.on}]}]
    """
    plan = planning.make(pack(steps, spec=spec), {})

    told = {one.step_id: one for one in fold(plan, entries, CREATED).steps}

    found = {one: (told[one].status, told[one].reason) for one in ("taken", "passed", "inside")}
    assert found == {
        "taken": (StepStatus.SKIPPED, taken),
        "passed": (StepStatus.SKIPPED, "branch-not-taken"),
        "inside": (StepStatus.SKIPPED, "parent-skipped"),
    }
    assert told["passed"].last_transition_at == CREATED


EACH = "{id: each, map: {items: inputs.hosts, step: {id: leaf, run: {uses: builtin:noop}}}}"


@pytest.mark.parametrize(
    ("steps", "entries", "leaf"),
    [
        pytest.param(f"- {EACH}", [], (StepStatus.PENDING, None), id="to come"),
        pytest.param(
            f"- {BAD}\n- {EACH}",
            [failed("bad"), end(Event.RUN_FAILED)],
            (StepStatus.SKIPPED, "run-failed"),
            id="behind what failed the run",
        ),
        pytest.param(
            f"- id: block\n  continueOnError: true\n"
            f"  conditional: {{branches: [{{condition: inputs.hosts, steps: [{BAD}, {EACH}]}}]}}",
            [failed("bad")],
            (StepStatus.SKIPPED, "parent-skipped"),
            id="behind a failure that a block contains",
        ),
        pytest.param(
            f"- id: block\n  continueOnError: true\n"
            f"  conditional: {{branches: [{{condition: run.id, steps: [{EACH}]}}]}}",
            [failed("block")],
            (StepStatus.SKIPPED, "parent-skipped"),
            id="in a conditional that could not be decided",
        ),
        pytest.param(
            f"- {{id: block, when: run.id, parallel: {{steps: [{EACH}]}}}}",
            [not_wanted("block")],
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
            id="in an arm that planning passed by",
        ),
    ],
)
def test_known_iterations_are_listed_unless_planning_skips_their_block(
    steps: str, entries: list[Entry], leaf: tuple[StepStatus, str | None] | None
) -> None:
    spec = """
    inputs:
      - {name: hosts, type: array, default: [a]}
      - {name: none, type: array, default: []}
    """
    plan = planning.make(pack(steps, spec=spec), {})

    told = {one.step_id: (one.status, one.reason) for one in fold(plan, entries, CREATED).steps}

    assert told.get("each[0]::leaf") == leaf


GATE = (
    "{id: gate, gate: {policy: {policy: rules, failureAction: branch, "
    "branch: [{id: leaf, run: {uses: builtin:noop}}]}}}"
)
UNDECIDED = (
    "- {id: block, continueOnError: true, "
    f"conditional: {{branches: [{{condition: run.id, steps: [{GATE}]}}]}}}}"
)


@pytest.mark.parametrize(
    ("steps", "entries", "leaf"),
    [
        (f"- {GATE}", [end(Event.RUN_CANCELLED)], "cancelled"),
        (f"- {BAD}\n- {GATE}", [failed("bad"), end(Event.RUN_FAILED)], "run-failed"),
        (
            UNDECIDED,
            [failed("block")],
            "parent-skipped",
        ),
        (f"- {GATE}", [failed("gate"), end(Event.RUN_FAILED)], "branch-not-taken"),
    ],
    ids=["cancelled", "not reached", "not decided", "failed"],
)
def test_a_policy_gate_that_has_not_ended_by_itself_has_not_passed_its_branch_by(
    steps: str, entries: list[Entry], leaf: str
) -> None:
    spec = 'policies: [{id: rules, version: "1", rules: [{id: r, require: run.id}]}]'
    plan = planning.make(pack(steps, spec=spec), {})

    told = {one.step_id: (one.status, one.reason) for one in fold(plan, entries, CREATED).steps}

    assert told["leaf"] == (StepStatus.SKIPPED, leaf)
