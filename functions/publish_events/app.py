"""Records of the table's stream: publish what they say has happened to runs, and measure it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters import logs
from taskrunner.adapters.logs import logger
from taskrunner.adapters.stream_records import change, run_of
from taskrunner.model.metrics import Measurement, Metric
from taskrunner.usecases.publish_events import publish_events

if TYPE_CHECKING:
    from taskrunner.ports import World
    from taskrunner.usecases.publish_events import Change

bootstrap.make_before_snapshot("clock", "events", "metrics", "runs")


@bootstrap.observed
def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Publish the events of a batch. Lambda repeats a batch that fails."""
    world = world or bootstrap.aws()
    logs.add(**run_of(event["Records"]))
    changes: list[Change] = []
    for record in event["Records"]:
        try:
            found = change(record)
        except (KeyError, ValueError, LookupError):
            # Repeating it would hold up all records after it for hours. The text is left out.
            about = {"record": record.get("eventID"), **run_of([record])}
            logger.error("a record of the stream cannot be read", extra=about)
            world.metrics.record(Measurement(Metric.EVENTS_UNREADABLE, 1))
            continue
        changes += [] if found is None else [found]
    return {"published": publish_events(changes, world)}
