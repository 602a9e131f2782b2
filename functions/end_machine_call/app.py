"""The end of an execution that a step may have started, as EventBridge reports it.

The event is "Step Functions Execution Status Change". Its detail has the execution's input and
output, unless they are too large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters.execution_events import ended_execution
from taskrunner.usecases.end_machine_call import end_machine_call

if TYPE_CHECKING:
    from taskrunner.ports import World

bootstrap.make_before_snapshot("called_machines", "clock", "jobs", "plans", "runs")


@bootstrap.observed
def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Record the end, if a step waits for it."""
    execution, report = ended_execution(event["detail"])
    return end_machine_call(execution, report, world or bootstrap.aws())
