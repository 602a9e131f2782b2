"""The limits of the process that calls: set once, and never raised again."""

from __future__ import annotations

import ctypes
import math
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from taskrunner.sandbox.job import Limits

_MIB: Final = 1024 * 1024
_OPEN_FILES: Final = 256
# What libraries map that is no data of the executor's: code, and files that are read.
_MAPPED_MIB: Final = 256
_PR_SET_PDEATHSIG: Final = 1


def apply(limits: Limits) -> None:
    """Hold this process to *limits*, from here on.

    * Memory is what the process may write to (RLIMIT_DATA): heap, stacks and everything else that
      is not a mapped file, the interpreter's own included. RLIMIT_AS bounds what escapes that.
    * CPU time is counted from now. The profiling timer ends the process within a tick, where
      RLIMIT_CPU knows whole seconds and is what remains should the timer be lost.
    """
    data = limits.memory_mib * _MIB
    _set(resource.RLIMIT_DATA, data)
    _set(resource.RLIMIT_AS, _mapped_bytes() + data + _MAPPED_MIB * _MIB)
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_NOFILE, _OPEN_FILES)
    used = resource.getrusage(resource.RUSAGE_SELF)
    _set(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + limits.cpu_s) + 1)
    signal.setitimer(signal.ITIMER_PROF, max(limits.cpu_s, 0.001))


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _set(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (most, most))


def _mapped_bytes() -> int:
    """What this process has mapped already, by the kernel's own account (in pages)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()
