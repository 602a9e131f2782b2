"""The input of an execution: which run it is, and what planning decided for it.

A machine depends on the pack's structure alone, so that all runs of a pack share it. The decisions
that inputs make travel here, as far as states read them: the `when` of parallels by step, the
`branch` of conditionals, the `items` of maps as indexes, and the `maxParallel` of blocks that take
it from inputs. A skipped block has no items, and a skipped conditional no branch. Functions look up
everything else in the run's records. `place` says where the execution is: in which `run`, and by
`path`, the prefix of step paths, where in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeGuard

from taskrunner.compiler.beginnings import begins_with_call, needs_condition_state
from taskrunner.model.flow import NO_BRANCH
from taskrunner.model.plan import Conditional, Loop, MapStep, Parallel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan, Step


# Where an execution of a pack with `finally` begins.
_STEPS: Final = "steps"
_FINALLY: Final = "finally"


def execution_input(
    plan: Plan, tenant: str, run_id: str, *, at_final_steps: bool = False
) -> JsonObject:
    """Return what an execution of the pack's machine starts with.

    An execution *at_final_steps* runs `finally` alone: that of the steps was stopped.
    """
    begin = {"begin": _FINALLY if at_final_steps else _STEPS} if plan.final_steps else {}
    steps = list(plan.all_steps())
    sizes = ((step, _map_size(step)) for step in steps)
    limits = {step.id: step.max_parallel for step in steps if takes_limit(step)}
    return {
        "place": {"run": {"tenant": tenant, "id": run_id}, "path": ""},
        "when": {step.id: step.enabled for step in steps if _is_condition_decided(step)},
        "branch": {
            step.id: NO_BRANCH if step.enabled is False else step.taken
            for step in steps
            if isinstance(step, Conditional) and _is_branch_decided(step)
        },
        "items": {step.id: list(range(size)) for step, size in sizes if size is not None},
        "error": None,
        **begin,
        **({"maxParallel": limits} if limits else {}),
    }


def decisions_read(steps: Iterable[Step]) -> list[str]:
    """Return the parts of the input that the states of *steps* read, of those of decisions."""
    read = {"when": False, "branch": False, "items": False, "maxParallel": False}
    for step in steps:
        read["when"] |= _is_condition_decided(step)
        read["branch"] |= isinstance(step, Conditional) and _is_branch_decided(step)
        read["items"] |= _map_size(step) is not None
        read["maxParallel"] |= takes_limit(step)
    return [name for name, is_read in read.items() if is_read]


def takes_limit(step: Step) -> TypeGuard[Parallel | MapStep]:
    """Return whether the Map of *step* reads from the input how many may run at a time."""
    return isinstance(step, Parallel | MapStep) and step.max_parallel_from_inputs


def _is_condition_decided(step: Step) -> bool:
    return needs_condition_state(step) and step.enabled is not None


def _is_branch_decided(step: Conditional) -> bool:
    return step.taken is not None and not begins_with_call(step)


def _map_size(step: Step) -> int | None:
    """Return how many items the Map of *step* has, when it becomes one and planning knows them."""
    if begins_with_call(step):
        return None
    match step:
        case Parallel():
            size = None if step.max_parallel is None else len(step.lanes)
        case MapStep() | Loop():
            size = None if step.items.values is None else len(step.items.values)
        case _:
            size = None
    return 0 if size is not None and step.enabled is False else size
