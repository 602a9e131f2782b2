"""Open, skip or expire a gate under its task token: `{place, step, token}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters.machine_events import has_timed_out, step_reference
from taskrunner.usecases.enter_gate import enter_gate
from taskrunner.usecases.expire_gate import expire_gate

if TYPE_CHECKING:
    from taskrunner.ports import World

bootstrap.make_before_snapshot("approvals", "clock", "due_work", "notifications", "plans", "runs")


@bootstrap.observed
def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Answer the token, unless the gate waits for a decision."""
    world = world or bootstrap.aws()
    gate = step_reference(event)
    if event.get("expired"):  # a machine of an earlier release, which has a state for that
        return expire_gate(gate, world)
    return enter_gate(gate, event["token"], world, has_timed_out=has_timed_out(event))
