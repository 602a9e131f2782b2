"""Measure whether an item, an iteration or a waiting run costs more when there are many of them.

Run it as `PYTHONPATH=.:layers/core/python .venv/bin/python bench/iterations.py`.

The emulator would take minutes for 1,000 iterations, and becomes slower itself. So this measures
our own processor time alone: the functions run in this process, over ports in memory. Every
iteration between the first and the last few is put into the record without being run.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from taskrunner.model.run import StepReference
from taskrunner.usecases.create_run import create_run
from taskrunner.usecases.enter_gate import enter_gate
from taskrunner.usecases.reconcile import reconcile
from taskrunner.usecases.run_step import run_step
from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.unit.usecases.scenarios import GATED, TENANT, a_request, a_world, step

if TYPE_CHECKING:
    from collections.abc import Callable

FEW = 50
PASSES = 24
BLOCK = """
- id: each
  {kind}: {{items: {{range: {{start: 1, end: {items}}}}}, {body}}}
"""
STEPS = "[{id: one, run: {uses: builtin:noop}}]"
MAP = f"steps: {STEPS}"
PATIENT = GATED.replace("expiresAfterSeconds: 3600", "expiresAfterSeconds: 604800")
LOOP = f"until: '`false`', body: {STEPS}"


def cpu_s(work: Callable[[], object]) -> float:
    """Return the processor time that *work* takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def last_to_first(kind: str, items: int) -> float:
    """Return the cost of a step in the last iterations, as a multiple of one in the first."""
    world = a_world(pack(BLOCK.format(kind=kind, items=items, body=MAP if kind == "map" else LOOP)))
    first = median_s(world, range(FEW))
    record(world, FEW, items - FEW)
    return median_s(world, range(items - FEW, items)) / first


def median_s(world: MemoryWorld, iterations: range) -> float:
    """Return the median of the processor time of the step in each of *iterations*."""
    return statistics.median(
        cpu_s(lambda n=number: step(world, "one", iteration=f"each[{n}]::", is_retry=False))
        for number in iterations
    )


def record(world: MemoryWorld, begin: int, end: int) -> None:
    """Record the steps of some iterations, as those of the last one that was run."""
    stored = world.runs.of(TENANT, "run-7")
    sample = f"each[{begin - 1}]::one"
    entries = [entry for entry in stored.journal if entry.step_path == sample]
    for number in range(begin, end):
        path = f"each[{number}]::one"
        stored.journal += [
            replace(entry, id=entry.id.replace(sample, path), step_path=path) for entry in entries
        ]
        stored.outcomes[path] = replace(stored.outcomes[sample], path=path)


def waiting(runs: int) -> float:
    """Return the share of *runs* that wait at a gate which a pass of the reconciler takes up.

    It is that of a day in which nobody decides. Each run that is taken up costs several calls.
    """
    world = MemoryWorld()
    for number in range(runs):
        name = f"run-{number}"
        create_run(a_request(PATIENT, run_id=name), world)
        step_in(world, name)
    world.clock.sleep(timedelta(days=1).total_seconds())
    while reconcile(world).taken:
        pass  # sees the runs wait, and puts off the next look until their gates expire
    taken = 0
    for _ in range(PASSES):
        world.clock.sleep(timedelta(hours=1).total_seconds())
        taken += reconcile(world).taken
    return taken / PASSES / runs


def step_in(world: MemoryWorld, run_id: str) -> None:
    """Bring a run to its gate."""
    run_step(StepReference(TENANT, run_id, "build", ""), world, remaining_s=900.0, is_retry=False)
    enter_gate(StepReference(TENANT, run_id, "review", ""), f"token-{run_id}", world)


def main() -> None:
    """Measure, and print the results."""
    for kind, items in (("map", 1000), ("map", 10_000), ("loop", 1000)):
        ratio = last_to_first(kind, items)
        print(f"the last steps of a {kind} of {items} take {ratio:.2f} times the first ones")
    print(f"a pass of the reconciler takes up {waiting(1000):.2f} of 1000 runs that wait")


if __name__ == "__main__":
    main()
