"""Cancel a run, immediately and permanently."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model import timestamp
from taskrunner.model.entries import run_entries
from taskrunner.model.machine_call import execution_of
from taskrunner.model.run import RunStatus

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.ports import World


def cancel_run(
    tenant: str, run_id: str, caller: str, world: World, *, caller_name: str | None = None
) -> JsonObject:
    """End the run as cancelled unless it has ended, and stop its executions.

    These are its own, and those of the machines that its steps have called. *caller* is the token's
    subject, and *caller_name* is what the registry calls it.

    The answer is that of the API for a run in any state. Its `runStatus` says how the run ended,
    which is not as cancelled if it had ended before.

    The record comes first and is a fence: steps that are still running find the run ended and
    change nothing. After a crash between the record and the stop, cancelling again or the next step
    of the execution does the rest.

    Raises:
        NotFoundError: the tenant has no such run.
    """
    snapshot = world.runs.snapshot(tenant, run_id)
    outcome = snapshot.run.outcome
    if outcome is None:
        now = timestamp.to_text(world.clock.now())
        requested = run_entries.cancel_requested(caller, now, name=caller_name)
        entries = [requested, run_entries.run_cancelled(now)]
        outcome = world.runs.end(snapshot, RunStatus.CANCELLED, entries)
    if outcome is RunStatus.CANCELLED:
        world.machines.stop(snapshot.run)
        for job in world.jobs.of_run(snapshot.run):
            execution = execution_of(job)
            if execution is not None and not job.is_done:
                world.called_machines.stop(execution)
    return {"status": "cancelled", "runStatus": outcome.value}
