"""Start many runs together on the local stack, and print what became of them and what they took.

    .venv/bin/python bench/burst.py [RUNS] [SECONDS]

Every run has ten steps. All creates are sent at the same time, each over its own connection. A
create waits and repeats its request after a 429 or 503 with Retry-After; any other answer than 201
counts as a lost create. Twice a second, the emulator's processes, their resident memory and their
files are added up.

The measurement stops after SECONDS. If the local stack takes more than 8 GiB of memory, it is
stopped. The exit code is 1 unless every create became a run that succeeded.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from taskrunner_cli import local
from taskrunner_cli.local import emulator, workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS = 200
STEPS = 10
SECONDS = 900.0
MOST_MIB = 8 * 1024
SAMPLE_S = 0.5
POLL_S = 2.0
ENDED = {"succeeded", "failed", "cancelled"}
MIB = 1024 * 1024
_STACK = "taskrunner-"
_OF_ANOTHER_STACK = "of another stack"
CREATED, OK, REFUSED = 201, 200, {429, 503}


@dataclass
class Peak:
    """The most that the emulator's process tree took at any time."""

    processes: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    memory_mib: float = 0.0
    disk_mib: float = 0.0

    @contextlib.contextmanager
    def watched(self, root: psutil.Process, folder: Path) -> Iterator[None]:
        """Sample *root*, its descendants and the files in *folder* while the context is open."""
        ended = threading.Event()
        thread = threading.Thread(target=self._watch, args=(root, folder, ended))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _watch(self, root: psutil.Process, folder: Path, ended: threading.Event) -> None:
        while not ended.wait(SAMPLE_S):
            if self._look(root, folder) > MOST_MIB:
                local.down()
                return

    def _look(self, root: psutil.Process, folder: Path) -> float:
        """Take a sample, and return the MiB of all processes, those of other stacks included."""
        kinds: Counter[str] = Counter()
        resident: Counter[str] = Counter()
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                kind = _kind(process, root)
                resident[kind] += process.memory_info().rss
                kinds[kind] += 1
        taken_mib = resident.total() / MIB
        for counts in (kinds, resident):
            counts.pop(_OF_ANOTHER_STACK, None)
        if kinds.total() > self.processes:
            self.processes, self.by_kind = kinds.total(), kinds
        self.memory_mib = max(self.memory_mib, resident.total() / MIB)
        self.disk_mib = max(self.disk_mib, _used_bytes(folder) / MIB)
        return taken_mib


def _kind(process: psutil.Process, root: psutil.Process) -> str:
    """Return the name of the function that *process* runs; a sandbox has no environment.

    The process that functions are forked from has the emulator's environment. The processes of a
    stack that a test has deployed stay for a while when the stack is deleted.
    """
    if process.pid == root.pid:
        return "emulator"
    environment = process.environ()
    name = environment.get("AWS_LAMBDA_FUNCTION_NAME")
    if name is None:
        return "prepared" if "PATH" in environment else "sandbox"
    if not name.startswith(_STACK):
        return _OF_ANOTHER_STACK
    return name.removeprefix(_STACK).partition("Function-")[0]


