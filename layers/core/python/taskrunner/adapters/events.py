"""The port Events over an EventBridge bus."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from taskrunner.adapters.aws_errors import translated
from taskrunner.errors import TryAgainError
from taskrunner.model import timestamp
from taskrunner.model.lifecycle import SOURCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.lifecycle import LifecycleEvent

_MOST_ENTRIES: Final = 10  # of one call, with 256 KB together; an event has less than 3 KB


class BusEvents:
    """`ports.Events`; *client* is boto3's client for EventBridge."""

    def __init__(self, client: Any, bus: str) -> None:  # noqa: ANN401 - boto3 has no static types
        """Call nothing yet."""
        self._client = client
        self._bus = bus

    def publish(self, events: Sequence[LifecycleEvent]) -> None:
        """See the port. EventBridge takes or refuses each event of a call on its own."""
        for start in range(0, len(events), _MOST_ENTRIES):
            entries = [self._entry(event) for event in events[start : start + _MOST_ENTRIES]]
            with translated("publish events"):
                answer = self._client.put_events(Entries=entries)
            if answer["FailedEntryCount"]:
                refused = {
                    entry["ErrorCode"] for entry in answer["Entries"] if "ErrorCode" in entry
                }
                raise TryAgainError(f"the event bus refused events: {', '.join(sorted(refused))}")

    def _entry(self, event: LifecycleEvent) -> dict[str, object]:
        return {
            "EventBusName": self._bus,
            "Source": SOURCE,
            "DetailType": event.name.value,
            "Time": timestamp.from_text(event.occurred_at),
            "Detail": json.dumps(event.detail),
        }
