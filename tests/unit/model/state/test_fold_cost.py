"""The cost of a run's state for each iteration; bench/run_state.py measures the time."""

from __future__ import annotations

import pytest

from taskrunner.compiler.driver import plan_pack
from taskrunner.model import api_view
from taskrunner.model.entries import step_entries
from taskrunner.model.entries.step_entries import AttemptReport
from taskrunner.model.state.fold import fold
from tests.calls import calls
from tests.contract.samples import a_run
from tests.packs import pack

NOON = "2025-12-06T12:00:00.000Z"
STEPS = "[{id: one, run: {uses: builtin:noop}}]"
LOOP = "- {id: each, loop: {items: {range: {start: 1, end: 900}}, until: '`false`', body: %s}}"
MAP = "- {id: each, map: {items: {range: {start: 1, end: 900}}, steps: %s}}"
REPORT = AttemptReport(attempt=1, wall_s=0.1, cpu_s=0.1, memory_mib=10, artifacts=())


@pytest.mark.parametrize("block", [LOOP, MAP])
def test_each_iteration_costs_the_same_and_at_most_200_calls(block: str) -> None:
    plan = plan_pack(pack(block % STEPS), {})
    run = a_run("run-7")

    def cost(iterations: int) -> int:
        paths = [f"each[{number}]::one" for number in range(iterations)]
        entries = [
            entry
            for path in paths
            for entry in (
                step_entries.attempt_started(path, 1, "builtin:noop", NOON),
                step_entries.step_completed(path, REPORT, NOON),
            )
        ]
        return calls(lambda: api_view.run_state(run, plan, fold(plan, entries, NOON))).total()

    few, more, most = (cost(iterations) for iterations in (100, 400, 700))
    assert most - more == pytest.approx(more - few, rel=0.02)
    assert (more - few) / 300 < 200
