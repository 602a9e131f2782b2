"""Compare how far packs get into the compiler, mutated as bytes and mutated as trees.

    PYTHONPATH=layers/core/python:. .venv/bin/python bench/fuzzing.py [EXECUTIONS]

Both fuzz the same seeds for the same number of executions. Seconds would not compare, because
mutating a tree takes longer than mutating a byte. The result is the number of different texts that
reached each stage of the compiler, without the seeds. It needs atheris.
"""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

EXECUTIONS = 20_000
STAGES = ("any text", "has a pack's shape", "is planned", "is compiled")


def fuzz(executions: int, folder: str, *, by_structure: bool) -> None:
    """Fuzz, and print how many different texts reached each stage."""
    from tests.security.fuzz import run  # noqa: PLC0415 - only this process needs it

    reached: dict[str, set[bytes]] = defaultdict(set)
    seeds = {hashlib.sha256(seed.read_bytes()).digest() for seed in run.seeds("pack")}
    number = itertools.count(1)

    def pack(data: bytes) -> None:
        for stage in STAGES[: 1 + _stages(data.decode(errors="replace"))]:
            reached[stage].add(hashlib.sha256(data).digest())
        # libFuzzer ends the process after the last execution, so nothing can be printed later.
        if next(number) == executions:
            print(*(len(reached[stage] - seeds) for stage in STAGES), flush=True)

    run.plant("pack", Path(folder))
    run.guided("pack", Path(folder), [f"-runs={executions}"], pack, by_structure=by_structure)


def _stages(text: str) -> int:
    """Return how many stages *text* reached beyond the first."""
    from taskrunner.compiler.checks import pack as checks  # noqa: PLC0415 - instrumented by then
    from taskrunner.compiler.driver import compile_pack  # noqa: PLC0415 - the same
    from taskrunner.compiler.manifest import schema, source  # noqa: PLC0415 - the same
    from taskrunner.errors import InvalidPackError  # noqa: PLC0415 - the same
    from taskrunner.model.ceilings import NO_CEILINGS  # noqa: PLC0415 - the same

    reached = 0
    try:
        manifest = schema.parse(source.read(text))
        reached = 1
        if checks.problems(manifest.pack, NO_CEILINGS):
            return reached
        reached = 2
        compile_pack(text, {})
    except InvalidPackError:
        return reached
    return 3


def counts(executions: int, way: str) -> list[int]:
    """Return the counts of one run, in a process of its own because libFuzzer ends it."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, __file__, str(executions), way, folder],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
    return [int(number) for number in done.stdout.splitlines()[-1].split()]


def main(executions: int) -> None:
    """Run both ways, and print a table."""
    found = {way: counts(executions, way) for way in ("bytes", "structure")}
    print(f"{'different packs':<20} {'bytes':>8} {'structure':>10}")
    for number, stage in enumerate(STAGES):
        by_bytes, by_structure = found["bytes"][number], found["structure"][number]
        ratio = by_structure / max(1, by_bytes)
        print(f"{stage:<20} {by_bytes:>8} {by_structure:>10}  {ratio:6.1f}x")


if __name__ == "__main__":
    if len(sys.argv) > 2:  # noqa: PLR2004 - counts() started this process
        fuzz(int(sys.argv[1]), sys.argv[3], by_structure=sys.argv[2] == "structure")
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else EXECUTIONS)
