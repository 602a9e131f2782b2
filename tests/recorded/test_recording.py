"""The packs of packs/ run as they did when this release recorded their journals. See README.md."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.model import journal
from tests.machine.engine import engine as running_engine
from tests.machine.runs import TENANT
from tests.recorded import journals, recording
from tests.recorded.cases import PLAYS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.machine.engine import Engine
    from tests.recorded.recording import Recording

# These depend on the time of the run, or may be worded anew.
_MAY_DIFFER = {"lastTransitionAt", "nextAttemptAt", "errorMessage"}


@pytest.fixture(name="engine", scope="module")
def _engine() -> Iterator[Engine]:
    with running_engine() as engine:
        yield engine


@pytest.mark.parametrize("pack", journals.PACKS, ids=lambda pack: pack.stem)
def test_a_pack_runs_as_this_release_recorded_it(
    pack: Path, engine: Engine, request: pytest.FixtureRequest
) -> None:
    recorded = journals.JOURNALS / journals.current_release() / f"{pack.stem}.json"

    played = _recording_of(engine, PLAYS[pack.stem](engine, pack.read_text(encoding="utf-8")))

    if request.config.getoption("--record") and not recorded.exists():
        recorded.parent.mkdir(exist_ok=True)
        recorded.write_text(recording.to_text(played), encoding="utf-8")
        pytest.fail(f"recorded {recorded.name}: review it")
    assert recorded.exists(), f"{recorded.name} is missing: run pytest --record and review it"
    expected = recording.from_text(recorded.read_text(encoding="utf-8"))
    assert _steps(played) == _steps(expected)
    assert played.state["status"] == expected.state["status"]
    assert _events(played) == _events(expected)


def _recording_of(engine: Engine, run_id: str) -> Recording:
    world = engine.world
    run = world.runs.snapshot(TENANT, run_id).run
    entries = [placed.entry for placed in world.runs.journal(TENANT, run_id)]
    return recording.record(
        run.created_at,
        world.plans.document(TENANT, run.plan_hash),
        [journal.to_document(entry) for entry in entries],
    )


def _steps(played: Recording) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in step.items() if name not in _MAY_DIFFER}
        for step in played.state["steps"]
    ]


def _events(played: Recording) -> Counter[tuple[str, str, tuple[str, ...]]]:
    """The number of entries with each id, event and metadata keys, in any order."""
    return Counter(
        (entry["id"], entry["event"], tuple(sorted(entry.get("metadata", {}))))
        for entry in played.entries
    )
