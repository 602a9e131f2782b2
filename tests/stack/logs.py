"""The log lines that functions and machines wrote to CloudWatch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def lines(logs: Any, group: str) -> Iterator[str]:  # noqa: ANN401 - boto3 has no static types
    """Yield all lines of a log group, the oldest first.

    The emulator gives the first 10,000 events and no token for the next ones. So each request
    begins at the time of the last event before it.
    """
    start_ms = 0
    seen: set[tuple[int, str, str]] = set()
    while True:
        answers = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=start_ms
        )
        events = [
            (event["timestamp"], event["logStreamName"], event["message"])
            for page in answers
            for event in page["events"]
        ]
        fresh = [event for event in events if event not in seen]
        if not fresh:
            return
        yield from (message for _, _, message in fresh)
        seen = set(events)
        start_ms = max(timestamp for timestamp, _, _ in events)
