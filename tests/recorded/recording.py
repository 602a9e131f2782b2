"""A recorded journal: a run's plan, its entries as they are stored, and the states they give.

*progress* has the run's status and the steps whose status changed: first those of the empty
journal, then those after each entry. A step's status reads `Failed executor-error`. *state* is the
last state in full. *log_sha256* is the digest of the log lines that are served, and that evidence
of the run has signed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from taskrunner.model import journal, plan_document
from taskrunner.model.api_view import log_text
from taskrunner.model.journal import PlacedEntry, Position
from taskrunner.model.state.fold import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskrunner.model.journal import Entry
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import RunState, StepState

CHUNK_ENTRIES: Final = 8


@dataclass(frozen=True)
class Recording:
    """A journal with what a release made of it. Every member is JSON."""

    created_at: str
    plan: dict[str, Any]
    entries: list[dict[str, Any]]
    progress: list[dict[str, Any]]
    state: dict[str, Any]
    log_sha256: str


def from_text(text: str) -> Recording:
    """Read what `to_text` wrote."""
    document = json.loads(text)
    return Recording(
        created_at=document["createdAt"],
        plan=document["plan"],
        entries=document["entries"],
        progress=document["progress"],
        state=document["state"],
        log_sha256=document["logSha256"],
    )


def to_text(recording: Recording) -> str:
    """Write *recording* as its file has it: an item of a list is a line."""
    document = {
        "createdAt": recording.created_at,
        "plan": recording.plan,
        "entries": recording.entries,
        "progress": recording.progress,
        "state": recording.state,
        "logSha256": recording.log_sha256,
    }
    return _object(document, depth=1) + "\n"


def _object(document: dict[str, Any], depth: int) -> str:
    members = (f"{json.dumps(name)}: {_value(value, depth)}" for name, value in document.items())
    return _lines("{", members, "}", depth)


def _value(value: Any, depth: int) -> str:  # noqa: ANN401 - any JSON
    if isinstance(value, dict) and any(isinstance(member, list) for member in value.values()):
        return _object(value, depth + 1)
    if isinstance(value, list):
        items = (json.dumps(item, ensure_ascii=False) for item in value)
        return _lines("[", items, "]", depth + 1)
    return json.dumps(value, ensure_ascii=False)


def _lines(opening: str, items: Iterable[str], closing: str, depth: int) -> str:
    indent = " " * depth
    inside = ",\n".join(indent + item for item in items)
    return f"{opening}\n{inside}\n{indent[1:]}{closing}" if inside else opening + closing


def record(created_at: str, plan: dict[str, Any], entries: list[dict[str, Any]]) -> Recording:
    """Fold a journal with the code as it is now."""
    decoded_plan = plan_document.from_document(plan)
    decoded = [journal.from_document(document) for document in entries]
    return Recording(
        created_at=created_at,
        plan=plan,
        entries=[journal.to_document(entry) for entry in decoded],
        progress=_progress(decoded_plan, decoded, created_at),
        state=_run(fold(decoded_plan, decoded, created_at)),
        log_sha256=_log_sha256(decoded),
    )


def _progress(plan: Plan, entries: Sequence[Entry], created_at: str) -> list[dict[str, Any]]:
    changes = []
    before: dict[str, str] = {}
    for count in range(len(entries) + 1):
        state = fold(plan, entries[:count], created_at)
        after = {step.path: _status(step) for step in state.steps}
        changed = {path: status for path, status in after.items() if before.get(path) != status}
        changes.append({"run": state.status.value, "steps": changed})
        before = after
    return changes


def _status(step: StepState) -> str:
    return step.status.value if step.reason is None else f"{step.status} {step.reason}"


def _run(state: RunState) -> dict[str, Any]:
    return {
        "status": state.status.value,
        "startedAt": state.started_at,
        "endedAt": state.ended_at,
        "updatedAt": state.updated_at,
        "steps": [_step(step) for step in state.steps],
    }


def _step(step: StepState) -> dict[str, Any]:
    return {
        "path": step.path,
        "templateId": step.template_id,
        "parent": step.parent_path,
        "kind": step.kind.value,
        "enabled": step.enabled,
        "continueOnError": step.continue_on_error,
        "status": step.status.value,
        "reason": None if step.reason is None else step.reason.value,
        "attempts": step.attempts,
        "lastTransitionAt": step.last_transition_at,
        "nextAttemptAt": step.next_attempt_at,
        "errorMessage": step.error_message,
    }


def _log_sha256(entries: Sequence[Entry]) -> str:
    digest = hashlib.sha256()
    for number, entry in enumerate(entries):
        position = Position(*divmod(number, CHUNK_ENTRIES))
        digest.update(log_text(PlacedEntry(position, entry)).encode())
    return digest.hexdigest()
