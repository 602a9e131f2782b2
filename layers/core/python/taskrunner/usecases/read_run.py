"""Read runs: their state, log, artifacts, and lists of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.errors import InvalidRequestError, NotFoundError
from taskrunner.model import plan_document
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.fold import fold, without_lost
from taskrunner.model.journal import Position
from taskrunner.model.plan import FileOutput
from taskrunner.model.run import live_status
from taskrunner.runtime import run_view

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.ports.world import World

# Lambda answers with 6 MB at most.
_MOST_BYTES: Final = 4 * 1024 * 1024
_MOST_LINES: Final = 10_000
_CURSOR: Final = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")


class Log(NamedTuple):
    """Lines of a log as NDJSON, and the cursor that continues behind the last of them."""

    text: str
    cursor: str | None


def run_state(tenant: str, run_id: str, world: World) -> JsonObject:
    """The API's RunStateResponse.

    Raises:
        NotFoundError: the tenant has no such run, or retention has begun to take it.
    """
    run = world.runs.head(tenant, run_id).run
    plan = plan_document.from_document(world.plans.get(tenant, run.plan_hash))
    journal = world.runs.journal(tenant, run_id)
    state = fold(plan, (placed.entry for placed in journal), run.created_at)
    if run.outcome is not None:
        state = without_lost(state, world.clock.now())
    return run_view.run_state(run, plan, state)


def run_log(tenant: str, run_id: str, cursor: str | None, limit: int | None, world: World) -> Log:
    """The lines after *cursor*, at most *limit* or as many as fit one answer.

    Without new lines the same cursor comes back.

    Raises:
        NotFoundError: the tenant has no such run.
        InvalidRequestError: the cursor is none of ours.
    """
    after = None if cursor is None else _position(cursor)
    world.runs.head(tenant, run_id)
    lines = []
    size_bytes = 0
    for placed in world.runs.journal(tenant, run_id, after=after, limit=limit or _MOST_LINES):
        text = run_view.log_text(placed)
        size_bytes += len(text.encode())
        if size_bytes > _MOST_BYTES:
            break
        lines.append(text)
        cursor = run_view.cursor(placed.position)
    return Log("".join(lines), cursor)


def _position(cursor: str) -> Position:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        message = "cursor is not one that this log has given out; leave it away to start anew"
        raise InvalidRequestError("invalid_request", message)
    return Position(int(match[1]), int(match[2]))


def run_artifacts(tenant: str, run_id: str, world: World) -> list[JsonObject]:
    """The API's artifact list: what was captured, and what the pack still expects.

    Raises:
        NotFoundError: the tenant has no such run, or retention has begun to take it.
    """
    run = world.runs.head(tenant, run_id).run
    captured = {artifact.name: artifact for artifact in world.artifacts.list(tenant, run_id)}
    if run.outcome is None:
        plan = plan_document.from_document(world.plans.get(tenant, run.plan_hash))
        for output in plan.outputs:
            is_file = isinstance(output, FileOutput)
            expected = Artifact(
                name=output.name,
                type=ArtifactType.FILE if is_file else ArtifactType.OBJECT,
                status=ArtifactStatus.PENDING,
                source_path=output.path if isinstance(output, FileOutput) else None,
            )
            captured.setdefault(output.name, expected)
    return [run_view.artifact(captured[name]) for name in sorted(captured)]


def artifact_url(tenant: str, run_id: str, name: str, world: World) -> str:
    """Where the artifact's file can be fetched for five minutes.

    Raises:
        NotFoundError: there is no such run, or no such file in it.
    """
    world.runs.head(tenant, run_id)
    for artifact in world.artifacts.list(tenant, run_id):
        if artifact.name == name and artifact.stored_path is not None:
            return world.artifacts.download_url(tenant, artifact)
    raise NotFoundError(f"file of an artifact {name} in run {run_id}")


def list_runs(tenant: str, limit: int, cursor: str | None, world: World) -> JsonObject:
    """The tenant's runs, the newest first."""
    page = world.runs.list(tenant, limit, cursor)
    runs = [_with_status(tenant, summary, world) for summary in page.items]
    return {"runs": runs, **({"nextCursor": page.cursor} if page.cursor else {})}


def _with_status(tenant: str, summary: JsonObject, world: World) -> JsonObject:
    """One read more for each run that has not ended; an ended one says so itself."""
    outcome = summary.get("outcome")
    if outcome is None:
        head = world.runs.head(tenant, summary["runId"])
        outcome = head.run.outcome or live_status(placed.entry for placed in head.tail)
    rest = {key: value for key, value in summary.items() if key != "outcome"}
    return rest | {"status": str(outcome)}


def list_approvals(tenant: str, limit: int, cursor: str | None, world: World) -> JsonObject:
    """The tenant's approvals that wait for a decision, the oldest first."""
    page = world.approvals.list_open(tenant, limit, cursor)
    return {"approvals": list(page.items), **({"nextCursor": page.cursor} if page.cursor else {})}
