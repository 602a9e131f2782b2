"""docs/events.md describes what is published."""

from __future__ import annotations

import json
import re

import jsonschema_rs
import pytest

from taskrunner.model.approval import Decision, GateOpening, Verdict
from taskrunner.model.entries import gate_entries, job_entries, run_entries
from taskrunner.model.entries.run_entries import Objective
from taskrunner.model.lifecycle import EventName, LifecycleEvent, events_of
from taskrunner.model.run import RunStatus
from tests.contract.samples import a_run
from tests.template import ROOT

PAGE = (ROOT / "docs/events.md").read_text(encoding="utf-8")
AT = "2025-12-06T10:02:01.000Z"
EXAMPLE, SCHEMA, _ = (
    json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
)
DECISION = Decision(verdict=Verdict.APPROVED, approver="bob", decided_at=AT, summary="private")
GATE = GateOpening(step_path="review", opened_at=AT, expires_at=AT)
ENTRIES = [
    run_entries.run_created(a_run()),
    run_entries.run_started(AT),
    job_entries.job_offered("ship", 1, "linux", AT),
    job_entries.worker_lost(
        "ship", 1, "linux", "build-7", AT, losses=0, cause=job_entries.LossCause.SILENT
    ),
    gate_entries.gate_awaiting(GATE, "security", is_override=False),
    gate_entries.gate_decided("review", "security", Verdict.APPROVED, DECISION, AT),
    gate_entries.gate_decided("review", "security", Verdict.REJECTED, DECISION, AT),
    gate_entries.gate_decided("review", "security", Verdict.EXPIRED, DECISION, AT),
    run_entries.slo_breached(Objective.APPROVAL, 900, AT, step_path="review"),
    run_entries.run_completed(AT),
    run_entries.run_failed("step a failed", AT),
    run_entries.run_cancelled(AT),
]
EVENTS = list(events_of(a_run(), RunStatus.QUEUED, ENTRIES))


def test_there_is_an_event_of_every_name() -> None:
    assert {event.name for event in EVENTS} == set(EventName)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_an_event_conforms_to_the_schema_of_the_page(event: LifecycleEvent) -> None:
    jsonschema_rs.validate(SCHEMA, json.loads(json.dumps(event.detail)))


def test_the_example_conforms_and_has_the_members_of_its_event() -> None:
    jsonschema_rs.validate(SCHEMA, EXAMPLE)
    opened = next(event for event in EVENTS if event.name is EventName.GATE_OPENED)

    assert list(EXAMPLE) == list(opened.detail)


def test_the_schema_refuses_a_member_that_the_page_does_not_name() -> None:
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(SCHEMA, {**EXAMPLE, "summary": "private"})


def test_the_table_names_every_event_and_no_others() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE.partition("## Names")[2], re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z]+\.[a-z-]+)`", row)}

    assert named == {name.value for name in EventName}


def test_no_event_has_a_text_of_an_approver() -> None:
    assert "private" not in str(EVENTS)
