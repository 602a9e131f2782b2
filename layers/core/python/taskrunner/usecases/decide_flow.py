"""Answer what only a running run can decide: conditions, branches, items, turns and policies."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from taskrunner import expressions
from taskrunner.model import step_path
from taskrunner.model.entries import flow_entries, step_entries
from taskrunner.model.flow import Question
from taskrunner.model.plan import MAX_ITERATIONS, Conditional, Loop, MapStep
from taskrunner.runtime.recorded_outcomes import items_path, iteration_count_path
from taskrunner.runtime.running_step import RunningStep, find_step
from taskrunner.usecases.decide_policy import decide_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.model.plan import Iterated
    from taskrunner.model.run import StepReference
    from taskrunner.ports import World


def decide_flow(reference: StepReference, question: Question, world: World) -> JsonObject:
    """Answer *question* with `{"value": ...}`. Asked again, it gives the same answer.

    * condition   whether the step is run: a boolean
    * branch      the number of a conditional's branch; the number of branches means `else`
    * items       the indexes of a map's or loop's items, from 0
    * turn        `{more, path}`: whether a loop goes on, and the prefix to go on with
    * leave       `{path}`: the prefix to go on with after a failed iteration of a loop with `until`
    * policy      passed, warned, retry, override or branch

    Raises:
        StepFailedError: the step failed by the question, and its journal says so.
        ConflictError: the run has ended.
    """
    step = find_step(reference, world)
    step, turn = _outside_of_its_own_iterations(step)
    match question:
        case Question.CONDITION:
            return {"value": _condition(step)}
        case Question.BRANCH:
            return {"value": _branch(step)}
        case Question.ITEMS:
            return {"value": list(range(len(_items(step))))}
        case Question.TURN:
            return {"value": _turn(step, turn)}
        case Question.LEAVE:
            return {"value": {"path": step.iteration}}
        case Question.POLICY:
            return {"value": decide_policy(step).value}
        case _:
            assert_never(question)


def _outside_of_its_own_iterations(step: RunningStep) -> tuple[RunningStep, int | None]:
    """The step as it is seen from around it, and the iteration of its own that is asked from.

    The machine asks about a loop with `until` first from outside the loop, where there is no
    iteration, and after each iteration from within it.
    """
    enclosing = step_path.iterations(step.iteration)
    if not enclosing or enclosing[-1].block_id != step.step.id:
        return step, None
    return replace(step, iteration=enclosing[-1].outer_prefix), enclosing[-1].number


def _condition(step: RunningStep) -> bool:
    if expressions.truth(step.evaluate(step.step.when or "")):
        return True
    step.append(step_entries.step_skipped(step.path, step.now()))
    return False


def _branch(step: RunningStep) -> int:
    conditional = step.step
    assert isinstance(conditional, Conditional)  # noqa: S101 - the compiler asks no other
    taken = len(conditional.branches)
    for number, branch in enumerate(conditional.branches):
        if expressions.truth(step.evaluate(branch.condition)):
            taken = number
            break
    step.append(flow_entries.branch_taken(step.path, taken, step.now()))
    return taken


def _items(step: RunningStep) -> Sequence[Json]:
    """The items of a map or loop, evaluated once and kept: each iteration looks one up."""
    block = step.step
    assert isinstance(block, MapStep | Loop)  # noqa: S101 - the compiler asks no other
    if block.items.values is not None:
        return block.items.values
    kept = step.values.outcome(items_path(step.path))
    if kept is not None:
        return list(kept.outputs)
    items = step.evaluate(block.items.expression or "")
    _check_items(step, block, items)
    entry = flow_entries.items_counted(step.path, len(items), step.now())
    step.keep(items_path(step.path), items, entry)
    return list(items)


def _check_items(step: RunningStep, block: Iterated, items: Json) -> None:
    if not isinstance(items, list):
        step.fail(f"the items of {step.path} are not a list")
    most = block.max_iterations if isinstance(block, Loop) else MAX_ITERATIONS
    if len(items) > most:
        step.fail(f"{len(items)} items are more than the {most} iterations allowed")


def _turn(step: RunningStep, index: int | None) -> JsonObject:
    """Whether a loop with `until` goes on after iteration *index*, or starts when that is None."""
    loop = step.step
    assert isinstance(loop, Loop)  # noqa: S101 - the compiler asks no other
    iterations = 0 if index is None else index + 1
    is_done = iterations >= len(_items(step))
    if index is not None and not is_done and loop.until is not None:
        inside = step_path.iteration_prefix(step.path, index)
        until = step.evaluate(loop.until, inside, iterations=iterations)
        is_done = expressions.truth(until)
    if not is_done:
        return {"more": True, "path": step_path.iteration_prefix(step.path, iterations)}
    entry = flow_entries.loop_ended(step.path, iterations, step.now())
    step.keep(iteration_count_path(step.path), iterations, entry)
    return {"more": False, "path": step.iteration}
