"""Counts on blocks agree with the steps in them, also of iterations that are not listed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from taskrunner.model.run import RunStatus
from taskrunner.model.state.children import children, counts_by_block
from taskrunner.model.state.fold import fold
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.settle_run import settle_run
from tests.packs import pack
from tests.unit.usecases.scenarios import TENANT, a_world, step

if TYPE_CHECKING:
    from taskrunner.model.run import RunState
    from tests.fakes.world import MemoryWorld

ITEMS = 600
NESTED = f"""
- id: first
  run: {{uses: builtin:noop}}
- id: each
  map:
    items: "{{{{ inputs.items }}}}"
    maxParallel: 10
    steps:
      - {{id: one, run: {{uses: builtin:noop}}}}
      - id: lanes
        parallel:
          steps:
            - {{id: left, run: {{uses: builtin:noop}}}}
            - {{id: right, run: {{uses: builtin:noop}}}}
- id: again
  loop:
    items: "{{{{ inputs.items }}}}"
    maxIterations: {ITEMS}
    body:
      - {{id: two, run: {{uses: builtin:noop}}}}
      - {{id: three, run: {{uses: builtin:noop}}}}
"""


def state_of(world: MemoryWorld) -> RunState:
    run = world.runs.snapshot(TENANT, "run-7").run
    plan = world.plans.get(TENANT, run.plan_hash)
    entries = [placed.entry for placed in world.runs.journal(TENANT, "run-7")]
    return fold(plan, entries, run.created_at)


@pytest.mark.parametrize("outcome", [None, RunStatus.CANCELLED, RunStatus.FAILED])
def test_counts_agree_with_the_steps_of_all_iterations(outcome: RunStatus | None) -> None:
    spec = f"inputs: [{{name: items, type: array, default: {list(range(ITEMS))}}}]"
    world = a_world(pack(NESTED, spec=spec))
    for number in (0, 5, 17):
        step(world, "one", iteration=f"each[{number}]::")
    step(world, "left", iteration="each[5]::")
    step(world, "two", iteration="again[0]::")
    if outcome is RunStatus.CANCELLED:
        cancel_run(TENANT, "run-7", "bob", world)
    elif outcome is RunStatus.FAILED:
        settle_run(TENANT, "run-7", "States.Timeout", world)
    state = state_of(world)

    counts = counts_by_block(state)

    assert {"each", "again", "each[5]::lanes"} <= counts.keys()
    assert sum(counts["each"].values()) == sum(counts["again"].values()) == 2 * ITEMS
    for path in counts:
        assert counts[path] == Counter(child.status for child in children(state, path))
