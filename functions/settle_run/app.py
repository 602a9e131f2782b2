"""The end of a run, reported by its own machine, by the reconciler, or by EventBridge.

The machine and the reconciler send `{tenant, run, error}`, where error is null, the States
Language's `{Error, Cause}`, or a status such as `ABORTED`. The machine of a pack with `finally`
adds the name of its `execution`. EventBridge sends "Step Functions
Execution Status Change", whose detail contains the execution's input.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters import logs
from taskrunner.adapters.machine_events import path_prefix, run_of
from taskrunner.usecases.settle_run import settle_run

if TYPE_CHECKING:
    from taskrunner.ports import World

bootstrap.make_before_snapshot("artifacts", "clock", "evidence", "plans", "runs")


@bootstrap.observed
def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Settle the run that the event is about."""
    world = world or bootstrap.aws()
    if "detail" in event:
        return _settle_from_status_change(event["detail"], world)
    error = event["error"]
    # Only the name is used. The cause is text of an executor or of AWS, and may contain anything.
    name = error["Error"] if isinstance(error, dict) else error
    execution = event.get("execution")  # in machines of packs with `finally`
    return settle_run(event["tenant"], event["run"], name, world, execution=execution)


def _settle_from_status_change(detail: dict[str, Any], world: World) -> dict[str, Any]:
    text = detail.get("input")
    if text is None:
        # EventBridge omits a large input. The reconciler will find the run.
        return {"status": "unknown"}
    execution_input = json.loads(text)
    if path_prefix(execution_input):
        # This is an iteration of a Distributed Map. The run's own execution will report its end.
        return {"status": "unknown"}
    tenant, run_id = run_of(execution_input)
    # The input only claims a run. settle_run compares the execution with the one on record.
    logs.add(tenant=tenant, run=run_id)
    execution = detail["executionArn"].partition(":execution:")[2]
    return settle_run(tenant, run_id, detail["status"], world, execution=execution)
