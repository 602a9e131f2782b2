"""Decide what planning could not: conditions, branches, items, turns of loops, and policies."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, assert_never

from taskrunner import expressions
from taskrunner.errors import StepFailedError
from taskrunner.expressions import ExpressionError
from taskrunner.model import step_path
from taskrunner.model.endings import can_outputs_fail
from taskrunner.model.entries import flow_entries
from taskrunner.model.flow import NO_BRANCH, Question
from taskrunner.model.plan import MAX_ITERATIONS, Conditional, Loop, MapStep, Parallel
from taskrunner.model.wording import kind_of
from taskrunner.runtime.iteration_values import keep_value
from taskrunner.runtime.recorded_outcomes import items_path, iteration_count_path
from taskrunner.runtime.run_lifecycle import check_not_ended
from taskrunner.runtime.run_values import reads_now
from taskrunner.runtime.running_step import RunningStep, find_step
from taskrunner.usecases.decide_policy import decide_policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.model.plan import Iterated
    from taskrunner.model.run import StepReference
    from taskrunner.ports import World


def decide_flow(  # noqa: PLR0913 - an event has this many parts
    reference: StepReference,
    question: Question,
    world: World,
    *,
    has_failed: bool = False,
    ended: str | None = None,
    remaining_s: float = 0,
) -> JsonObject:
    """Answer *question* with `{"value": ...}`. Asked again, it gives the same answer.

    * condition   whether the step is run: a boolean
    * branch      the number of a conditional's branch; the number of branches means `else`
    * items       the indexes of a map's or loop's items, or of a parallel's lanes, from 0
    * turn        `{next, run, path}`: where a loop that takes turns goes on, to an iteration, its
                  end or its failure, and the place to go on with. *has_failed* says that an
                  iteration, or the question itself, has failed
    * result      null, at the end of a block whose outputs can be assembled, and of whose items
                  none has failed
    * policy      passed, warned, retry, override, branch or skipped

    The first question about a step decides its `when` too. For a skipped conditional the
    answer is branch -1. A skipped map gets an empty list of items, and a skipped loop no turn.

    *ended* is the id of a block before the step, of which the `result` is asked first.
    *remaining_s* is as for `decide_policy`.

    A step that may fail, and fails by its items or at its end, is answered all the same: its
    failure is recorded, it has no items, and the run goes on.

    Machines of earlier releases ask `condition` first, read `more` of a turn, and ask `leave` after
    a failed iteration, which is answered with `{path}`.

    Raises:
        StepFailedError: the step failed by the question, and its journal says so.
        ConflictError: the run, or a block around the step, has ended.
    """
    running = find_step(reference, world)
    if question is Question.POLICY:
        verdict = decide_policy(running, remaining_s=remaining_s)
        return {"value": "skipped" if verdict is None else verdict.value}
    check_not_ended(running.snapshot.run)
    running, iteration = _seen_from_around(running)
    if ended is not None:
        _end(replace(running, step=running.plan.step(ended)))
    match question:
        case Question.CONDITION:
            return {"value": not running.is_skipped()}
        case Question.BRANCH:
            return {"value": NO_BRANCH if running.is_skipped() else _branch(running)}
        case Question.ITEMS:
            with _letting_it_fail(running):
                return {"value": [] if running.is_skipped() else _indexes(running)}
            return {"value": []}
        case Question.TURN if has_failed:
            return {"value": _failed_turn(running)}
        case Question.TURN:
            return {"value": _turn(running, iteration)}
        case Question.LEAVE:
            return {"value": {"path": running.prefix}}
        case Question.RESULT:
            _end(running)
            return {"value": None}
        case _:
            assert_never(question)


@contextmanager
def _letting_it_fail(running: RunningStep) -> Iterator[None]:
    """Raise no failure of a step that may fail: its journal says it, and the run goes on."""
    try:
        yield
    except StepFailedError:
        if not running.step.continue_on_error:
            raise


def _end(running: RunningStep) -> None:
    """Record that all of a block has ended, and that it has not failed."""
    with _letting_it_fail(running):
        if _has_failed_before(running) or running.is_skipped():
            return
        running.check_items()
        if can_outputs_fail(running.step):
            running.check_outputs()
        running.append(flow_entries.outputs_assembled(running.path, running.now()))


def _has_failed_before(running: RunningStep) -> bool:
    """Return whether a block that may fail has failed before its end, where the run goes on."""
    block = running.step
    if not (isinstance(block, MapStep | Loop) and block.continue_on_error):
        return False
    if block.items.values is None and running.values.outcome(items_path(running.path)) is None:
        return True  # by its condition or items, or it was skipped
    if not _is_condition_sound(running):
        return True
    return block.stops_at_failure and running.values.has_failed(running.path)


def _is_condition_sound(running: RunningStep) -> bool:
    """Return whether the `when` of a step can be evaluated; a failure of it is recorded already."""
    if running.step.when is None or running.step.enabled is not None:
        return True
    condition = expressions.parse(running.step.when)
    try:
        condition.evaluate(running.context(condition.references))
    except ExpressionError:
        return False
    return True


def _seen_from_around(running: RunningStep) -> tuple[RunningStep, int | None]:
    """The step without an iteration of its own around it, and the number of that iteration.

    The machine asks about a loop that takes turns first from outside the loop, where there is no
    such iteration, and after each iteration from within it.
    """
    enclosing = step_path.iterations(running.prefix)
    if not enclosing or enclosing[-1].block_id != running.step.id:
        return running, None
    return replace(running, prefix=enclosing[-1].outer_prefix), enclosing[-1].number


def _branch(running: RunningStep) -> int:
    conditional = running.step
    assert isinstance(conditional, Conditional)  # noqa: S101 - the compiler asks no other
    if conditional.taken is not None:  # only the step's `when` was open
        return conditional.taken
    taken = len(conditional.branches)
    for number, branch in enumerate(conditional.branches):
        if expressions.truth(running.evaluate(branch.condition)):
            taken = number
            break
    running.append(flow_entries.branch_taken(running.path, taken, running.now()))
    return taken


def _indexes(running: RunningStep) -> list[int]:
    if isinstance(running.step, Parallel):
        return list(range(len(running.step.lanes)))
    return list(range(len(_items(running))))


def _items(running: RunningStep) -> Sequence[Json]:
    """The items of a map or loop, evaluated once and kept: each iteration looks one up."""
    block = running.step
    assert isinstance(block, MapStep | Loop)  # noqa: S101 - the compiler asks no other
    if block.items.values is not None:
        return block.items.values
    kept = running.values.outcome(items_path(running.path))
    if kept is not None:
        return list(kept.outputs)
    items = running.evaluate(block.items.expression or "")
    _check_items(running, block, items)
    entry = flow_entries.items_counted(running.path, len(items), running.now())
    running.keep(items_path(running.path), items, entry)
    return list(items)


def _check_items(running: RunningStep, block: Iterated, items: Json) -> None:
    if not isinstance(items, list):
        running.fail(f"the items of {running.path} must be a list, not {kind_of(items)}")
    most = block.max_iterations if isinstance(block, Loop) else MAX_ITERATIONS
    if len(items) > most:
        running.fail(f"{len(items)} items are more than the {most} iterations allowed")


def _turn(running: RunningStep, iteration: int | None) -> JsonObject:
    """Decide whether the loop goes on after *iteration*, or starts when that is None."""
    loop = running.step
    assert isinstance(loop, Loop)  # noqa: S101 - the compiler asks no other
    if iteration is None and running.is_skipped():
        return _turn_to("end", running)
    iterations = 0 if iteration is None else iteration + 1
    if _has_ended(running, loop):
        return _turn_to("end", running)
    if iteration is not None and loop.keeps_values:
        keep_value(running, loop, iteration)
    is_done = iterations >= len(_items(running))
    if iteration is not None and not is_done and loop.until is not None:
        inside = step_path.iteration_prefix(running.path, iteration)
        until = running.evaluate(loop.until, inside, iterations=iterations, now=running.now())
        is_done = expressions.truth(until)
    if not is_done:
        inside = step_path.iteration_prefix(running.path, iterations)
        return _turn_to("iteration", replace(running, prefix=inside))
    running.check_items(iterations=iterations)
    running.check_outputs(iterations=iterations)
    entry = flow_entries.loop_ended(running.path, iterations, running.now())
    running.keep(iteration_count_path(running.path), iterations, entry)
    return _turn_to("end", running)


def _has_ended(running: RunningStep, loop: Loop) -> bool:
    """Return whether the end of a loop is recorded, if the time might decide otherwise by now."""
    if loop.until is None or not reads_now(expressions.parse(loop.until).references):
        return False
    return running.values.outcome(iteration_count_path(running.path)) is not None


def _failed_turn(running: RunningStep) -> JsonObject:
    """Return where a failed loop goes on; one that may fail just ends."""
    return _turn_to("end" if running.step.continue_on_error else "failure", running)


def _turn_to(following: Literal["iteration", "end", "failure"], running: RunningStep) -> JsonObject:
    run = running.snapshot.run
    return {
        "next": following,
        "more": following == "iteration",
        "run": {"tenant": run.tenant, "id": run.run_id},
        "path": running.prefix,
    }
