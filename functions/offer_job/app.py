"""Offer a step's attempt to its worker pool, under a task token: `{place, step, token}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters.machine_events import step_reference
from taskrunner.usecases.offer_job import offer_job

if TYPE_CHECKING:
    from taskrunner.ports import World

bootstrap.make_before_snapshot("clock", "jobs", "plans", "runs")


@bootstrap.observed
def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Answer the token, unless the job waits for a worker."""
    return offer_job(step_reference(event), event["token"], world or bootstrap.aws())
