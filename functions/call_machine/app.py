"""Start the execution of a step's attempt, under a task token: `{place, step, token}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters.machine_events import step_reference
from taskrunner.usecases.call_machine import call_machine

if TYPE_CHECKING:
    from taskrunner.ports import World

bootstrap.make_before_snapshot("called_machines", "clock", "jobs", "plans", "runs")


@bootstrap.observed
def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Answer the token, unless the execution goes on."""
    return call_machine(step_reference(event), event["token"], world or bootstrap.aws())