def _used_bytes(folder: Path) -> int:
    """Return the bytes of the disk that the files below *folder* take."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # an attempt's files go with it
                total += Path(parent, name).lstat().st_blocks * 512
    return total


class Caller:
    """A client of the API that obeys Retry-After and counts the answers."""

    def __init__(self, stack: local.Stack, http: httpx.AsyncClient, seconds: float) -> None:
        """Call the runs of *stack*, for *seconds* at most."""
        self.url = f"{stack.api_url}/v1/task-runner/runs"
        self.http = http
        self.deadline = time.monotonic() + seconds
        self.answers: Counter[str] = Counter()

    async def call(self, method: str, **request: Any) -> httpx.Response | None:  # noqa: ANN401 - httpx's
        """Return the first answer that is not a refusal, or None after the deadline."""
        while time.monotonic() < self.deadline:
            try:
                answer = await self.http.request(method, self.url, **request)
            except httpx.HTTPError as error:
                self.answers[f"{method} {type(error).__name__}"] += 1
                return None
            wait_s = answer.headers.get("Retry-After")
            self.answers[f"{method} {answer.status_code}"] += 1
            if answer.status_code not in REFUSED or wait_s is None:
                return answer
            await asyncio.sleep(float(wait_s) * random.uniform(1, 2))  # noqa: S311 - no secret
        return None

    async def create(self, manifest: str) -> str | None:
        """Create a run of *manifest*, and return its id."""
        key = {"Idempotency-Key": str(uuid.uuid4())}
        answer = await self.call("POST", json={"manifest": manifest}, headers=key)
        if answer is None or answer.status_code != CREATED:
            return None
        run_id: str = answer.json()["runId"]
        return run_id

    async def statuses(self) -> dict[str, str]:
        """Return the status of every run of the tenant by its id."""
        found: dict[str, str] = {}
        query = {"limit": "100"}
        while True:
            answer = await self.call("GET", params=query)
            if answer is None or answer.status_code != OK:
                return found
            page = answer.json()
            found |= {run["runId"]: run["status"] for run in page["runs"]}
            if "nextCursor" not in page:
                return found
            query["cursor"] = page["nextCursor"]


@dataclass(frozen=True)
class Outcome:
    """The result of a burst: runs by status, with `create lost`, and answers by method and code."""

    runs: Counter[str]
    answers: Counter[str]
    creates_s: float


async def burst(stack: local.Stack, *, runs: int, steps: int, seconds: float) -> Outcome:
    """Create *runs* runs of *steps* steps together, and follow them to their ends."""
    client = stack.clients["operator"]
    unlimited = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=30.0, limits=unlimited) as http:
        token = await http.post(
            stack.token_url,
            data={"grant_type": "client_credentials", "scope": client.scope},
            auth=(client.client_id, client.client_secret),
        )
        http.headers["Authorization"] = f"Bearer {token.raise_for_status().json()['access_token']}"
        caller = Caller(stack, http, seconds)
        began = time.monotonic()
        made = await asyncio.gather(*(caller.create(manifest(steps)) for _ in range(runs)))
        creates_s = time.monotonic() - began
        run_ids = {run_id for run_id in made if run_id}
        known: dict[str, str] = {}
        while not all(known.get(run_id) in ENDED for run_id in run_ids):
            if time.monotonic() > caller.deadline:
                break
            await asyncio.sleep(POLL_S)
            known = await caller.statuses()
    outcomes = Counter(known.get(run_id, "unknown") for run_id in run_ids)
    outcomes["create lost"] = runs - len(run_ids)
    return Outcome(+outcomes, caller.answers, creates_s)


def manifest(steps: int) -> str:
    """Return a pack of *steps* steps, one after the other."""
    head = ["apiVersion: stellaops.io/pack.v1", "kind: TaskPack"]
    head += ["metadata: {name: burst, version: 1.0.0}", "spec:", "  steps:"]
    body = [f"    - {{id: s{n}, run: {{uses: 'builtin:noop', with: {{}}}}}}" for n in range(steps)]
    return "\n".join([*head, *body]) + "\n"


def main(runs: int, seconds: float) -> int:
    """Measure and print; return the exit code."""
    stack = local.up()
    here = workspace.find()
    process = emulator.running(here)
    if process is None:
        raise SystemExit("the local stack went down")
    peak, began = Peak(), time.monotonic()
    with peak.watched(psutil.Process(process.pid), here.scratch):
        outcome = asyncio.run(burst(stack, runs=runs, steps=STEPS, seconds=seconds))
    print(f"runs       {dict(outcome.runs)}")
    print(f"seconds    {time.monotonic() - began:.0f}, of which {outcome.creates_s:.0f} to create")
    print(f"answers    {dict(sorted(outcome.answers.items()))}")
    print(f"processes  {peak.processes} at most: {dict(sorted(peak.by_kind.items()))}")
    print(f"memory     {peak.memory_mib:.0f} MiB resident at most")
    print(f"disk       {peak.disk_mib:.0f} MiB at most")
    return 0 if outcome.runs == {"succeeded": runs} else 1


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(int(words[0]) if words else RUNS, float(words[1]) if words[1:] else SECONDS))
