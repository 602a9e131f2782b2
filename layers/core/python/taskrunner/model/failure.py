"""The effect of a recorded failure, by the plan alone: it stops the run, a block, or nothing.

A failure climbs from the step to the blocks around it, until a step on the way may fail
(`continueOnError`), or a block does not stop at a failure in it (`failFast`). The rest of such a
block runs. If it may not fail itself, its failure is recorded when it has ended, and climbs on from
there. Nothing that has not started in what a failure has passed on its way may start any more
(section 7, Running).

In a pack with `finally`, a failure of its steps that fails the run stops all of the steps, as if
they were a block at the path STEPS, and `finally` runs after it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.model import step_path
from taskrunner.model.plan import (
    ApprovalGate,
    Loop,
    MapStep,
    Parallel,
    PolicyGate,
    RunStep,
    walk,
)
from taskrunner.model.run import StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.model.plan import Plan, Step
    from taskrunner.model.run import StepState


# The path at which all steps of a pack with `finally` are stopped. No step has it.
STEPS: Final = ""


class Reach(NamedTuple):
    """The reach of a failure: whether it fails the run, and the block that it stops, if any.

    A failure that fails the run, and stops no block, ends the run.
    """

    run: bool = False
    block: str | None = None


class _Around(NamedTuple):
    """A block around a step, and its step path."""

    step: Step
    path: str


def reach(plan: Plan, path: str) -> Reach:
    """Return how far the failure of the step at *path* reaches.

    A block in which nothing else could start has stopped with the failure anyway.
    """
    parsed = step_path.parse(path)
    failed = _Around(plan.step(parsed.step_id), path)
    if failed.step.continue_on_error:
        return Reach()
    for block in reversed(list(_blocks_around(plan, path))):
        if not block.step.stops_at_failure:
            # The failed step itself holds nothing that could still run.
            is_block = failed.path != path and _could_go_on(failed.step)
            return Reach(block=failed.path) if is_block else Reach()
        failed = block
        if block.step.continue_on_error:
            return Reach(block=block.path) if _could_go_on(block.step) else Reach()
    return Reach(run=True, block=STEPS if _is_before_final(plan, parsed.step_id) else None)


def stoppable_blocks(plan: Plan, path: str) -> list[str]:
    """Return the paths of the blocks around a step that a failure beside it can stop.

    The run goes on after such a block, and nothing in the block may start after the failure. The
    steps before `finally` are always such a block, because their execution may be stopped.
    """
    blocks = list(_blocks_around(plan, path))
    whole = [STEPS] if _is_before_final(plan, step_path.parse(path).step_id) else []
    return whole + [
        block.path
        for outer, block in pairwise([None, *blocks])
        if block is not None and _ends_a_climb(block, outer) and _could_go_on(block.step)
    ]


def failures_of_the_run(plan: Plan, steps: Iterable[StepState]) -> Iterator[StepState]:
    """Yield those of *steps* whose failure fails the run, and not the blocks around them.

    A block that fails only at its end has a failure of its own, with a message.
    """
    failed = [step for step in steps if step.status is StepStatus.FAILED]
    blocks = {step.parent_path for step in failed}
    for step in failed:
        is_around = step.path in blocks and (
            step.error_message is None or not plan.step(step.template_id).fails_at_its_end
        )
        if not is_around and reach(plan, step.path).run:
            yield step


def holds_gate(plan: Plan, path: str) -> bool:
    """Return whether a gate may wait in the block at *path*."""
    steps = plan.steps if path == STEPS else (plan.step(step_path.parse(path).step_id),)
    return any(isinstance(step, ApprovalGate | PolicyGate) for step in walk(steps))


def can_stop_gates(plan: Plan) -> bool:
    """Return whether a failure may stop a block with gates while the run goes on after it."""
    gates = [step for step in plan.all_steps() if isinstance(step, ApprovalGate | PolicyGate)]
    return any(stoppable_blocks(plan, gate.id) for gate in gates)


def can_stop_run_steps(plan: Plan) -> bool:
    """Return whether a failure may stop a block with run steps while the run goes on after it."""
    steps = [step for step in plan.all_steps() if isinstance(step, RunStep)]
    return any(stoppable_blocks(plan, step.id) for step in steps)


def _ends_a_climb(block: _Around, outer: _Around | None) -> bool:
    """Return whether a failure that has stopped *block* goes no further for now."""
    if not block.step.stops_at_failure:
        return False
    is_kept = outer is not None and not outer.step.stops_at_failure
    return block.step.continue_on_error or is_kept


def _is_before_final(plan: Plan, step_id: str) -> bool:
    return bool(plan.final_steps) and not plan.is_final(step_id)


def _could_go_on(block: Step) -> bool:
    """Return whether something in *block* could still start after a failure that stops it.

    Steps that run at the same time could. So could the next iterations of a loop that is one Map of
    the machine: AWS ends a Map at the first failure, but an engine may run its other iterations.
    """
    return any(
        isinstance(step, Parallel | MapStep) or (isinstance(step, Loop) and not step.takes_turns)
        for step in walk((block,))
    )


def _blocks_around(plan: Plan, path: str) -> Iterator[_Around]:
    """Yield the blocks around the step at *path*, the outermost first."""
    parsed = step_path.parse(path)
    iterations = {iteration.block_id: iteration for iteration in parsed.iterations}
    prefix = ""
    for block in plan.blocks_around(parsed.step_id):
        yield _Around(block, step_path.join(prefix, block.id))
        if block.id in iterations:
            prefix = iterations[block.id].prefix
