"""Answer what only a running run can tell: conditions, branches, items, turns and policies."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from taskrunner import expressions
from taskrunner.model import plan_document
from taskrunner.model.journal import Entry, Event
from taskrunner.model.plan import MAX_ITERATIONS, Conditional, Iterated, Loop, MapStep, Step
from taskrunner.model.run import Reason
from taskrunner.runtime.liveness import check_live
from taskrunner.runtime.question import Asked
from taskrunner.runtime.values import Values, items_path, turns_path
from taskrunner.usecases.decide_policy import decide_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.model.run import StepReference
    from taskrunner.ports.world import World


class Question(StrEnum):
    """What a state machine may ask; the values stand in its definition."""

    CONDITION = "condition"
    BRANCH = "branch"
    ITEMS = "items"
    TURN = "turn"
    LEAVE = "leave"
    POLICY = "policy"


def decide_flow(reference: StepReference, question: Question, world: World) -> JsonObject:
    """Answer *question* as `{"value": ...}`; asked again, it answers the same.

    * condition   whether the step is run: a boolean
    * branch      the branch of a conditional by its number; their count means `else`
    * items       the indexes of a map's or loop's items, from 0
    * turn        `{more, path}`: whether a loop goes on, and the iteration path to go on with
    * leave       `{path}`: where to go on when an iteration of a loop with `until` has failed
    * policy      passed, warned, retry, override or branch

    Raises:
        StepFailedError: the step failed by this, which is in the journal.
        ConflictError: the run has ended meanwhile.
    """
    head = world.runs.head(reference.tenant, reference.run_id)
    check_live(head.run)
    plan = plan_document.from_document(world.plans.get(reference.tenant, head.run.plan_hash))
    step = plan.step(reference.step_id)
    outer, _ = _turn_of(step, reference.iteration)
    asked = Asked(
        head=head,
        plan=plan,
        step=step,
        path=outer + step.id,
        iteration=outer,
        values=Values(plan, head, world),
        world=world,
    )
    match question:
        case Question.CONDITION:
            return {"value": _condition(asked)}
        case Question.BRANCH:
            return {"value": _branch(asked)}
        case Question.ITEMS:
            return {"value": list(range(len(_items(asked))))}
        case Question.TURN:
            return {"value": _turn(asked, reference.iteration)}
        case Question.LEAVE:
            return {"value": {"path": outer}}
        case Question.POLICY:
            return {"value": decide_policy(asked)}
        case _:
            assert_never(question)


def _condition(asked: Asked) -> bool:
    if expressions.truth(asked.evaluated(asked.step.when or "")):
        return True
    asked.append(
        Entry(
            id=f"{asked.path}#skipped",
            at=asked.at,
            event=Event.STEP_SKIPPED,
            step=asked.path,
            message=f"Step skipped: {asked.path}, its condition is false",
            metadata={"reason": Reason.CONDITION_FALSE.value},
        )
    )
    return False


def _branch(asked: Asked) -> int:
    step = asked.step
    assert isinstance(step, Conditional)  # noqa: S101 - the compiler asks this of no other
    taken = len(step.branches)
    for number, branch in enumerate(step.branches):
        if expressions.truth(asked.evaluated(branch.condition)):
            taken = number
            break
    asked.append(asked.decided("branch", str(taken)))
    return taken


def _items(asked: Asked) -> Sequence[Json]:
    """The items of a map or loop; evaluated once and kept, because each iteration looks one up."""
    step = asked.step
    assert isinstance(step, MapStep | Loop)  # noqa: S101 - the compiler asks this of no other
    if step.items.values is not None:
        return step.items.values
    kept = asked.values.outcome(items_path(asked.path))
    if kept is not None:
        return list(kept.outputs)
    items = asked.evaluated(step.items.expression or "")
    _check_items(asked, step, items)
    entry = asked.decided("items", str(len(items)))
    asked.keep(items_path(asked.path), items, entry)
    return list(items)


def _check_items(asked: Asked, step: Iterated, items: Json) -> None:
    if not isinstance(items, list):
        asked.fail(f"the items of {asked.path} are no list")
    most = step.max_iterations if isinstance(step, Loop) else MAX_ITERATIONS
    if len(items) > most:
        asked.fail(f"{len(items)} items are more than the {most} iterations allowed")


def _turn_of(step: Step, iteration: str) -> tuple[str, int]:
    """The iteration around *step*, and the turn of *step* itself that the machine stands at.

    A loop with `until` is asked from outside at first, and from its own iteration afterwards.
    """
    own = re.search(rf"(?:^|::)(?P<own>{re.escape(step.id)}\[(?P<turn>[0-9]+)\]::)$", iteration)
    if own is None:
        return iteration, -1
    return iteration[: own.start("own")], int(own["turn"])


def _turn(asked: Asked, iteration: str) -> JsonObject:
    step = asked.step
    assert isinstance(step, Loop)  # noqa: S101 - the compiler asks this of no other
    outer, turn = _turn_of(step, iteration)
    count = len(_items(asked))
    is_done = turn + 1 >= count
    if turn >= 0 and not is_done and step.until is not None:
        # Of iterations that needed no entry nobody else would know.
        ended = {"ask": "end", "value": str(turn + 1)}
        is_done = expressions.truth(asked.evaluated(step.until, iteration, **ended))
    if not is_done:
        return {"more": True, "path": f"{asked.path}[{turn + 1}]::"}
    turns = turn + 1
    asked.keep(turns_path(asked.path), turns, asked.decided("end", str(turns)))
    return {"more": False, "path": outer}
