"""The steps directly in a block: how many have which status, and all of them in order."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from taskrunner.model import step_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskrunner.model.run import RunState, StepState, StepStatus, UnlistedIterations

Counts: TypeAlias = "Mapping[str, Mapping[StepStatus, int]]"


def counts_by_block(state: RunState) -> Counts:
    """Return how many steps directly in each block have which status, by the block's path.

    The steps of all iterations of a map or loop are directly in it, also of those not listed.
    """
    counts: dict[str, Counter[StepStatus]] = defaultdict(Counter)
    for step in state.steps:
        if step.parent_path is not None:
            counts[step.parent_path][step.status] += 1
    for path, unlisted in state.unlisted.items():
        for step in unlisted.steps:
            counts[path][step.status] += unlisted.count
    return counts


def children(state: RunState, block: str) -> Iterator[StepState]:
    """Yield the steps directly in the block at the path *block*, by iteration, in plan order."""
    listed = [step for step in state.steps if step.parent_path == block]
    unlisted = state.unlisted.get(block)
    return iter(listed) if unlisted is None else _with_unlisted(block, listed, unlisted)


def _with_unlisted(
    block: str, listed: list[StepState], unlisted: UnlistedIterations
) -> Iterator[StepState]:
    by_prefix: dict[str, list[StepState]] = defaultdict(list)
    for step in listed:
        by_prefix[step_path.split(step.path)[0]].append(step)
    for number in range(len(by_prefix) + unlisted.count):
        prefix = step_path.iteration_prefix(block, number)
        yield from by_prefix.get(prefix) or (
            replace(step, path=step_path.join(prefix, step.template_id)) for step in unlisted.steps
        )
