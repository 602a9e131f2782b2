"""The requests to EventBridge, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from taskrunner.adapters.events import BusEvents
from taskrunner.errors import TryAgainError
from taskrunner.model.lifecycle import EventName, LifecycleEvent

AT = "2025-12-06T10:00:00.000Z"


def an_event(number: int = 0) -> LifecycleEvent:
    return LifecycleEvent(name=EventName.RUN_FAILED, occurred_at=AT, detail={"number": number})


@dataclass
class Bus:
    """A client of EventBridge that refuses the events at the places *refused* of each call."""

    refused: tuple[int, ...] = ()
    calls: list[list[dict[str, Any]]] = field(default_factory=list)

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - AWS's
        self.calls.append(Entries)
        answers = [
            {"ErrorCode": "ThrottlingException"} if place in self.refused else {"EventId": "1"}
            for place in range(len(Entries))
        ]
        return {"FailedEntryCount": len(self.refused), "Entries": answers}


def test_sends_an_event_in_the_form_of_the_api() -> None:
    client = boto3.client(
        "events", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    entry = {
        "EventBusName": "audit",
        "Source": "taskrunner",
        "DetailType": "run.failed",
        "Time": ANY,
        "Detail": json.dumps({"number": 0}),
    }
    answer = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}
    with Stubber(client) as stub:
        stub.add_response("put_events", answer, {"Entries": [entry]})
        BusEvents(client, "audit").publish([an_event()])
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(("count", "calls"), [(0, []), (1, [1]), (10, [10]), (11, [10, 1])])
def test_sends_at_most_ten_events_in_a_call(count: int, calls: list[int]) -> None:
    bus = Bus()

    BusEvents(bus, "default").publish([an_event(number) for number in range(count)])

    assert [len(entries) for entries in bus.calls] == calls


def test_a_call_of_which_one_event_is_refused_must_be_repeated() -> None:
    with pytest.raises(TryAgainError, match="ThrottlingException"):
        BusEvents(Bus(refused=(1,)), "default").publish([an_event(), an_event()])


def test_a_throttled_call_must_be_repeated() -> None:
    client = boto3.client(
        "events", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    with Stubber(client) as stub:
        stub.add_client_error("put_events", "ThrottlingException")
        with pytest.raises(TryAgainError):
            BusEvents(client, "default").publish([an_event()])
