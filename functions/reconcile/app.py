"""One pass of the reconciler, which EventBridge calls every minute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters.logs import logger
from taskrunner.usecases.reconcile import ids, reconcile

if TYPE_CHECKING:
    from taskrunner.ports import World

bootstrap.make_before_snapshot("approvals", "clock", "due_work", "jobs", "metrics")


@bootstrap.observed
def handler(
    _event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Take up the work that is due, and log each item that failed; the next passes repeat those."""
    done = reconcile(world or bootstrap.aws())
    for item, error in done.failures:
        fields = {
            **ids(item),
            "kind": item.kind.value,
            "looks": item.looks,
            "reason": type(error).__name__,
        }
        logger.error("due work failed", extra=fields, exc_info=error)
    return {"taken": done.taken, "failed": len(done.failures)}
