"""Measures what one attempt of `builtin:noop` costs in the sandbox.

    .venv/bin/python bench/sandbox.py [ATTEMPTS]

"Warm" uses the child that a server has forked in advance, as run_step does, and "fresh" starts a
server for the attempt. The fastest of all attempts counts.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import closing
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "layers/core/python")]

from taskrunner.sandbox.attempt import AttemptRequest, Limits  # noqa: E402 - needs the path above
from taskrunner.sandbox.launcher import ForkedSandbox  # noqa: E402 - the same

ATTEMPTS = 20
WAITING_S = 0.02
NO_SERVICES: Any = None


def attempt(sandbox: ForkedSandbox, waiting_s: float = 0) -> float:
    """Return the seconds that one attempt takes, *waiting_s* seconds after it was prepared."""
    with tempfile.TemporaryDirectory() as folder:
        request = AttemptRequest(
            uses="builtin:noop",
            parameters={"text": "hello"},
            run_id="run",
            run_created_at="2025-12-06T12:00:00.000Z",
            tenant="tenant",
            step_path="step",
            attempt=1,
            plan_document={"inputs": {}},
            folder=Path(folder),
            limits=Limits(memory_mib=128, cpu_s=10, wall_s=30),
        )
        request.output.mkdir()
        request.scratch.mkdir()
        sandbox.prepare()
        sleep(waiting_s)
        started = perf_counter()
        result = sandbox.execute(request, NO_SERVICES)
        took_s = perf_counter() - started
        if result.reason is not None:
            raise SystemExit(result.message)
        return took_s


def fresh_attempt() -> float:
    """Return the seconds that one attempt takes with a server of its own."""
    started = perf_counter()
    with closing(ForkedSandbox()) as sandbox:
        attempt(sandbox)
        return perf_counter() - started


def main(attempts: int) -> None:
    """Measure, and print one line."""
    fresh_s = min(fresh_attempt() for _ in range(attempts))
    with closing(ForkedSandbox()) as sandbox:
        warm_s = min(attempt(sandbox, WAITING_S) for _ in range(attempts))
    print(f"warm {warm_s * 1000:.1f} ms, fresh {fresh_s * 1000:.1f} ms: {warm_s / fresh_s:.1%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ATTEMPTS)
