"""Every journal that a release has recorded still gives the states that it gave. See README.md."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.model import journal, plan_document
from taskrunner.model.entries import run_entries
from taskrunner.model.journal import Event
from taskrunner.model.plan import StepKind
from taskrunner.model.run import Reason, RunStatus, StepStatus
from taskrunner.model.state.fold import fold
from tests.recorded import journals, recording
from tests.recorded.cases import PLAYS

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.model.journal import Entry
    from taskrunner.model.run import RunState
    from tests.recorded.recording import Recording

ENDED_AT = "2100-01-01T00:00:00.000Z"
ENDS = [
    run_entries.run_cancelled(ENDED_AT),
    run_entries.run_failed("a step failed", ENDED_AT),
    run_entries.run_completed(ENDED_AT),
]
ALL = [path for release in journals.releases() for path in journals.recorded(release)]


def read(path: Path) -> Recording:
    return recording.from_text(path.read_text(encoding="utf-8"))


def folded(recorded: Recording) -> Recording:
    return recording.record(recorded.created_at, recorded.plan, recorded.entries)


@pytest.mark.parametrize("path", ALL, ids=lambda path: f"{path.parent.name}-{path.stem}")
class TestRecordedJournal:
    def test_gives_the_state_that_it_gave_after_each_entry(self, path: Path) -> None:
        recorded = read(path)

        assert folded(recorded).progress == recorded.progress

    def test_gives_the_last_state_that_it_gave(self, path: Path) -> None:
        recorded = read(path)

        assert known(folded(recorded).state, recorded.state) == recorded.state

    def test_is_stored_and_shown_as_it_was(self, path: Path) -> None:
        recorded = read(path)

        now = folded(recorded)

        assert now.entries == recorded.entries
        assert now.log_sha256 == recorded.log_sha256


@pytest.mark.parametrize("path", ALL, ids=lambda path: f"{path.parent.name}-{path.stem}")
@pytest.mark.parametrize("end", [None, *ENDS], ids=lambda end: end.event if end else "later entry")
def test_attempts_never_fall(path: Path, end: Entry | None) -> None:
    """Neither by the next entry nor by any end of the run, wherever in the journal it stands."""
    recorded = read(path)
    plan = plan_document.from_document(recorded.plan)
    entries = [journal.from_document(document) for document in recorded.entries]

    for count in range(len(entries)):
        before = _attempts(fold(plan, entries[:count], recorded.created_at))
        after = _attempts(
            fold(plan, [*entries[:count], end or entries[count]], recorded.created_at)
        )
        fallen = {path for path, attempts in before.items() if after.get(path, 0) < attempts}
        assert not fallen, (count, fallen)


def _attempts(state: RunState) -> dict[str, int]:
    return {step.path: step.attempts for step in state.steps}


def known(now: Any, recorded: Any) -> Any:  # noqa: ANN401 - any JSON
    """The parts of *now* that were there when it was *recorded*; a later release may add some."""
    if isinstance(recorded, dict):
        return {name: known(now[name], value) for name, value in recorded.items()}
    if isinstance(recorded, list):
        return [known(*pair) for pair in zip(now, recorded, strict=True)]
    return now


def test_this_release_has_recorded_every_pack() -> None:
    recorded = {path.stem for path in journals.recorded(journals.current_release())}

    assert {path.stem for path in journals.PACKS} == set(PLAYS) == recorded


def test_the_recorded_journals_of_this_release_contain_everything_a_journal_can_say() -> None:
    events, kinds, reasons, run_statuses, step_statuses = set(), set(), set(), set(), set()
    for path in journals.recorded(journals.current_release()):
        recorded = read(path)
        events |= {entry["event"] for entry in recorded.entries}
        kinds |= {step["kind"] for step in recorded.state["steps"]}
        for change in recorded.progress:
            run_statuses.add(change["run"])
            for status in change["steps"].values():
                step_status, _, reason = status.partition(" ")
                step_statuses.add(step_status)
                reasons.add(reason)

    assert events == set(Event)
    assert kinds == set(StepKind)
    assert reasons - {""} == set(Reason)
    assert run_statuses == set(RunStatus)
    assert step_statuses == set(StepStatus)


def test_a_changed_entry_is_noticed() -> None:
    path = next(path for path in ALL if path.stem == "steps-are-retried")
    recorded = read(path)
    changed = json.loads(path.read_text(encoding="utf-8"))["entries"]
    failed = next(entry for entry in changed if entry["event"] == "step.failed")
    del failed["metadata"]["nextAttemptAt"]

    now = recording.record(recorded.created_at, recorded.plan, changed)

    assert now.progress != recorded.progress
    assert now.state != recorded.state
    assert now.log_sha256 != recorded.log_sha256
