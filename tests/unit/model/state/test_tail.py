"""The status of a run from the last chunk of its journal alone."""

from __future__ import annotations

import pytest

from taskrunner.model.approval import Verdict
from taskrunner.model.entries import step_entries
from taskrunner.model.state import tail
from tests.unit.model.state.sample_journal import (
    CREATED_AT,
    RETRYING,
    RUN_CREATED,
    RUN_STARTED,
    approval_recorded,
    awaiting,
    completed,
    decided,
    started,
    state,
)

CREATION = [RUN_CREATED, step_entries.step_skipped("never", CREATED_AT, when_planned=True)]
# The entries that a machine writes. The journal may end after any of them.
STORY = [
    *CREATION,
    RUN_STARTED,
    started("build"),
    RETRYING,
    started("build", 3, attempt=2),
    completed("build", 4, attempt=2),
    awaiting("review"),
    *[approval_recorded("review", second) for second in range(10, 20)],
    decided("review", Verdict.APPROVED, 21),
    started("ship", 22),
]


@pytest.mark.parametrize("length", range(1, len(STORY) + 1))
def test_the_last_chunk_gives_the_status_that_the_whole_journal_gives(length: int) -> None:
    story = STORY[:length]
    last_chunk = story[(length - 1) // 8 * 8 :]

    assert tail.status(last_chunk) is state(*story).status


def test_a_run_has_started_once_its_journal_holds_more_than_its_creation() -> None:
    assert not tail.has_started([])
    assert not tail.has_started(CREATION)
    assert tail.has_started([*CREATION, RUN_STARTED])
