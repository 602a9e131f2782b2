"""The state of a run as the fold of its journal over its plan.

Only what runs leaves entries: run steps, gates, decisions. What holds others, parallels, maps,
loops and conditionals, is in the state that its children make, so that a block costs no write and
can never disagree with what is in it.

The fold is total: any sequence of entries has a state. What a late or repeated writer adds after
the run or the step has ended is in the log and changes nothing, with one exception: a step that
was running while its run failed may still finish, and its result counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

from taskrunner.model import moment
from taskrunner.model.journal import Entry, Event
from taskrunner.model.plan import (
    ApprovalGate,
    Conditional,
    Iterated,
    Loop,
    MapStep,
    Parallel,
    PolicyGate,
    RunStep,
    Step,
    StepKind,
    children,
    walk,
)
from taskrunner.model.run import Reason, RunState, RunStatus, StepState, StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from taskrunner.model.plan import Plan

# Why something stopped short, and not because it was done.
_STOPPED: Final = frozenset({Reason.RUN_FAILED, Reason.CANCELLED, Reason.PARENT_SKIPPED})
# A block of more steps than this lists the iterations that have begun and not those to come.
MOST_LISTED: Final = 1000
LONGEST_ATTEMPT: Final = timedelta(seconds=960)  # Lambda ends a function after 900 s
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_ITERATION: Final = re.compile(r"(?:^|::)([^\[\]:]+)\[([0-9]{1,9})\]")
_WAITS: Final = frozenset({Reason.AWAITING_APPROVAL, Reason.AWAITING_OVERRIDE})
_ENDED: Final = frozenset({StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED})
RUN_ENDS: Final = {
    Event.RUN_COMPLETED: RunStatus.SUCCEEDED,
    Event.RUN_FAILED: RunStatus.FAILED,
    Event.RUN_CANCELLED: RunStatus.CANCELLED,
    Event.RUN_SCHEDULE_FAILED: RunStatus.FAILED,
}


def fold(plan: Plan, entries: Iterable[Entry], created_at: str) -> RunState:
    """The state that *entries*, in the journal's order, give the run of *plan*."""
    facts = _Facts(plan, created_at)
    for entry in entries:
        facts.apply(entry)
    steps = _Unfolder(facts).all()
    return RunState(
        status=facts.outcome or _live_status(steps, facts),
        started_at=facts.started_at,
        ended_at=facts.ended_at,
        updated_at=facts.updated_at,
        steps=tuple(steps),
    )


def without_lost(state: RunState, now: datetime) -> RunState:
    """*state* of a run that has ended, in which no step runs for longer than a function can.

    A step that ran beside the one that failed the run may finish and is waited for; a function that
    died with it can be told by the time alone.
    """
    lost_before = moment.to_text(now - LONGEST_ATTEMPT)
    steps = tuple(
        replace(step, status=StepStatus.FAILED, reason=Reason.EXECUTOR_ERROR)
        if step.status is StepStatus.RUNNING and (step.last_transition_at or "") < lost_before
        else step
        for step in state.steps
    )
    return replace(state, steps=steps)


def _live_status(steps: Iterable[StepState], facts: _Facts) -> RunStatus:
    leaves = [step for step in steps if step.step_id in facts.told]
    # A block that has entries of its own runs for as long as what is in it waits.
    busy = any(
        (step.kind is StepKind.RUN and step.status is StepStatus.RUNNING)
        or step.reason is Reason.RETRYING
        for step in leaves
    )
    if not busy and any(step.reason in _WAITS for step in leaves):
        return RunStatus.WAITING
    return RunStatus.QUEUED if facts.started_at is None else RunStatus.RUNNING


