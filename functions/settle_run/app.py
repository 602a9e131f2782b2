"""The end of a run: from its own machine, from the reconciler, or from EventBridge.

The machine and the reconciler send `{tenant, run, error}`, where error is null, the States
Language's `{Error, Cause}`, or a status such as `ABORTED`. EventBridge sends "Step Functions
Execution Status Change", whose detail has the execution's input.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.usecases.settle_run import settle_run

if TYPE_CHECKING:
    from taskrunner.ports import World


def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Settle the run that the event is about."""
    world = world or bootstrap.aws()
    if "detail" in event:
        text = event["detail"].get("input")
        if text is None:
            # EventBridge leaves out what is large; the reconciler will look for itself.
            return {"status": "unknown"}
        given = json.loads(text)
        if given["path"]:
            # An iteration of a Distributed Map: what becomes of the run, its own execution tells.
            return {"status": "unknown"}
        run, status = given["run"], event["detail"]["status"]
        # The input says which run it is for; whether it is that run's own, the record says.
        own = event["detail"]["executionArn"].partition(":execution:")[2]
        return settle_run(run["tenant"], run["id"], status, world, execution=own)
    error = event["error"]
    # The cause is an executor's or AWS's own text, and may hold anything: the name is enough.
    name = error["Error"] if isinstance(error, dict) else error
    return settle_run(event["tenant"], event["run"], name, world)
