"""Measure the processor time of reading the state of a run whose map or loop has many items.

Run it as `PYTHONPATH=.:layers/core/python .venv/bin/python bench/run_state.py 1000 10000`.

The journal is read from its stored form: chunks as DynamoDB returns them. Reading them over the
network comes on top, in pages of 1 MB.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from taskrunner.adapters.journal_chunks import CHUNK_ENTRIES, chunk_entries
from taskrunner.adapters.table_requests import decoded, encoded
from taskrunner.compiler.driver import compile_pack
from taskrunner.model import api_view, journal
from taskrunner.model.ceilings import NO_CEILINGS
from taskrunner.model.run import StepStatus
from taskrunner.model.state.children import children
from taskrunner.model.state.fold import fold
from tests.contract.samples import a_run
from tests.packs import pack
from tests.unit.usecases.scenarios import a_world, step

if TYPE_CHECKING:
    from taskrunner.model.plan import Plan

MAP = """
- id: each
  map:
    items: "{{ inputs.items }}"
    maxParallel: 10
    steps: [{id: one, run: {uses: builtin:noop}}]
"""
LOOP = """
- id: each
  loop:
    items: "{{ inputs.items }}"
    maxIterations: 1000
    until: "`false`"
    body: [{id: one, run: {uses: builtin:noop}}]
"""


def stored_journal(items: int, block: str = MAP) -> tuple[Plan, list[dict[str, Any]]]:
    """Return a plan, and the chunks of a run in which all items have ended."""
    spec = "inputs: [{name: items, type: array, default: [%s]}]"
    world = a_world(pack(block, spec=spec % ", ".join(map(str, range(2)))))
    step(world, "one", iteration="each[0]::")
    entries = [placed.entry for placed in world.runs.journal("acme", "run-7")]
    texts = [json.dumps(journal.to_document(entry)) for entry in entries]
    first, of_item = texts[:2], texts[2:]
    for number in range(items):
        first += [text.replace("each[0]", f"each[{number}]") for text in of_item]
    manifest = pack(block, spec=spec % ", ".join(map(str, range(items))))
    plan = compile_pack(manifest, {}, NO_CEILINGS).plan
    chunks = [
        encoded(
            {
                "sk": f"J#{place:09d}",
                "entries": first[place * CHUNK_ENTRIES :][:CHUNK_ENTRIES],
            }
        )
        for place in range(-(-len(first) // CHUNK_ENTRIES))
    ]
    return plan, chunks


def ratio(items: int, block: str = MAP) -> float:
    """Return what reading the state costs, as a multiple of parsing the journal's JSON."""
    plan, chunks = stored_journal(items, block)
    run = a_run("run-7")
    texts = [text for chunk in chunks for text in decoded(chunk)["entries"]]
    start = time.process_time()
    for text in texts:
        json.loads(text)
    parsed = time.process_time()
    placed = [entry for chunk in chunks for entry in chunk_entries(decoded(chunk))]
    state = fold(plan, (item.entry for item in placed), run.created_at)
    json.dumps(api_view.run_state(run, plan, state))
    return (time.process_time() - parsed) / (parsed - start)


def measure(items: int) -> None:
    """Print how long each part takes, and the size of the answers."""
    plan, chunks = stored_journal(items)
    run = a_run("run-7")
    times = [time.process_time()]
    placed = [entry for chunk in chunks for entry in chunk_entries(decoded(chunk))]
    times.append(time.process_time())
    state = fold(plan, (item.entry for item in placed), run.created_at)
    times.append(time.process_time())
    whole = json.dumps(api_view.run_state(run, plan, state))
    times.append(time.process_time())
    block = next(step for step in state.steps if step.path == "each")
    failed = [child for child in children(state, "each") if child.status is StepStatus.FAILED]
    page = [*failed, *children(state, "each")][:50]
    json.dumps(api_view.run_children(run, plan, state, block, page))
    times.append(time.process_time())
    parts = [round(1000 * (end - start)) for start, end in pairwise(times)]
    named = dict(zip(("decode", "fold", "whole answer", "page"), parts, strict=True))
    print(f"{items} items, {len(placed)} entries: {named} ms; {len(whole) // 1000} kB")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        measure(int(argument))
