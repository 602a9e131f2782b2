"""Removing packs' machines: unused ones every day, and all of them when the stack is deleted.

EventBridge calls it every day, and CloudFormation for the custom resource PackMachines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters import custom_resource
from taskrunner.adapters.logs import logger
from taskrunner.model.metrics import Measurement, Metric
from taskrunner.usecases.remove_machines import (
    Removal,
    remove_all_machines,
    remove_unused_machines,
    store_count,
)

if TYPE_CHECKING:
    from taskrunner.adapters.invocations import Context
    from taskrunner.ports import World

_SPARE_S = 90  # of the function's time, for AWS's last answer and for ours to CloudFormation


@bootstrap.observed
def handler(
    event: dict[str, Any], context: Context, *, world: World | None = None
) -> dict[str, Any]:
    """Remove machines, for as long as the function may take."""
    world = world or bootstrap.aws()
    longest_s = context.get_remaining_time_in_millis() / 1000 - _SPARE_S
    if "RequestType" in event:
        return _for_the_stack(event, world, longest_s)
    removal = remove_unused_machines(world, longest_s)
    world.metrics.record(
        Measurement(Metric.STATE_MACHINES, removal.in_account),
        Measurement(Metric.PACK_MACHINES, removal.of_stack),
        Measurement(Metric.PACK_MACHINES_DELETED, removal.deleted),
        Measurement(Metric.MACHINES_NOT_DELETED, removal.refused),
    )
    _log(removal)
    store_count(removal, world)
    return {"machines": removal.of_stack, "deleted": removal.deleted, "left": removal.left}


def _for_the_stack(event: dict[str, Any], world: World, longest_s: float) -> dict[str, Any]:
    """Answer CloudFormation.

    The deletion of a stack fails only if it lacked time and did better than nothing: deleting the
    stack again then goes on. It never fails because AWS refuses, which would be for ever.
    """
    succeeded, reason = True, "nothing to do"
    if event["RequestType"] == "Delete":
        try:
            removal = remove_all_machines(world, longest_s)
        except Exception as error:  # noqa: BLE001 - CloudFormation must get an answer
            logger.exception("the machines of packs could not be listed")
            reason = f"the machines of packs could not be listed: {type(error).__name__}"
        else:
            _log(removal)
            succeeded = not (removal.left and removal.deleted)
            reason = f"{removal.deleted} machines were deleted and {removal.left} are left"
            reason += "" if succeeded else "; delete the stack again to go on"
    custom_resource.answer(event, reason, succeeded=succeeded)
    return {"succeeded": succeeded, "reason": reason}


def _log(removal: Removal) -> None:
    for machine, error in removal.failures:
        fields = {"machine": machine.name, "reason": type(error).__name__}
        logger.error("a machine could not be deleted", extra=fields, exc_info=error)
    if removal.left:
        logger.warning("machines are left", extra={"left": removal.left})
