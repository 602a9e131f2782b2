"""The rules by which the run, the block around it and its siblings change a step.

A rule returns the new state of a step, or None when it does not apply. The first rule of a list
that applies decides, so the order of a list is part of its meaning.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from taskrunner.model.entries.flow_entries import DecisionKind
from taskrunner.model.run import Reason, RunStatus, StepStatus
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskrunner.model.run import StepState
    from taskrunner.model.state.facts import Facts

_CUT_SHORT: Final = frozenset({Reason.RUN_FAILED, Reason.CANCELLED, Reason.PARENT_SKIPPED})


class Skip(NamedTuple):
    """The reason and the time of skipping the steps of a scope; *planned*: planning knew it."""

    reason: Reason | None
    since: str | None
    planned: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """The surroundings of a list of steps.

    * prefix         the iterations around it, as its steps' paths have them
    * parent         the path of the block that holds the list
    * skip           why its steps are not run, if they are not
    * is_reached     whether its first step may begin now
    * is_contained   whether a failure in it ends at a block around it, and the run goes on
    * stopped_at     when a failed sibling stopped a block around it after which the run goes on
    """

    prefix: str = ""
    parent: str | None = None
    skip: Skip | None = None
    is_reached: bool = True
    is_contained: bool = False
    stopped_at: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A block with its children, as far as they are known; *is_complete* is that all of them are.

    *state* is the state that the block's own entries give. Only decisions have such entries.
    *is_checked_at_its_end* is whether the run assembles its outputs before it goes on.
    *stops_at_failure* and *fails_at_its_end* are those of its step.
    """

    state: StepState
    children: Sequence[StepState]
    is_complete: bool
    is_checked_at_its_end: bool = False
    stops_at_failure: bool = True
    fails_at_its_end: bool = False

    @property
    def has_begun(self) -> bool:
        """Whether a decision was made or a child was reached."""
        return self.state.status is StepStatus.RUNNING or any(map(_has_begun, self.children))

    @property
    def was_reached(self) -> bool:
        """Whether it had begun before the run, or a failure beside it, may have stopped it."""
        return self.has_begun or any(child.was_reached for child in self.children)

    @property
    def attempts(self) -> int:
        """The number of its starts: one, except for a policy gate, which may be evaluated again."""
        return max(self.state.attempts, int(self.was_reached))

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing more to come in it."""
        return self.is_complete and all(child.has_ended for child in self.children)


StepRule: TypeAlias = "Callable[[StepState, Scope, Facts], StepState | None]"
BlockRule: TypeAlias = "Callable[[Block, Scope, Facts], StepState | None]"


# --- a step without children, or a block that has not begun -----------------------------------


def keep_what_has_ended(step: StepState, _scope: Scope, _facts: Facts) -> StepState | None:
    """A step that has ended keeps its state, whatever happens around it."""
    return step if step.has_ended else None


def stop_with_the_block_around(step: StepState, scope: Scope, _facts: Facts) -> StepState | None:
    """A failure that a block contains ends the block: no step in it starts any more.

    A step that has not started is Skipped. A step between two attempts gets no further one, so its
    last failure is final.
    """
    if scope.stopped_at is None or step.status is StepStatus.RUNNING:
        return None
    ended = _ended_at(step, scope.stopped_at)
    return _skipped(ended, Reason.PARENT_SKIPPED) if _has_not_started(step) else _failed(ended)


def keep_while_the_run_goes_on(step: StepState, _scope: Scope, facts: Facts) -> StepState | None:
    """A run that has not ended changes no step."""
    return step if facts.outcome is None else None


def let_finish_what_runs_at_the_end(
    step: StepState, _scope: Scope, facts: Facts
) -> StepState | None:
    """A step that runs beside others when the run ends may finish, unless the run is cancelled."""
    return step if facts.leaves_running(step) else None


def skip_when_cancelled(step: StepState, _scope: Scope, facts: Facts) -> StepState | None:
    """Cancelling is immediate and final: Pending and Running steps become Skipped."""
    # During `finally`, only a step that still runs beside the failure of the others has not ended.
    is_cut_off = facts.cancelled_at is not None and step.status is StepStatus.RUNNING
    if facts.outcome is not RunStatus.CANCELLED and not is_cut_off:
        return None
    return _skipped(_ended_at(step, facts.cancelled_at or facts.ended_at), Reason.CANCELLED)


def skip_when_the_run_failed_before(
    step: StepState, _scope: Scope, facts: Facts
) -> StepState | None:
    """A step that has not started when the run fails is Skipped, and so is an open gate."""
    if facts.outcome is not RunStatus.FAILED or not _has_not_started(step):
        return None
    return _skipped(_ended_at(step, facts.ended_at), Reason.RUN_FAILED)


def fail_when_no_end_is_recorded(step: StepState, _scope: Scope, facts: Facts) -> StepState | None:
    """A step that the run has passed, without an entry of its end, is Failed.

    Its function died; or it was between two attempts, and its last failure is final.
    """
    return _failed(_ended_at(step, facts.ended_at))


STEP_RULES: Final[Sequence[StepRule]] = (
    keep_what_has_ended,
    stop_with_the_block_around,
    keep_while_the_run_goes_on,
    let_finish_what_runs_at_the_end,
    skip_when_cancelled,
    skip_when_the_run_failed_before,
    fail_when_no_end_is_recorded,
)


def step_state(step: StepState, scope: Scope, facts: Facts) -> StepState:
    """Return the state of a step whose own entries say *step*."""
    return next(state for rule in STEP_RULES if (state := rule(step, scope, facts)) is not None)


# --- blocks -----------------------------------------------------------------------------------


def keep_what_could_not_be_decided(block: Block, _scope: Scope, _facts: Facts) -> StepState | None:
    """A block whose condition or items could not be evaluated has failed by an entry of its own."""
    return replace(block.state, attempts=block.attempts) if block.state.has_ended else None


def fail_with_a_child(block: Block, scope: Scope, facts: Facts) -> StepState | None:
    """A block is Failed when a child without `continueOnError` failed.

    One that does not stop at a failure runs its remaining children first. If it may not fail
    itself, its failure has an entry of its own then.
    """
    has_failed = any(child.is_fatal for child in block.children)
    waits = block.fails_at_its_end and not _is_stopped(scope, facts)
    if has_failed and not waits and (block.has_ended or block.stops_at_failure):
        return _derived(block, StepStatus.FAILED)
    return None


def run_on_until_its_outputs_are_assembled(
    block: Block, scope: Scope, facts: Facts
) -> StepState | None:
    """A block whose outputs can fail is Running until the run has assembled them.

    An earlier release recorded no entry for this, so the end of the run settles the block too.
    """
    is_assembled = facts.number(block.state.path, DecisionKind.RESULT) is not None
    if not (block.has_ended and block.has_begun and block.is_checked_at_its_end):
        return None
    return (
        None if is_assembled or _is_stopped(scope, facts) else _derived(block, StepStatus.RUNNING)
    )


def succeed_with_all_children(block: Block, scope: Scope, facts: Facts) -> StepState | None:
    """A block is Succeeded when all of its children have ended and were not cut short.

    A block that is reached and has nothing to do, such as a map over no items, is passed.
    """
    if not block.has_ended:
        return None
    was_cut_short = _is_stopped(scope, facts) and any(
        child.reason in _CUT_SHORT for child in block.children
    )
    is_passed = scope.is_reached and (facts.started_at or facts.outcome) is not None
    if was_cut_short or not (block.has_begun or is_passed):
        return None
    return _derived(block, StepStatus.SUCCEEDED)


def run_on_with_a_running_child(block: Block, scope: Scope, facts: Facts) -> StepState | None:
    """A block that was stopped is still Running while one of its children may finish."""
    is_running = any(child.status is StepStatus.RUNNING for child in block.children)
    if _is_stopped(scope, facts) and is_running:
        return _derived(block, StepStatus.RUNNING)
    return None


def end_when_stopped(block: Block, scope: Scope, facts: Facts) -> StepState | None:
    """A block that was stopped ends like a step that has not started.

    A block that had begun was cut short by a failure, so it is Failed. A cancelled block is
    Skipped.
    """
    if not _is_stopped(scope, facts):
        return None
    unstarted = replace(_with_last_transition(block), status=StepStatus.PENDING, attempts=0)
    state = replace(
        step_state(unstarted, scope, facts), attempts=block.attempts, was_reached=block.was_reached
    )
    if block.has_begun and state.reason in {Reason.RUN_FAILED, Reason.PARENT_SKIPPED}:
        return replace(state, status=StepStatus.FAILED)
    return state


def run_once_begun(block: Block, _scope: Scope, _facts: Facts) -> StepState | None:
    """A block runs from its first decision, or from the first of its children that is reached."""
    return _derived(block, StepStatus.RUNNING) if block.has_begun else None


def wait_until_begun(block: Block, _scope: Scope, _facts: Facts) -> StepState | None:
    """Any other block is Pending."""
    return _with_last_transition(block)


BLOCK_RULES: Final[Sequence[BlockRule]] = (
    keep_what_could_not_be_decided,
    fail_with_a_child,
    run_on_until_its_outputs_are_assembled,
    succeed_with_all_children,
    run_on_with_a_running_child,
    end_when_stopped,
    run_once_begun,
    wait_until_begun,
)


def derived(block: Block, scope: Scope, facts: Facts) -> StepState:
    """Return the state of a block, which follows from its children."""
    return next(state for rule in BLOCK_RULES if (state := rule(block, scope, facts)) is not None)


# --- parts of rules ---------------------------------------------------------------------------


def lets_next_start(step: StepState) -> bool:
    """The next step starts unless *step* is unfinished, or failed without `continueOnError`."""
    return step.has_ended and not step.is_fatal


def _is_stopped(scope: Scope, facts: Facts) -> bool:
    return facts.outcome is not None or scope.stopped_at is not None


def _has_not_started(step: StepState) -> bool:
    return step.attempts == 0 or step.is_waiting or _is_first_deferred(step)


def _is_first_deferred(step: StepState) -> bool:
    """Return whether AWS refused the first attempt of a step, which has had no effect.

    Between two attempts there is a time of the next one.
    """
    is_deferred = step.reason is Reason.RETRYING and step.next_attempt_at is None
    return is_deferred and step.attempts == 1


def _has_begun(step: StepState) -> bool:
    if step.status is StepStatus.PENDING:
        return step.is_waiting or step.is_under_way
    return step.status is not StepStatus.SKIPPED


def _ended_at(step: StepState, occurred_at: str | None) -> StepState:
    return replace(step, last_transition_at=occurred_at, next_attempt_at=None)


def _skipped(step: StepState, reason: Reason) -> StepState:
    return replace(step, status=StepStatus.SKIPPED, reason=reason)


def _failed(step: StepState) -> StepState:
    """A step that can end in no other way: failed as before, or lost with its function."""
    reason = step.failure or Reason.EXECUTOR_ERROR
    return replace(step, status=StepStatus.FAILED, reason=reason)


def _derived(block: Block, status: StepStatus) -> StepState:
    return replace(
        _with_last_transition(block),
        status=status,
        reason=None,
        attempts=max(1, block.attempts),
        was_reached=True,
    )


def _with_last_transition(block: Block) -> StepState:
    """A block that has begun changed last when it or one of its children did."""
    times = [step.last_transition_at for step in (block.state, *block.children)]
    known = [time for time in times if time is not None]
    return replace(
        block.state, last_transition_at=max(known, default=None) if block.has_begun else None
    )
