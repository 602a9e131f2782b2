"""Open a gate under its task token, or expire it: `{tenant, run, step, path, token | expired}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.model.run import StepReference
from taskrunner.usecases.expire_gate import expire_gate
from taskrunner.usecases.open_gate import open_gate

if TYPE_CHECKING:
    from taskrunner.ports import World


def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Open the gate under its task token, or expire it."""
    world = world or bootstrap.aws()
    gate = StepReference(event["tenant"], event["run"], event["step"], event["path"])
    if event.get("expired"):
        return expire_gate(gate, world)
    return open_gate(gate, event["token"], world)
