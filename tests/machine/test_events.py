"""Runs over moto's AWS, whose stream brings every transition to the bus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from taskrunner.adapters.table_layout import APPROVALS, CHUNKS
from taskrunner.errors import TryAgainError
from tests.machine.deployment import TABLE
from tests.machine.engine import engine
from tests.machine.runs import ended
from tests.moto_aws import REGION
from tests.packs import pack
from tests.template import template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.model.lifecycle import LifecycleEvent
    from tests.machine.engine import Engine

SECRET = "a-value-that-no-event-has"
GATED = pack(
    f"""
    - {{id: before, run: {{uses: builtin:noop, with: {{text: {SECRET}}}}}}}
    - {{id: review, gate: {{approval: {{id: security}}}}}}
    - {{id: after, run: {{uses: builtin:fail, with: {{message: {SECRET}}}}}}}
    """,
    spec="approvals: [{id: security}]",
    name="gated",
)


@pytest.fixture(name="running", scope="module")
def _running() -> Iterator[Engine]:
    specification = template()["Resources"]["RunTable"]["Properties"]["StreamSpecification"]
    with engine() as running:
        # Only here, because moto keeps a copy of both images for each write.
        boto3.client("dynamodb").update_table(
            TableName=TABLE, StreamSpecification={"StreamEnabled": True, **specification}
        )
        yield running


class Bus:
    """Keeps what is published, and refuses it *refusals* times before."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.published: list[LifecycleEvent] = []

    def publish(self, events: list[LifecycleEvent]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise TryAgainError("busy")
        self.published += events


def stream() -> list[dict[str, Any]]:
    """Return the records of the table's stream that the template's filter lets pass.

    moto's own API of streams is not implemented for a table that it has copied.
    """
    shard = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[TABLE].stream_shard
    assert shard is not None
    records = [record.to_json() for record in shard.items]
    return [
        record
        for record in records
        if record["dynamodb"]["Keys"]["sk"]["S"].startswith((CHUNKS, APPROVALS))
        and record["eventName"] != "REMOVE"
    ]


def test_a_run_with_a_gate_is_followed_from_its_creation_to_its_end(running: Engine) -> None:
    ana, bob = running.client(), running.client(subject="bob")
    run_id = ana("POST", "runs", {"manifest": GATED, "inputs": {}}).json["runId"]
    plan_hash = running.wait(ana, run_id, "waiting")["planHash"]
    body = {"decision": "approved", "planHash": plan_hash, "summary": SECRET}
    assert bob("POST", f"runs/{run_id}/approvals/security", body).status == 200
    ended(ana, run_id)
    running.rest()
    bus = Bus(refusals=1)
    vars(running.world)["events"] = bus
    batch = {"Records": stream()}

    with pytest.raises(TryAgainError):
        running.invoke("publish_events", batch)
    answer = running.invoke("publish_events", batch)

    events = [event for event in bus.published if event.detail["runId"] == run_id]
    assert answer == {"published": len(bus.published)}
    assert [event.name.value for event in events] == [
        "run.created",
        "run.started",
        "gate.opened",
        "run.waiting",
        "gate.approved",
        "run.resumed",
        "run.failed",
    ]
    assert SECRET not in str(bus.published)


def test_a_record_that_cannot_be_read_does_not_hold_up_the_others(running: Engine) -> None:
    ana = running.client()
    one = pack("- {id: one, run: {uses: builtin:noop}}", name="one")
    run_id = ana("POST", "runs", {"manifest": one, "inputs": {}}).json["runId"]
    ended(ana, run_id)
    running.rest()
    bus = Bus()
    vars(running.world)["events"] = bus
    broken = {
        "eventName": "INSERT",
        "dynamodb": {"Keys": {"pk": {"S": "?"}, "sk": {"S": "J#0"}}, "NewImage": {}},
    }

    running.invoke("publish_events", {"Records": [broken, *stream()]})

    names = [event.name.value for event in bus.published if event.detail["runId"] == run_id]
    assert names == ["run.created", "run.started", "run.succeeded"]
