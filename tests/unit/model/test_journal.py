from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model.journal import (
    Entry,
    Event,
    Level,
    Position,
    from_document,
    to_document,
)

ENTRY = Entry(
    id="ship#1#started",
    occurred_at="2025-12-06T12:00:00.000Z",
    event=Event.STEP_STARTED,
    message="Starting step: ship",
    step_path="ship",
    metadata={"attempt": "1"},
)
_entries = st.builds(
    Entry,
    id=st.text(),
    occurred_at=st.text(),
    event=st.sampled_from(Event),
    message=st.text(),
    level=st.sampled_from(Level),
    step_path=st.none() | st.text(),
    metadata=st.dictionaries(st.text(), st.text()),
)


@given(entry=_entries)
def test_reads_the_entry_that_it_wrote(entry: Entry) -> None:
    assert from_document(json.loads(json.dumps(to_document(entry)))) == entry


def test_a_document_has_the_members_of_the_entry() -> None:
    assert to_document(ENTRY) == {
        "id": "ship#1#started",
        "at": "2025-12-06T12:00:00.000Z",
        "event": "step.started",
        "message": "Starting step: ship",
        "level": "info",
        "step": "ship",
        "metadata": {"attempt": "1"},
    }


def test_a_document_omits_a_step_path_and_metadata_that_the_entry_lacks() -> None:
    document = {"id": "a", "at": "b", "event": "run.started", "message": "c", "level": "warn"}
    entry = Entry(id="a", occurred_at="b", event=Event.RUN_STARTED, message="c", level=Level.WARN)

    assert from_document(document) == entry
    assert to_document(entry) == document


@pytest.mark.parametrize(
    ("earlier", "later"),
    [((0, 0), (0, 1)), ((0, 9), (1, 0)), ((9, 9), (10, 0)), ((0, 9), (0, 10))],
)
def test_positions_sort_in_the_order_of_the_journal(
    earlier: tuple[int, int], later: tuple[int, int]
) -> None:
    assert Position(*earlier) < Position(*later)
