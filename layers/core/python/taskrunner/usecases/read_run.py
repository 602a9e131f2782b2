"""Read runs: their logs and artifacts, lists of them, and the open approvals."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.errors import InvalidRequestError, NotFoundError
from taskrunner.model import api_view
from taskrunner.model.approval import refusal_to_approve
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.artifact_names import distinct_names
from taskrunner.model.plan import Approval, FileOutput
from taskrunner.model.plan_order import PlanOrder

if TYPE_CHECKING:
    from taskrunner.model.approval import ApprovalRecord
    from taskrunner.model.caller import Caller
    from taskrunner.model.journal import Position
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Output
    from taskrunner.model.run_filters import RunFilters
    from taskrunner.ports import World

# Lambda answers with at most 6 MB.
_MAX_BYTES: Final = 4 * 1024 * 1024
_MAX_LINES: Final = 10_000


class Log(NamedTuple):
    """Lines of a log as NDJSON, and the cursor that reads on after the last of them."""

    text: str
    cursor: str | None


def run_log(tenant: str, run_id: str, cursor: str | None, limit: int | None, world: World) -> Log:
    """Return the lines after *cursor*: at most *limit*, or as many as fit into one answer.

    When there are none, the answer has the same cursor.

    Raises:
        NotFoundError: the tenant has no such run.
        InvalidRequestError: no log has given out that cursor.
    """
    after = None if cursor is None else _position(cursor)
    world.runs.snapshot(tenant, run_id)
    lines = []
    size_bytes = 0
    for placed in world.runs.journal(tenant, run_id, after=after, limit=limit or _MAX_LINES):
        text = api_view.log_text(placed)
        size_bytes += len(text.encode())
        if size_bytes > _MAX_BYTES:
            break
        lines.append(text)
        cursor = api_view.cursor(placed.position)
    return Log("".join(lines), cursor)


def run_log_end(
    tenant: str, run_id: str, count: int, world: World, *, before: str | None = None
) -> Log:
    """Return the last *count* lines in the log's order, or as many of them as fit into one answer.

    With the cursor *before*, they are the last ones before its line.

    Raises:
        NotFoundError: the tenant has no such run.
        InvalidRequestError: no log has given out that cursor.
    """
    position = None if before is None else _position(before)
    world.runs.snapshot(tenant, run_id)
    entries = world.runs.journal_end(tenant, run_id, count, before=position)
    lines: list[str] = []
    size_bytes = 0
    for placed in reversed(entries):
        text = api_view.log_text(placed)
        size_bytes += len(text.encode())
        if size_bytes > _MAX_BYTES:
            break
        lines.append(text)
    cursor = api_view.cursor(entries[-1].position) if entries else None
    return Log("".join(reversed(lines)), cursor)


def _position(cursor: str) -> Position:
    position = api_view.position(cursor)
    if position is None:
        message = "cursor is not one that this log has given out; omit it to start over"
        raise InvalidRequestError("invalid_request", message)
    return position


def run_artifacts(tenant: str, run_id: str, world: World) -> list[JsonObject]:
    """Return the API's list of artifacts: those captured, and those that the pack still expects.

    Raises:
        NotFoundError: the tenant has no such run, or retention has begun to delete it.
    """
    run = world.runs.snapshot(tenant, run_id).run
    plan = world.plans.get(tenant, run.plan_hash)
    artifacts = list(world.artifacts.list(tenant, run_id))
    if run.outcome is None:
        captured = {artifact.name for artifact in artifacts}
        artifacts += [_expected(o) for o in plan.outputs if o.name not in captured]
    named = distinct_names(artifacts, PlanOrder(plan))
    return [api_view.artifact(replace(named[name], name=name)) for name in sorted(named)]


def _expected(output: Output) -> Artifact:
    pending = ArtifactStatus.PENDING
    if isinstance(output, FileOutput):
        return Artifact(
            name=output.name, type=ArtifactType.FILE, status=pending, source_path=output.path
        )
    return Artifact(name=output.name, type=ArtifactType.OBJECT, status=pending)


def artifact_url(tenant: str, run_id: str, name: str, world: World) -> str:
    """Return a URL at which the artifact's content can be fetched for five minutes.

    Raises:
        NotFoundError: there is no such run, it has no such artifact, or that was not captured.
    """
    artifact = _captured(tenant, run_id, name, world)
    return world.artifacts.download_url(tenant, artifact)


def artifact_link(
    tenant: str, run_id: str, name: str, world: World, *, with_content: bool = False
) -> JsonObject:
    """Return the API's ArtifactLink, with the content if it is asked for and not too large.

    Raises:
        NotFoundError: as for `artifact_url`, or retention has deleted the content.
    """
    artifact = _captured(tenant, run_id, name, world)
    link: JsonObject = {"url": world.artifacts.download_url(tenant, artifact)}
    if not with_content or artifact.size_bytes is None or artifact.size_bytes > _MAX_BYTES:
        return link
    content = world.artifacts.content(tenant, artifact)
    if content is None:
        raise NotFoundError(f"content of the artifact {name} in run {run_id}")
    return link | {"content": base64.b64encode(content).decode()}


def _captured(tenant: str, run_id: str, name: str, world: World) -> Artifact:
    plan = world.plans.get(tenant, world.runs.snapshot(tenant, run_id).run.plan_hash)
    named = distinct_names(world.artifacts.list(tenant, run_id), PlanOrder(plan))
    artifact = named.get(name)
    if artifact is None or artifact.stored_path is None:
        raise NotFoundError(f"file of an artifact {name} in run {run_id}")
    return artifact


def list_runs(
    tenant: str, limit: int, cursor: str | None, filters: RunFilters, world: World
) -> JsonObject:
    """Return the tenant's runs that *filters* admit, the newest first."""
    page = world.runs.list(tenant, limit, cursor, filters)
    return {"runs": list(page.items), **_next_cursor(page.cursor)}


def list_approvals(
    tenant: str, limit: int, cursor: str | None, caller: Caller, world: World
) -> JsonObject:
    """Return the approvals that wait, the oldest first, and whether *caller* may decide each."""
    page = world.approvals.list_open(tenant, limit, cursor)
    open_approvals = zip(page.items, page.records, strict=True)
    listed = [
        {**summary, **_approvers(record), **_standing(summary, record, caller)}
        for summary, record in open_approvals
    ]
    return {"approvals": listed, **_next_cursor(page.cursor)}


def _approvers(record: ApprovalRecord) -> JsonObject:
    decisions = [{"approver": d.approver, "decidedAt": d.decided_at} for d in record.decisions]
    return {"approvedBy": decisions}


def _standing(summary: JsonObject, record: ApprovalRecord, caller: Caller) -> JsonObject:
    """Return whether *caller* may approve; nothing for an approval that version 0.1 opened."""
    if "minApprovals" not in summary:
        return {}
    approval = Approval(
        id=summary["approvalId"],
        grants=tuple(summary["grants"]),
        min_approvals=summary["minApprovals"],
        distinct_from_requester=summary["distinctFromRequester"],
    )
    requester = summary["requestedBy"]
    refusal = refusal_to_approve(approval, record, caller=caller, requester=requester)
    if refusal is None:
        return {"canDecide": True}
    reason = {"code": refusal.code.value, "message": refusal.message}
    return {"canDecide": False, "cannotDecideReason": reason}


def _next_cursor(cursor: str | None) -> JsonObject:
    return {} if cursor is None else {"nextCursor": cursor}
