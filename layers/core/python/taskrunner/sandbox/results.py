"""Turns the way a child ended into the result that the journal and the pack's author get."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final, assert_never

from taskrunner.model.run import Reason
from taskrunner.sandbox.attempt import AttemptResult
from taskrunner.sandbox.messages import Crashed, Denied, Failed, Finished, OutOfMemory

if TYPE_CHECKING:
    from taskrunner.sandbox.attempt import Limits, Usage
    from taskrunner.sandbox.messages import Ending

# A process that died of a signal with this share of its memory in use probably ran out of it.
_NEARLY_FULL: Final = 0.9


def result(ending: Ending | None, status: int, limits: Limits, usage: Usage) -> AttemptResult:
    """Return the result of a child that said *ending*; None if it died with wait's *status*."""
    match ending:
        case None:
            return _died(status, limits, usage)
        case Finished(outputs=outputs):
            return AttemptResult(outputs=outputs, usage=usage)
        case Denied(message):
            return AttemptResult(reason=Reason.EGRESS_DENIED, message=message, usage=usage)
        case Failed(message):
            return AttemptResult(reason=Reason.EXECUTOR_ERROR, message=message, usage=usage)
        case OutOfMemory():
            return _out_of_memory(limits, usage)
        case Crashed(error):
            message = f"the executor failed with an unexpected error ({error})"
            return AttemptResult(reason=Reason.EXECUTOR_ERROR, message=message, usage=usage)
        case _:
            assert_never(ending)


def out_of_time(limits: Limits, usage: Usage) -> AttemptResult:
    """Return the result of an attempt that was killed when its wall time was over."""
    message = f"not done after {limits.wall_s:g} seconds"
    return AttemptResult(reason=Reason.TIMEOUT, message=message, usage=usage)


def _out_of_memory(limits: Limits, usage: Usage) -> AttemptResult:
    message = f"more than the {limits.memory_mib} MiB of memory that the pack's sandbox allows"
    return AttemptResult(reason=Reason.MEMORY_EXCEEDED, message=message, usage=usage)


def _died(status: int, limits: Limits, usage: Usage) -> AttemptResult:
    exit_code = os.waitstatus_to_exitcode(status)
    signal_number = max(-exit_code, 0)
    # A process that ignores or disarms the first signals is killed by RLIMIT_CPU.
    is_killed = signal_number == signal.SIGKILL
    is_out_of_cpu_time = is_killed and usage.cpu_s >= limits.cpu_s
    if signal_number in {signal.SIGPROF, signal.SIGXCPU} or is_out_of_cpu_time:
        message = (
            f"used up its {limits.cpu_s:g} seconds of CPU time: cpuLimitMillicores is its share of "
            f"the {limits.wall_s:g} seconds that the attempt had"
        )
        return AttemptResult(reason=Reason.TIMEOUT, message=message, usage=usage)
    # A process without memory cannot always say so.
    if usage.memory_mib >= limits.memory_mib * _NEARLY_FULL:
        return _out_of_memory(limits, usage)
    if is_killed:
        message = (
            f"the executor's process was killed (SIGKILL) and the reason is not known; it used "
            f"{usage.memory_mib} of its {limits.memory_mib} MiB of memory, and the function may "
            "have run out of its own"
        )
        return AttemptResult(reason=Reason.EXECUTOR_ERROR, message=message, usage=usage)
    how = signal.Signals(signal_number).name if signal_number else f"exit code {exit_code}"
    message = f"the executor's process ended with {how}"
    return AttemptResult(reason=Reason.EXECUTOR_ERROR, message=message, usage=usage)
