"""The input of an execution: which run it is, and what planning decided for it.

A machine depends on the pack's structure alone, so that all runs of a pack share it. The decisions
that inputs make travel here: `when` by step, the `branch` of conditionals, the `items` of maps as
indexes. Everything else is looked up in the run's records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model.plan import Conditional, Loop, MapStep, Parallel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan, Step


def execution_input(plan: Plan, tenant: str, run_id: str) -> JsonObject:
    """Return what an execution of the pack's machine starts with."""
    steps = list(plan.all_steps())
    sizes = ((step, _map_size(step)) for step in steps)
    return {
        "run": {"tenant": tenant, "id": run_id},
        "path": "",
        "when": {step.id: step.enabled for step in steps if _is_condition_decided(step)},
        "branch": {
            step.id: step.taken
            for step in steps
            if isinstance(step, Conditional) and step.taken is not None
        },
        "items": {step.id: list(range(size)) for step, size in sizes if size is not None},
        "error": None,
    }


def decisions_read(steps: Iterable[Step]) -> list[str]:
    """Return the parts of the input that the states of *steps* read: when, branch, items."""
    read = {"when": False, "branch": False, "items": False}
    for step in steps:
        read["when"] |= _is_condition_decided(step)
        read["branch"] |= isinstance(step, Conditional) and step.taken is not None
        read["items"] |= _map_size(step) is not None
    return [name for name, is_read in read.items() if is_read]


def _is_condition_decided(step: Step) -> bool:
    return step.when is not None and step.enabled is not None


def _map_size(step: Step) -> int | None:
    """Return how many items the Map of *step* has, when it becomes one and planning knows them."""
    match step:
        case Parallel():
            return None if step.max_parallel is None else len(step.steps)
        case Loop() if step.until is not None:
            return None
        case MapStep() | Loop():
            return None if step.items.values is None else len(step.items.values)
        case _:
            return None
