"""The port Events: the bus takes all events, or the caller must repeat the call."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.adapters.events import BusEvents
from taskrunner.errors import TryAgainError
from taskrunner.model.lifecycle import EventName, LifecycleEvent
from tests.fakes.events import MemoryEvents

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner import ports


@dataclass
class EventBridge:
    """EventBridge as its API answers; with *is_down* it refuses every event."""

    taken: list[dict[str, Any]] = field(default_factory=list)
    is_down: bool = False

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - AWS's
        assert 1 <= len(Entries) <= 10
        if self.is_down:
            refused = [{"ErrorCode": "InternalFailure"} for _ in Entries]
            return {"FailedEntryCount": len(Entries), "Entries": refused}
        self.taken += Entries
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in Entries]}


@dataclass
class Bus:
    """A bus: the port, what it has taken as (name, detail), and how it goes down."""

    events: ports.Events
    taken: Callable[[], list[tuple[str, Any]]]
    go_down: Callable[[], None]


@pytest.fixture(name="bus", params=["memory", "aws"])
def _bus(request: pytest.FixtureRequest) -> Bus:
    if request.param == "memory":
        fake = MemoryEvents()
        return Bus(
            fake,
            lambda: [(event.name.value, event.detail) for event in fake.published],
            lambda: setattr(fake, "is_down", True),
        )
    client = EventBridge()
    return Bus(
        BusEvents(client, "default"),
        lambda: [(entry["DetailType"], json.loads(entry["Detail"])) for entry in client.taken],
        lambda: setattr(client, "is_down", True),
    )


def some_events(count: int) -> list[LifecycleEvent]:
    return [
        LifecycleEvent(
            name=EventName.RUN_CREATED,
            occurred_at="2025-12-06T12:00:00.000Z",
            detail={"number": number},
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 10, 25])
def test_the_bus_takes_all_events_in_their_order(bus: Bus, count: int) -> None:
    bus.events.publish(some_events(count))

    assert bus.taken() == [("run.created", {"number": number}) for number in range(count)]


def test_a_call_that_the_bus_refuses_must_be_repeated(bus: Bus) -> None:
    bus.go_down()

    with pytest.raises(TryAgainError):
        bus.events.publish(some_events(1))

    assert bus.taken() == []
