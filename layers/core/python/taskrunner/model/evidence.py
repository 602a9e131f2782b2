"""The signed statement about a run that has ended: an in-toto Statement v1 with our predicate.

It is made of the record alone: the plan, the journal up to the entry that ended the run, and the
artifacts. Making it again therefore makes the same bytes. It does not contain the signer's clock,
nor later entries, such as the end of a step that ran beside the failed one.

docs/evidence.md defines each field and digest for verifiers.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from taskrunner.model import canonical_json
from taskrunner.model.artifact import ArtifactStatus
from taskrunner.model.entries.flow_entries import PolicyEvaluated
from taskrunner.model.entries.gate_entries import DecisionRecorded
from taskrunner.model.entries.reading import read
from taskrunner.model.entries.run_entries import RunEnded
from taskrunner.model.journal import Event
from taskrunner.model.machine_call import machine_of
from taskrunner.model.plan import RunStep
from taskrunner.model.state.fold import fold
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import Run, RunState, StepState

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://stellaops.io/attestations/task-run/v1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
MEDIA_TYPE: Final = "application/vnd.dsse.envelope.v1+json"

_STARTS: Final = frozenset({Event.STEP_STARTED, Event.GATE_AWAITING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The covered lines of the log as the API serves them: their number and SHA-256 in hex."""

    lines: int
    sha256: str


def covered(entries: Sequence[Entry]) -> int:
    """Return how many of *entries*, from the first on, the evidence of their run covers.

    Raises:
        ValueError: no entry ends the run.
    """
    for number, entry in enumerate(entries, start=1):
        if isinstance(read(entry), RunEnded):
            return number
    raise ValueError("the journal has no entry that ends the run")


def statement(
    run: Run, plan: Plan, entries: Sequence[Entry], log: Log, artifacts: Iterable[Artifact]
) -> JsonObject:
    """Return the statement about *run*, without nulls; *log* describes its covered *entries*."""
    listed = sorted(artifacts, key=lambda artifact: artifact.name)
    state = fold(plan, entries, run.created_at)
    facts = [(entry, read(entry)) for entry in entries]
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": "plan", "digest": {"sha256": run.plan_hash.removeprefix("sha256:")}},
            {"name": "journal", "digest": {"sha256": log.sha256}},
            *(
                {"name": f"artifacts/{a.name}", "digest": {"sha256": content_digest(a)}}
                for a in listed
                if a.status is ArtifactStatus.CAPTURED
            ),
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "run": _run(run, state),
            "pack": {"name": run.pack_name, "version": run.pack_version},
            "planHash": run.plan_hash,
            "definitionHash": run.definition_hash,
            "inputsDigest": canonical_json.digest(dict(plan.inputs)),
            "steps": _steps(state, plan, entries),
            "approvals": [
                _approval(run, entry, fact)
                for entry, fact in facts
                if isinstance(fact, DecisionRecorded)
            ],
            "policies": [
                _policy(entry, fact) for entry, fact in facts if isinstance(fact, PolicyEvaluated)
            ],
            "artifacts": [_artifact(artifact) for artifact in listed],
            "journal": {"lines": log.lines, "sha256": log.sha256},
        },
    }


def content_digest(artifact: Artifact) -> str:
    """Return the SHA-256 in hex of a captured artifact: a file's content, or a value's text."""
    return artifact.sha256 or hashlib.sha256((artifact.expression_json or "").encode()).hexdigest()


def _run(run: Run, state: RunState) -> JsonObject:
    return _without_none(
        {
            "id": run.run_id,
            "tenant": run.tenant,
            "createdBy": run.created_by,
            "createdByName": run.created_by_name,
            "createdAt": run.created_at,
            "startedAt": state.started_at,
            "endedAt": state.ended_at,
            "outcome": state.status.value,
        }
    )


def _steps(state: RunState, plan: Plan, entries: Sequence[Entry]) -> list[JsonObject]:
    started: dict[str, str] = {}
    for entry in entries:
        if entry.step_path is not None and entry.event in _STARTS:
            started.setdefault(entry.step_path, entry.occurred_at)
    return [_step(step, started.get(step.path)) | _called(step, plan) for step in state.steps]


def _step(step: StepState, started_at: str | None) -> JsonObject:
    return _without_none(
        {
            "path": step.path,
            "kind": step.kind.value,
            "status": step.status.value,
            "reason": None if step.reason is None else step.reason.value,
            "attempts": step.attempts,
            "pool": step.pool if step.worker is not None else None,
            "worker": step.worker,
            "startedAt": started_at,
            "lastTransitionAt": step.last_transition_at,
        }
    )


def _called(step: StepState, plan: Plan) -> JsonObject:
    """Return the machine that a step has called, and the name of the last attempt's execution."""
    template = plan.step(step.template_id)
    machine = machine_of(template.uses) if isinstance(template, RunStep) else None
    if machine is None or step.execution is None:
        return {}
    return {"machine": machine, "execution": step.execution}


def _approval(run: Run, entry: Entry, decided: DecisionRecorded) -> JsonObject:
    """Return a decision. It is settled if it gave the approval its verdict."""
    return _without_none(
        {
            "approvalId": decided.approval_id,
            "step": entry.step_path,
            "decision": decided.verdict.value,
            "settled": decided.is_final,
            "approver": decided.approver,
            "approverName": decided.approver_name,
            "actorId": decided.actor,
            "summary": decided.summary,
            "at": entry.occurred_at,
            "planHash": run.plan_hash,
        }
    )


def _policy(entry: Entry, evaluated: PolicyEvaluated) -> JsonObject:
    return _without_none(
        {
            "step": entry.step_path,
            "policyId": evaluated.policy_id,
            "policyVersion": evaluated.policy_version,
            "attempt": evaluated.attempt,
            "verdict": evaluated.verdict.value,
            "at": entry.occurred_at,
        }
    )


def _artifact(artifact: Artifact) -> JsonObject:
    is_captured = artifact.status is ArtifactStatus.CAPTURED
    return _without_none(
        {
            "name": artifact.name,
            "type": artifact.type.value,
            "status": artifact.status.value,
            "step": artifact.step_path,
            "sha256": content_digest(artifact) if is_captured else None,
            "sizeBytes": artifact.size_bytes,
            "mediaType": artifact.media_type,
            "sourcePath": artifact.source_path,
            "capturedAt": artifact.captured_at,
            "notes": artifact.notes,
        }
    )


def _without_none(document: JsonObject) -> JsonObject:
    return {key: value for key, value in document.items() if value is not None}
