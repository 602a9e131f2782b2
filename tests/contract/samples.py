"""Runs, journal entries and artifacts, as the contracts of ports record them."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.journal import Entry, Event
from taskrunner.model.run import Run

if TYPE_CHECKING:
    from taskrunner.ports import RunSnapshot
    from tests.contract.ports import Ports

_numbers = count(1)


def a_run(run_id: str = "", **changes: Any) -> Run:  # noqa: ANN401 - any field
    """Return a new run of the tenant acme."""
    number = next(_numbers)
    fields: dict[str, Any] = {
        "tenant": "acme",
        "run_id": run_id or f"run-{number}",
        "plan_hash": "sha256:" + "a" * 64,
        "definition_hash": "sha256:" + "b" * 64,
        "pack_name": "deploy-app",
        "pack_version": "1.4.0",
        "machine": "taskrunner-deploy-app-bbbbbbbbbbbbbbbb",
        "execution": f"execution-{number}",
        "created_at": "2025-12-06T12:00:00.000Z",
        "created_by": "ana",
        "created_by_name": "nightly-build",
        "request_digest": "sha256:" + "c" * 64,
        "distributed": ("each",),
        "longest_s": 3600,
    }
    return Run(**(fields | changes))


def an_entry(entry_id: str, event: Event = Event.STEP_STARTED, **changes: Any) -> Entry:  # noqa: ANN401
    fields: dict[str, Any] = {
        "id": entry_id,
        "occurred_at": "2025-12-06T12:00:00.000Z",
        "event": event,
        "message": f"It is {entry_id}.",
    }
    return Entry(**(fields | changes))


CREATED = an_entry("run.created", Event.RUN_CREATED)
CANCELLED = an_entry("run.cancelled", Event.RUN_CANCELLED)
ENDED = an_entry("run.ended", Event.RUN_COMPLETED)


def a_file(name: str = "report") -> Artifact:
    """Return a captured file that is not stored yet."""
    return Artifact(
        name=name,
        type=ArtifactType.FILE,
        status=ArtifactStatus.CAPTURED,
        source_path=f"/output/{name}.json",
        captured_at="2025-12-06T12:00:00.000Z",
        media_type="application/json",
    )


def new_run(world: Ports, run: Run | None = None) -> RunSnapshot:
    """Record *run*, or a new one, and return its snapshot."""
    run = run or a_run()
    assert world.runs.create(run, [CREATED])
    return world.runs.snapshot(run.tenant, run.run_id)


def entry_ids(world: Ports, run: Run) -> list[str]:
    """Return the ids of all entries of a run's journal."""
    return [placed.entry.id for placed in world.runs.journal(run.tenant, run.run_id)]
