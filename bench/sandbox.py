"""What the sandbox of a step costs, as a share of starting a fresh interpreter for it.

    .venv/bin/python bench/sandbox.py [ATTEMPTS]

Both run `builtin:noop`, the one in a fork of the warm server, the other in a sandbox whose server
is started for it. The least of all attempts counts.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "layers/core/python")]

from taskrunner.sandbox.job import OUTPUT_FOLDER, SCRATCH_FOLDER, Job, Limits  # noqa: E402
from taskrunner.sandbox.launcher import ForkedSandbox  # noqa: E402 - the folder above is no package

ATTEMPTS = 20
NOTHING_TO_ASK: Any = None


def attempt(sandbox: ForkedSandbox) -> float:
    """Seconds that one attempt takes."""
    with tempfile.TemporaryDirectory() as folder:
        for name in (OUTPUT_FOLDER, SCRATCH_FOLDER):
            (Path(folder) / name).mkdir()
        job = Job(
            uses="builtin:noop",
            parameters={"text": "hello"},
            run_id="run",
            run_created_at="2025-12-06T12:00:00.000Z",
            tenant="tenant",
            step_id="step",
            attempt=1,
            plan_document={"inputs": {}},
            folder=Path(folder),
            limits=Limits(memory_mib=128, cpu_s=10, wall_s=30),
        )
        began = perf_counter()
        ended = sandbox.execute(job, NOTHING_TO_ASK)
        if ended.reason is not None:
            raise SystemExit(ended.message)
        return perf_counter() - began


def fresh() -> float:
    """The same, with a server of its own."""
    with closing(ForkedSandbox()) as sandbox:
        return attempt(sandbox)


def main(attempts: int) -> None:
    """Measure, and print one line."""
    cold = min(fresh() for _ in range(attempts))
    with closing(ForkedSandbox()) as sandbox:
        warm = min(attempt(sandbox) for _ in range(attempts))
    print(f"warm {warm * 1000:.1f} ms, fresh {cold * 1000:.1f} ms: {warm / cold:.1%} of it")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ATTEMPTS)