class _Facts:
    """What the entries say, by the path of the step that they are about."""

    def __init__(self, plan: Plan, created_at: str) -> None:
        self.plan = plan
        self.created_at = created_at
        self.told: dict[str, StepState] = {}  # every step that has entries of its own
        self.decided: dict[tuple[str, str], str] = {}  # what decide_flow answered, by path and ask
        self.begun: dict[str, set[int]] = {}  # the iterations of a map or loop that have entries
        self.outcome: RunStatus | None = None
        self.started_at: str | None = None
        self.ended_at: str | None = None
        self.updated_at = created_at
        self._templates = {step.id: step for step in walk(plan.steps)}
        self._around = dict(_iterated_around(plan.steps, ()))
        blocks = (step for step in walk(plan.steps) if isinstance(step, Parallel | MapStep))
        self._concurrent = {inner.id for block in blocks for inner in walk(children(block))}

    def apply(self, entry: Entry) -> None:
        if self.outcome is not None and not self._may_finish(entry):
            return
        if entry.event in RUN_ENDS:
            self.outcome = RUN_ENDS[entry.event]
            self.ended_at = self.updated_at = entry.at
        elif entry.event is Event.RUN_STARTED:
            self._began(entry)
        elif entry.step is not None:
            self._step(entry.step, entry)

    def _may_finish(self, entry: Entry) -> bool:
        told = self.told.get(entry.step or "")
        is_end = entry.event in {Event.STEP_COMPLETED, Event.STEP_FAILED}
        return (
            self.outcome is RunStatus.FAILED
            and is_end
            and told is not None
            and told.status is StepStatus.RUNNING
            and told.template_id in self._concurrent
        )

    def _template(self, path: str) -> Step | None:
        """The step of the plan that *path* is of, when it names the iterations around it."""
        *iterations, step_id = path.split("::")
        named = tuple(one.split("[", 1)[0] for one in iterations)
        return self._templates.get(step_id) if self._around.get(step_id) == named else None

    def _began(self, entry: Entry) -> None:
        self.started_at = self.started_at or entry.at
        self.updated_at = entry.at

    def _step(self, path: str, entry: Entry) -> None:
        template = self._template(path)
        if template is None or template.enabled is False:
            return  # of a step that is not run the plan says all there is
        told = self.told.get(path) or _untold(template, path)
        if told.status in _ENDED:
            return
        changed = _transition(told, entry)
        if changed is None:
            return
        if entry.event is Event.FLOW_DECIDED or entry.metadata.get("ask") == "end":
            self.decided[path, entry.metadata.get("ask", "")] = entry.metadata.get("value", "")
        self.told[path] = replace(changed, last_transition_at=entry.at)
        for match in _ITERATION.finditer(path):
            container = path[: match.start(1)] + match[1]
            self.begun.setdefault(container, set()).add(int(match[2]))
        self._began(entry)


