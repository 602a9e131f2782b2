"""Cancel a run: at once, and for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model import moment
from taskrunner.model.journal import Entry, Event, Level
from taskrunner.model.run import RunStatus

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.ports.world import World


def cancel_run(tenant: str, run_id: str, caller: str, world: World) -> JsonObject:
    """End the run as cancelled unless it has ended, and stop its execution.

    The record comes first, and fences: whatever still runs finds the run ended and changes nothing.
    A crash before the stop is healed by cancelling again, or by the next step of the execution.

    Raises:
        NotFoundError: the tenant has no such run.
    """
    head = world.runs.head(tenant, run_id)
    outcome = head.run.outcome
    if outcome is None:
        at = moment.to_text(world.clock.now())
        outcome = world.runs.end(head, RunStatus.CANCELLED, _entries(at, caller))
    if outcome is RunStatus.CANCELLED:
        world.machines.stop(head.run)
    return {"status": "cancelled"}


def _entries(at: str, caller: str) -> list[Entry]:
    return [
        Entry(
            id="run.cancel-requested",
            at=at,
            event=Event.RUN_CANCEL_REQUESTED,
            message="Cancellation requested via API.",
            metadata={"by": caller},
        ),
        Entry(
            id="run.cancelled",
            at=at,
            event=Event.RUN_CANCELLED,
            level=Level.WARN,
            message="Run cancelled.",
        ),
    ]
