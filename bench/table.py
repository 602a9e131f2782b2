"""Measure all that docs/performance.md speaks of: one table, and .local/bench.json.

    make bench

Every line is a ratio of two measurements of the same run, taken in turn, so that a slow or busy
machine slows both. A measurement that is not made is a line too, with the reason. None begins after
LIMIT_S seconds; the longest takes about two minutes.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "layers/core/python")]

from bench import cold_caches, cold_start, engine, iterations, planning, run_state, workers  # noqa: E402 - needs the path above
from taskrunner_cli import local  # noqa: E402 - the same
from tests.stack.api import Api  # noqa: E402 - the same

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_S = 480.0
RESULT = ROOT / ".local" / "bench.json"
OTHERS = ROOT / ".local/venvs/bench/bin/python"
ROUNDS = 5
BLOCK = 100
FOLLOWERS = 10
WAITING = 1000
POLLS = 10
ITEMS_MANIFEST = """\
apiVersion: stellaops.io/pack.v1
kind: TaskPack
metadata: {{name: block, version: 1.0.0}}
spec:
  steps:
    - id: block
      {block}
"""
MAP = "map: {{items: {{range: {{start: 1, end: {0}}}}}, maxParallel: 10, step: {step}}}"
LOOP = "loop: {{items: {{range: {{start: 1, end: {0}}}}}, until: '`false`', body: [{step}]}}"
STEP = "{id: one, run: {uses: builtin:noop}}"


class Table:
    """The lines so far: what is measured, its ratio or None, and what it is a ratio of."""

    def __init__(self) -> None:
        """Start the clock."""
        self.lines: list[dict[str, Any]] = []
        self._began = time.monotonic()

    def add(self, name: str, of: str, measure: Callable[[], float]) -> None:
        """Measure one line, unless the time is over."""
        elapsed_s = time.monotonic() - self._began
        if elapsed_s > LIMIT_S:
            self.omit(name, of, f"not begun after {LIMIT_S:.0f} s")
            return
        start = time.monotonic()
        try:
            ratio = measure()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the other lines are measured
            self.omit(name, of, f"failed: {type(error).__name__}: {error}"[:200])
            return
        took_s = round(time.monotonic() - start, 1)
        self._line({"name": name, "ratio": round(ratio, 3), "of": of, "took_s": took_s})

    def omit(self, name: str, of: str, reason: str) -> None:
        """Add a line that says why it has no ratio."""
        self._line({"name": name, "ratio": None, "of": of, "reason": reason})

    def _line(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        shown = f"{line['ratio']:8.2f}" if line["ratio"] is not None else "       -"
        print(f"{line['name']:<44} {shown}  {line.get('reason', line['of'])}", flush=True)


def moments(api: Api, manifest: str) -> list[datetime]:
    """Run a pack, and return when each of its attempts has ended, in order."""
    run_id = api.run(manifest)
    state = api.wait(run_id, "succeeded", "failed", "cancelled", deadline_s=180.0)
    if state["status"] != "succeeded":
        raise SystemExit(f"{run_id} did not succeed")
    log: list[dict[str, Any]] = []
    query: dict[str, str] = {}
    while True:
        answer = api("GET", f"runs/{run_id}/logs", query=query)
        log += [json.loads(line) for line in answer.text.splitlines()]
        cursor = answer.headers.get("X-TaskRunner-Cursor")
        if not cursor or not answer.text:
            break
        query = {"cursor": cursor}
    times = [line["timestamp"] for line in log if line["eventType"] == "step.completed"]
    return sorted(datetime.fromisoformat(text) for text in times)


def followers(api: Api, run_id: str) -> float:
    """Return the time of a poll of a log while FOLLOWERS follow it, over that of one follower.

    Only polls that were answered count: the API refuses what is above its rates, and each follower
    comes back later.
    """
    cursor = api("GET", f"runs/{run_id}/logs").headers.get("X-TaskRunner-Cursor", "")
    query = {"cursor": cursor} if cursor else {}

    def follow(_: int) -> list[float]:
        polls = (api("GET", f"runs/{run_id}/logs", query=query) for _ in range(POLLS))
        return [answer.elapsed.total_seconds() for answer in polls]

    alone_s = statistics.median(follow(0))
    with ThreadPoolExecutor(FOLLOWERS) as pool:
        together = chain.from_iterable(pool.map(follow, range(FOLLOWERS)))
        return statistics.median(together) / alone_s


def block(kind: str, items: int) -> str:
    """Return a pack whose only step is a map or a loop."""
    return ITEMS_MANIFEST.format(block=kind.format(items, step=STEP))


def last_tenth(times: list[datetime]) -> float:
    """Return the time of an iteration in the last tenth, as a multiple of one in the first."""
    tenth = len(times) // 10
    return (times[-1] - times[-1 - tenth]) / (times[tenth] - times[0])


def per_item(times: list[datetime], bare_s: float) -> float:
    """Return the time of an item, as a multiple of a call of an empty function."""
    return (times[-1] - times[0]).total_seconds() / len(times) / (bare_s / engine.STEPS)


def other_s(name: str) -> float:
    """Return the median of the seconds that another engine takes for the same steps."""
    done = subprocess.run(  # noqa: S603 - every word is ours
        [OTHERS, ROOT / "bench/others.py", name, str(ROUNDS)],
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
        env={"PATH": os.defpath, "HOME": os.environ.get("HOME", "/")},
    )
    seconds = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("seconds ")]
    if not seconds:
        raise SystemExit(done.stderr.strip().splitlines()[-1:])
    return statistics.median(map(float, seconds))


def main() -> None:
    """Measure and print all lines, and write the file."""
    table = Table()
    for steps in planning.SIZES:
        table.add(
            f"planning {steps} steps",
            "libyaml's parsing",
            lambda n=steps: planning.ratio(n, ROUNDS),
        )
    sizes = cold_start.build_layers()
    for layer, size in sizes.items():
        table.add(f"size of {layer}", "30 MB", lambda n=size: n / 30e6)
    for function, ratio in cold_start.ratios(ROUNDS).items():
        table.add(f"cold start of {function}", "boto3 and one client", lambda r=ratio: r)
    for items in (10, 1000, 10_000):
        table.add(
            f"reading the state of {items} items",
            "its journal's JSON",
            lambda n=items: run_state.ratio(n),
        )
    table.add(
        "reading the state of a loop of 600",
        "its journal's JSON",
        lambda: run_state.ratio(600, run_state.LOOP),
    )
    for kind, items in (("map", 1000), ("map", 10_000), ("loop", 1000)):
        table.add(
            f"our own time for a last step of a {kind} of {items}",
            "a first one, without the emulator",
            lambda k=kind, n=items: iterations.last_to_first(k, n),
        )
    table.add(
        f"runs that a pass takes up, of {WAITING} that wait",
        "all of them",
        lambda: iterations.waiting(WAITING),
    )
    stack = local.up()
    with httpx.Client(timeout=60.0) as http:
        on_stack(table, Api(stack, http, "operator"), stack)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"lines": table.lines}, indent=1) + "\n", encoding="utf-8")
    print(f"written to {RESULT.relative_to(ROOT)}")


def on_stack(table: Table, api: Api, stack: local.Stack) -> None:
    """Measure what needs the local stack."""
    found: dict[str, float] = {}

    def overhead(work_s: float) -> float:
        found.update(engine.overhead(api, engine.clients(stack), ROUNDS, work_s))
        return found["ratio"]

    def add_fastest(steps: str) -> None:
        if "fastest" in found:
            ratio = found.pop("fastest")
            table.add(f"the fastest of {steps}", "the fastest bare machine", lambda: ratio)

    table.add(
        f"a request of boto3 after {cold_caches.PAUSE_S} s of sleep",
        "one in a loop",
        cold_caches.ratio,
    )
    bare = "an empty function's call"
    of_work = f"20 steps that work for {engine.WORK_S} s"
    table.add(f"a pack of {of_work}", "a bare machine", lambda: overhead(engine.WORK_S))
    add_fastest(of_work)
    table.add("a pack of 20 empty steps", "a bare machine", lambda: overhead(0))
    add_fastest("20 empty steps")
    if not found:
        return
    table.add(
        f"an item of a map of {BLOCK}",
        bare,
        lambda: per_item(moments(api, block(MAP, BLOCK)), found["bare_s"]),
    )
    loop: list[datetime] = []

    def iteration() -> float:
        loop.extend(moments(api, block(LOOP, BLOCK)))
        return per_item(loop, found["bare_s"])

    table.add(f"an iteration of a loop of {BLOCK}", bare, iteration)
    if loop:
        table.add("the last tenth of its iterations", "the first tenth", lambda: last_tenth(loop))
    run_id = api.run(engine.manifest(engine.STEPS))
    api.ended(run_id)
    table.add(
        f"a poll while {FOLLOWERS} follow a log",
        "a poll while one follows it",
        lambda: followers(api, run_id),
    )
    table.add(
        f"a worker step of `{workers.COMMAND}`",
        "the command by hand",
        lambda: workers.step_to_command(api),
    )
    table.add(
        f"each of {workers.MANY} steps over five workers, run once",
        bare,
        lambda: workers.many_s(api) / workers.MANY / (found["bare_s"] / engine.STEPS),
    )
    for name in ("dbos", "prefect"):
        table.add(
            f"a pack of 20 steps, over {name}",
            f"20 steps of {name}, in one process (bench/others.py)",
            lambda n=name: found["pack_s"] / other_s(n),
        )


if __name__ == "__main__":
    main()