def _iterated_around(
    steps: Iterable[Step], around: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The id of each step, and those of the maps and loops around it."""
    for step in steps:
        yield step.id, around
        inside = (*around, step.id) if isinstance(step, MapStep | Loop) else around
        yield from _iterated_around(children(step), inside)


def _untold(template: Step, path: str) -> StepState:
    return StepState(
        step_id=path,
        template_id=template.id,
        parent_id=None,
        kind=template.kind,
        enabled=template.enabled is not False,
        continue_on_error=template.continue_on_error,
        reason=Reason.CONDITION_AT_RUNTIME if template.enabled is None else None,
    )


def _transition(step: StepState, entry: Entry) -> StepState | None:
    """*step* after *entry*, or None when the entry is about something else."""
    attempts = max(step.attempts, _attempt(entry))
    clean = replace(step, reason=None, next_attempt_at=None, attempts=attempts)
    match entry.event:
        case Event.STEP_STARTED:
            return replace(clean, status=StepStatus.RUNNING)
        case Event.FLOW_DECIDED:
            return replace(clean, status=StepStatus.RUNNING, attempts=max(attempts, 1))
        case Event.STEP_COMPLETED:
            # What went wrong before is in the log; the step itself is well.
            done = replace(clean, status=StepStatus.SUCCEEDED, error_message=None)
            return replace(done, reason=_reason(entry))
        case Event.STEP_FAILED:
            return _failed(clean, entry)
        case Event.STEP_SKIPPED:
            return replace(clean, status=StepStatus.SKIPPED, reason=_reason(entry))
        case Event.GATE_AWAITING:
            override = entry.metadata.get("override") == "true"
            reason = Reason.AWAITING_OVERRIDE if override else Reason.AWAITING_APPROVAL
            return replace(clean, status=StepStatus.PENDING, reason=reason)
        case Event.GATE_APPROVED:
            return replace(clean, status=StepStatus.SUCCEEDED)
        case Event.GATE_REJECTED:
            return replace(clean, status=StepStatus.FAILED, reason=Reason.APPROVAL_REJECTED)
        case Event.GATE_EXPIRED:
            return replace(clean, status=StepStatus.FAILED, reason=Reason.APPROVAL_EXPIRED)
        case _:
            return None


def _failed(step: StepState, entry: Entry) -> StepState:
    step = replace(step, error_message=entry.message)
    if (at := entry.metadata.get("nextAttemptAt")) is not None:
        return replace(step, status=StepStatus.PENDING, reason=Reason.RETRYING, next_attempt_at=at)
    reason = _reason(entry) or Reason.EXECUTOR_ERROR
    return replace(step, status=StepStatus.FAILED, reason=reason)


def _attempt(entry: Entry) -> int:
    """The attempt that *entry* is about; 0 when it names none."""
    text = entry.metadata.get("attempt", "")
    return int(text) if _NUMBER.fullmatch(text) else 0


def _reason(entry: Entry) -> Reason | None:
    """The reason that *entry* gives, if it is one that this release knows."""
    given = entry.metadata.get("reason")
    return Reason(given) if given in set(Reason) else None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a list of steps stands.

    *iteration* is the prefix of its paths, *parent* the path of the block around it. *fate* is why
    nothing in it is run, since *since*; *reached* says that its first step may begin now;
    *contained* that a failure in it ends at a block around it, and the run goes on; *concurrent*
    that steps beside it may run at the same time; *cut* since when a failure beside it, which a
    block around contains, has stopped it; *planned* that planning already knew that nothing in it
    is run.
    """

    iteration: str = ""
    parent: str | None = None
    fate: Reason | None = None
    since: str | None = None
    reached: bool = True
    contained: bool = False
    concurrent: bool = False
    cut: str | None = None
    planned: bool = False


# All states of a list of steps and of what is in them, and those of the steps alone.
_Listed: TypeAlias = "tuple[list[StepState], list[StepState]]"


class _Unfolder:
    """Every step that there is, in the plan's order, each block before what is in it."""

    def __init__(self, facts: _Facts) -> None:
        self._facts = facts

    def all(self) -> list[StepState]:
        states, _ = self._list(self._facts.plan.steps, _Place())
        return states

    def _list(self, steps: Sequence[Step], place: _Place) -> _Listed:
        everything: list[StepState] = []
        own: list[StepState] = []
        for step in steps:
            states = self._step(step, place)
            everything += states
            own.append(states[0])
            if _is_fatal(states[0]) and place.contained:
                fate = Reason.PARENT_SKIPPED
                place = replace(place, fate=fate, since=states[0].last_transition_at)
            place = replace(place, reached=place.reached and _has_passed(states[0]))
        return everything, own

    def _step(self, step: Step, place: _Place) -> list[StepState]:
        path = place.iteration + step.id
        told = self._facts.told.get(path) or _untold(step, path)
        told = replace(told, parent_id=place.parent)
        inside = replace(
            place,
            parent=path,
            contained=place.contained or step.continue_on_error,
            concurrent=place.concurrent or isinstance(step, Parallel | MapStep),
        )
        if step.enabled is False:
            reason, since = Reason.CONDITION_FALSE, self._facts.created_at
            return self._skipped(step, told, reason, since, replace(inside, planned=True))
        # What an arm that was passed by says of itself is of no run that can have been.
        is_passed_by = place.fate is Reason.BRANCH_NOT_TAKEN
        if place.fate is not None and (is_passed_by or told.status is StepStatus.PENDING):
            return self._skipped(step, told, place.fate, place.since, inside)
        if told.status is StepStatus.SKIPPED:
            return self._skipped(step, told, told.reason, told.last_transition_at, inside)
        if told.status is StepStatus.FAILED and inside.contained:
            inside = replace(inside, cut=inside.cut or told.last_transition_at)
        match step:
            case RunStep() | ApprovalGate():
                return [self._ended_with_run(told, place)]
            case PolicyGate():
                return self._policy(step, told, inside)
            case Parallel():
                lanes = self._lanes(step, [((child,), inside) for child in step.steps])
                return self._block(step, told, lanes, place, complete=True)
            case MapStep() | Loop():
                return self._iterated(step, told, inside, place)
            case Conditional():
                return self._conditional(step, told, inside, place)
            case _:
                assert_never(step)

    def _lanes(
        self, step: Parallel | MapStep, lanes: Sequence[tuple[Sequence[Step], _Place]]
    ) -> list[_Listed]:
        """The states of lists that run at the same time: a failure in one stops the others."""
        lists = [self._list(steps, place) for steps, place in lanes]
        failed = [state for _, direct in lists for state in direct if _is_fatal(state)]
        times = [state.last_transition_at for state in failed if state.last_transition_at]
        if not times or step.continue_on_error:
            return lists
        # Where nothing around contains it, the run itself ends by this.
        return [
            self._list(steps, replace(place, cut=min(times)))
            if place.contained and place.cut is None
            else states
            for (steps, place), states in zip(lanes, lists, strict=True)
        ]

    def _skipped(
        self, step: Step, told: StepState, reason: Reason | None, since: str | None, inside: _Place
    ) -> list[StepState]:
        state = replace(
            told, status=StepStatus.SKIPPED, reason=reason, last_transition_at=since, attempts=0
        )
        fate = replace(inside, fate=Reason.PARENT_SKIPPED, since=since)
        lists: list[tuple[Sequence[Step], _Place]]
        if isinstance(step, Conditional):
            arms = enumerate(step.arms)
            lists = [(arm, self._unless_passed_by(step, number, fate)) for number, arm in arms]
        elif isinstance(step, MapStep | Loop):
            turns, _ = self._turns(step, told.step_id)
            # Nobody ever expected those of a block that planning skips.
            places = () if inside.planned else self._places(step, told.step_id, turns, fate)
            lists = [(step.steps, one) for one in places]
        else:
            lists = [(children(step), fate)]
        return [state, *(one for steps, here in lists for one in self._list(steps, here)[0])]

    def _unless_passed_by(self, step: Conditional, number: int, place: _Place) -> _Place:
        """*place*, or that of an arm which planning passed by: that stands whatever happens."""
        if step.taken in {None, number}:
            return place
        since = self._facts.created_at
        return replace(place, fate=Reason.BRANCH_NOT_TAKEN, since=since, planned=True)

    def _policy(self, step: PolicyGate, told: StepState, inside: _Place) -> list[StepState]:
        if not step.branch:
            return [self._ended_with_run(told, inside)]
        verdict = self._facts.decided.get((told.step_id, "policy"))
        if verdict == "branch":
            everything, own = self._list(step.branch, replace(inside, reached=True))
            here = replace(inside, reached=True)
            state = self._derived(step, told, own, here, complete=True)
            if state.status is StepStatus.SUCCEEDED:
                state = replace(state, reason=Reason.POLICY_FAILED)
            return [state, *everything]
        state = self._ended_with_run(told, inside)
        if state.status in {StepStatus.SUCCEEDED, StepStatus.FAILED}:
            fate = Reason.BRANCH_NOT_TAKEN
            inside = replace(inside, fate=fate, since=state.last_transition_at)
        everything, _ = self._list(step.branch, replace(inside, reached=False))
        return [state, *everything]

    def _conditional(
        self, step: Conditional, told: StepState, inside: _Place, place: _Place
    ) -> list[StepState]:
        taken, since = step.taken, self._facts.created_at
        if taken is None:
            text = self._facts.decided.get((told.step_id, "branch"), "")
            taken = int(text) if _NUMBER.fullmatch(text) else None
            since = told.last_transition_at or since
        everything: list[StepState] = []
        own: list[StepState] = []
        for number, arm in enumerate(step.arms):
            if taken is None:
                here = replace(inside, reached=False)
            elif number == taken:
                here = inside
            else:
                here = replace(inside, fate=Reason.BRANCH_NOT_TAKEN, since=since)
                here = self._unless_passed_by(step, number, here)
            states, direct = self._list(arm, here)
            everything += states
            own += direct if number == taken else []
        state = self._derived(step, told, own, place, complete=taken is not None)
        return [state, *everything]

    def _iterated(
        self, step: Iterated, told: StepState, inside: _Place, place: _Place
    ) -> list[StepState]:
        path = told.step_id
        turns, closed = self._turns(step, path)
        places = self._places(step, path, turns, inside)
        if isinstance(step, MapStep):
            lists = self._lanes(step, [(step.steps, one) for one in places])
        else:
            lists = self._in_turn(step, places)
        complete = closed and turns is not None and len(lists) == turns
        return self._block(step, told, lists, place, complete=complete)

    def _places(self, step: Iterated, path: str, turns: int | None, inside: _Place) -> list[_Place]:
        """The iterations to list of *turns* in all, or of no known number."""
        known: Iterable[int] = range(turns or 0)
        if turns is None or turns * sum(1 for _ in walk(step.steps)) > MOST_LISTED:
            known = sorted(self._facts.begun.get(path, set()))
        return [replace(inside, iteration=f"{path}[{index}]::") for index in known]

    def _in_turn(self, step: Loop, places: Iterable[_Place]) -> list[_Listed]:
        """The states of a loop's iterations: one that fails is the last, unless it may fail."""
        lists: list[_Listed] = []
        reached, fate, since = True, None, None
        for place in places:
            here = replace(place, reached=place.reached and reached)
            if fate is not None and place.fate is None:
                here = replace(here, fate=fate, since=since)
            lists.append(self._list(step.steps, here))
            own = lists[-1][1]
            passed = all(_has_passed(one) for one in own)
            reached = reached and (passed or step.continue_on_error)
            fatal = next((one for one in own if _is_fatal(one)), None)
            if fatal is not None and place.contained and not step.continue_on_error:
                fate, since = Reason.PARENT_SKIPPED, since or fatal.last_transition_at
        return lists

    def _count(self, step: Iterated, path: str) -> int | None:
        if step.items.values is not None:
            return len(step.items.values)
        text = self._facts.decided.get((path, "items"), "")
        return int(text) if _NUMBER.fullmatch(text) else None

    def _turns(self, step: Iterated, path: str) -> tuple[int | None, bool]:
        """How many iterations there are to list, and whether there will be no more."""
        count = self._count(step, path)
        if not (isinstance(step, Loop) and step.until is not None):
            return count, count is not None
        ended = self._facts.decided.get((path, "end"), "")
        if _NUMBER.fullmatch(ended):
            return int(ended), True
        return max(self._facts.begun.get(path, {-1})) + 1, False

    def _block(
        self,
        step: Step,
        told: StepState,
        lists: Sequence[_Listed],
        place: _Place,
        *,
        complete: bool,
    ) -> list[StepState]:
        own = [state for _, direct in lists for state in direct]
        state = self._derived(step, told, own, place, complete=complete)
        return [state, *(state for everything, _ in lists for state in everything)]

    def _derived(
        self,
        step: Step,
        told: StepState,
        own: Sequence[StepState],
        place: _Place,
        *,
        complete: bool,
    ) -> StepState:
        """The state of a block from the states of its children."""
        if told.status in _ENDED:
            return told  # decide_flow could not decide
        ended = complete and all(one.status in _ENDED for one in own)
        fatal = any(_is_fatal(one) for one in own)
        begun = told.status is StepStatus.RUNNING or any(_has_begun(one) for one in own)
        times = [one.last_transition_at for one in (told, *own) if one.last_transition_at]
        state = replace(told, last_transition_at=max(times) if begun and times else None)
        if fatal and (ended or not step.continue_on_error):
            return replace(state, status=StepStatus.FAILED, reason=None, attempts=1)
        is_left = place.reached and (self._facts.started_at or self._facts.outcome) is not None
        is_stopped = self._facts.outcome is not None or place.cut is not None
        is_whole = ended and not any(one.reason in _STOPPED for one in own)
        if (is_whole or (ended and not is_stopped)) and (begun or is_left):
            return replace(state, status=StepStatus.SUCCEEDED, reason=None, attempts=1)
        if is_stopped:
            return self._cut_off(state, own, place, begun=begun)
        if begun:
            return replace(state, status=StepStatus.RUNNING, reason=None, attempts=1)
        return state

    def _cut_off(
        self, state: StepState, own: Sequence[StepState], place: _Place, *, begun: bool
    ) -> StepState:
        """A block that had not ended when its run did, or when a failure beside it stopped it."""
        if any(one.status is StepStatus.RUNNING for one in own):
            return replace(state, status=StepStatus.RUNNING, reason=None, attempts=1)
        cut = self._ended_with_run(replace(state, status=StepStatus.PENDING, attempts=0), place)
        if begun and cut.reason in {Reason.RUN_FAILED, Reason.PARENT_SKIPPED}:
            return replace(cut, status=StepStatus.FAILED, attempts=1)
        return cut

    def _ended_with_run(self, step: StepState, place: _Place) -> StepState:
        """*step*, or what has become of it when its run ended before it did."""
        outcome = self._facts.outcome
        if step.status in _ENDED:
            return step
        is_running = step.status is StepStatus.RUNNING
        if place.cut is not None and not is_running:
            return _cut(step, place.cut)
        if outcome is None:
            return step
        if outcome is RunStatus.FAILED and is_running and place.concurrent:
            return step  # it ran beside what failed, and nothing stops a function: it may finish
        ended = replace(step, last_transition_at=self._facts.ended_at, next_attempt_at=None)
        if outcome is RunStatus.CANCELLED:
            return replace(ended, status=StepStatus.SKIPPED, reason=Reason.CANCELLED)
        if outcome is RunStatus.FAILED and (step.attempts == 0 or step.reason in _WAITS):
            return replace(ended, status=StepStatus.SKIPPED, reason=Reason.RUN_FAILED)
        # It was started, or passed by, and nobody recorded its end: the function itself broke down.
        return replace(ended, status=StepStatus.FAILED, reason=Reason.EXECUTOR_ERROR)


def _cut(step: StepState, since: str) -> StepState:
    """A step that waited, for its turn or its next attempt, when its block ended around it."""
    ended = replace(step, last_transition_at=since, next_attempt_at=None)
    if step.attempts == 0 or step.reason in _WAITS:
        return replace(ended, status=StepStatus.SKIPPED, reason=Reason.PARENT_SKIPPED)
    return replace(ended, status=StepStatus.FAILED, reason=Reason.EXECUTOR_ERROR)


def _is_fatal(state: StepState) -> bool:
    return state.status is StepStatus.FAILED and not state.continue_on_error


def _has_passed(state: StepState) -> bool:
    """Whether what stands behind may begin."""
    return state.status in _ENDED and not _is_fatal(state)


def _has_begun(state: StepState) -> bool:
    if state.status in {StepStatus.RUNNING, StepStatus.SUCCEEDED, StepStatus.FAILED}:
        return True
    waits = {*_WAITS, Reason.RETRYING}
    return state.status is StepStatus.PENDING and state.reason in waits
