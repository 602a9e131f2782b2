"""Compiles hostile packs in a process with limits, and prints what each one costs.

    python -m tests.security.hostile.bounded NAME...

prints one JSON object a line: the case's name, its outcome (`planned`, or the error's code), the
first problem's message, the seconds of CPU time and the process's peak memory so far.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from pathlib import Path

from taskrunner.compiler.driver import compile_pack
from taskrunner.errors import InvalidPackError
from tests.packs import pack
from tests.security.hostile.case import NOOP, Case
from tests.security.hostile.manifests import cases

MEMORY_BYTES = 2 * 1024**3  # of addresses; what is used stays far below
CPU_S = 300
_YARDSTICK = Case("yardstick", pack("\n".join(NOOP.replace("one", f"s{n}") for n in range(500))))


def main(names: list[str]) -> None:
    """Compile the cases *names* after the yardstick, an ordinary pack of 500 steps, five times."""
    compile_pack(_YARDSTICK.manifest, {})  # so that imports and caches are not measured
    gc.set_threshold(50_000, 30)  # as in tests/conftest.py; the peak is that of Python's own, 700
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    for case in [*[_YARDSTICK] * 5, *(case for case in cases() if case.name in names)]:
        start = time.process_time()
        try:
            compile_pack(case.manifest, case.inputs)
            outcome, message = "planned", ""
        except InvalidPackError as error:
            outcome, message = error.code, error.diagnostics[0].message
        spent_s = time.process_time() - start
        line = {"name": case.name, "outcome": outcome, "message": message}
        sys.stdout.write(json.dumps({**line, "cpuS": spent_s, "peakKiB": _peak_kib()}) + "\n")
        sys.stdout.flush()


def _peak_kib() -> int:
    """The most memory that this process has used. getrusage would include that of its parent."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(sys.argv[1:])
