"""Notify approvers of a gate that waits, and record that they were notified."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from taskrunner.errors import TryAgainError
from taskrunner.model import notification
from taskrunner.model.metrics import Measurement, Metric
from taskrunner.model.run import Reason

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.ports import World
    from taskrunner.runtime.reached_gate import ReachedGate


def announce(gate: ReachedGate, summary: JsonObject, world: World) -> None:
    """Notify approvers of *gate*, and then record that they were notified.

    *summary* is the gate as the API lists it among the open approvals. A crash between the two
    notifies them again, with the same id. The other order could notify nobody. When SNS, or the
    table for the record, is too busy, the gate is open anyway, and the reconciler notifies.
    """
    reason = Reason.AWAITING_OVERRIDE if gate.is_override else Reason.AWAITING_APPROVAL
    message = notification.awaiting(
        gate.run, summary, reason, min_approvals=gate.approval.min_approvals
    )
    if not world.notifications.publish(message):
        failed = Measurement(Metric.NOTIFICATIONS_FAILED, 1)
        world.metrics.record(failed, tenant=gate.run.tenant, run=gate.run.run_id)
        return
    with suppress(TryAgainError):
        world.approvals.record_notified(gate.run, gate.path)
