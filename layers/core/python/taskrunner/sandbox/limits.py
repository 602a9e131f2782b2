"""Limits the calling process permanently: no limit can be raised again."""

from __future__ import annotations

import ctypes
import math
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from taskrunner.sandbox.attempt import Limits

_MIB: Final = 1024 * 1024
_KIB_PER_MIB: Final = 1024
_OPEN_FILES: Final = 256
# Room for what libraries map beside the executor's data: code, and files that are read.
_MAPPED_MIB: Final = 256
_PR_SET_PDEATHSIG: Final = 1
# Loaded by the server, so that no child does it.
_C_LIBRARY: Final = ctypes.CDLL(None)


def apply(limits: Limits) -> None:
    """Hold this process to *limits* from now on.

    * Memory is limited by RLIMIT_DATA: what the process may write to, so heap, stacks and
      everything else that is not a mapped file, the interpreter's own included. RLIMIT_AS bounds
      the memory that RLIMIT_DATA does not count.
    * CPU time is counted from now on. ITIMER_PROF ends the process within a tick. RLIMIT_CPU counts
      whole seconds, and still holds when the process disarms the timer.
    """
    data_bytes = limits.memory_mib * _MIB
    _set(resource.RLIMIT_DATA, data_bytes)
    _set(resource.RLIMIT_AS, _mapped_bytes() + data_bytes + _MAPPED_MIB * _MIB)
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_NOFILE, _OPEN_FILES)
    used = resource.getrusage(resource.RUSAGE_SELF)
    _set(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + limits.cpu_s) + 1)
    signal.setitimer(signal.ITIMER_PROF, max(limits.cpu_s, 0.001))


def used_by_this_process() -> tuple[float, int]:
    """Return what `used` returns, for the calling process until now."""
    return used(resource.getrusage(resource.RUSAGE_SELF))


def used(usage: resource.struct_rusage) -> tuple[float, int]:
    """Return a process's CPU time in seconds, and its peak memory in MiB."""
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss // _KIB_PER_MIB


def die_with_parent() -> None:
    """Have the kernel kill this process when the process that started it ends."""
    _C_LIBRARY.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _set(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (value, value))


def _mapped_bytes() -> int:
    """Return how much memory this process has mapped, as the kernel counts it in pages."""
    pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    return pages * resource.getpagesize()
