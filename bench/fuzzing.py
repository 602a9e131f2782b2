"""How far into the compiler mutated packs come, with structure-aware mutations and without.

    PYTHONPATH=layers/core/python:. .venv/bin/python bench/fuzzing.py [EXECUTIONS]

Both fuzz the same seeds for the same number of executions, not seconds, since changing a tree takes
longer than changing a byte. Counted are the different texts that came to each stage, which is what
a stage is given to do, without the seeds. Needs atheris.
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


def count(executions: int, place: str, *, by_structure: bool) -> None:
    """Fuzz, and print how many different texts came to each of the stages."""
    from tests.security.fuzz import run  # noqa: PLC0415 - for this process alone

    came: dict[str, set[bytes]] = defaultdict(set)
    known = {hashlib.sha256(seed.read_bytes()).digest() for seed in run.seeds("pack")}
    number = itertools.count(1)

    def pack(data: bytes) -> None:
        for stage in STAGES[: 1 + _stages(data.decode(errors="replace"))]:
            came[stage].add(hashlib.sha256(data).digest())
        if next(number) == executions:  # libFuzzer ends the process, and lets nobody know
            print(*(len(came[stage] - known) for stage in STAGES), flush=True)

    run.plant("pack", Path(place))
    run.guided("pack", Path(place), [f"-runs={executions}"], pack, by_structure=by_structure)


def _stages(text: str) -> int:
    """How many stages behind the first *text* came to."""
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


def measured(executions: int, way: str) -> list[int]:
    """The counts of one run in a process of its own, which libFuzzer ends."""
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, __file__, str(executions), way, place],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
    return [int(number) for number in done.stdout.splitlines()[-1].split()]


def main(executions: int) -> None:
    """Run both ways, and print a table."""
    found = {way: measured(executions, way) for way in ("bytes", "structure")}
    print(f"{'different packs':<20} {'bytes':>8} {'structure':>10}")
    for number, stage in enumerate(STAGES):
        blind, structured = found["bytes"][number], found["structure"][number]
        print(f"{stage:<20} {blind:>8} {structured:>10}  {structured / max(1, blind):6.1f}x")


if __name__ == "__main__":
    if len(sys.argv) > 2:  # noqa: PLR2004 - a run of main()'s
        count(int(sys.argv[1]), sys.argv[3], by_structure=sys.argv[2] == "structure")
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else EXECUTIONS)
