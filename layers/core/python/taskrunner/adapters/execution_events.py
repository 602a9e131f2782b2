"""EventBridge's events about executions of machines that steps call.

They are "Step Functions Execution Status Change". Input and output are left out where the event
would be too large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from taskrunner.model.machine_call import Execution, ExecutionReport, ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

# Between a stack's name, which has no such character, and the machine's name in packs.
_INFIX: Final = "_machine_"
_MS_PER_S: Final = 1000


def ended_execution(detail: Mapping[str, Any]) -> tuple[Execution, ExecutionReport]:
    """Return the execution that the *detail* of an event is about, and its state."""
    machine = detail["stateMachineArn"].partition(_INFIX)[2]
    report = ExecutionReport(
        status=ExecutionStatus(detail["status"]),
        input_text=detail.get("input"),
        output_text=detail.get("output"),
        error=detail.get("error"),
        cause=detail.get("cause"),
        duration_s=_duration_s(detail),
    )
    return Execution(machine, detail["name"]), report


def _duration_s(detail: Mapping[str, Any]) -> float | None:
    started_at_ms, stopped_at_ms = detail.get("startDate"), detail.get("stopDate")
    if started_at_ms is None or stopped_at_ms is None:
        return None
    return float(stopped_at_ms - started_at_ms) / _MS_PER_S
