"""A run, a log line and an artifact as the API shows them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, assert_never

from taskrunner.model.plan import (
    ApprovalGate,
    Conditional,
    Loop,
    MapStep,
    Parallel,
    PolicyGate,
    RunStep,
)
from taskrunner.model.run import Reason, StepStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.journal import Placed, Position
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import FailurePolicy, Plan, Step
    from taskrunner.model.run import Run, RunState, StepState


# Lambda answers with 6 MB at most, and a step takes up to 400 bytes.
MOST_SHOWN: Final = 12_000


def run_state(run: Run, plan: Plan, state: RunState) -> JsonObject:
    """The API's RunStateResponse."""
    templates = {step.id: step for step in plan.all_steps()}
    shown = _shown(state.steps)
    view: JsonObject = {
        "runId": run.run_id,
        "tenantId": run.tenant,
        "pack": {"name": run.pack_name, "version": run.pack_version},
        "planHash": run.plan_hash,
        "definitionHash": run.definition_hash,
        "status": state.status.value,
        "failurePolicy": failure_policy(plan.failure),
        "createdAt": run.created_at,
        "createdBy": run.created_by,
        "updatedAt": state.updated_at,
        "startedAt": state.started_at,
        "endedAt": state.ended_at,
        "steps": [_step(templates[told.template_id], told) for told in shown],
        "stepsOmitted": len(state.steps) - len(shown) or None,
    }
    return _without_none(view)


def _shown(steps: Sequence[StepState]) -> Sequence[StepState]:
    """*steps*, or of too many those that matter: what is in no iteration, fails or is under way.

    The others are in the log, which has pages.
    """
    if len(steps) <= MOST_SHOWN:
        return steps
    room = MOST_SHOWN - sum(map(_matters, steps))
    shown: list[StepState] = []
    for step in steps:
        if _matters(step) and len(shown) < MOST_SHOWN:
            shown.append(step)
        elif room > 0:
            room -= 1
            shown.append(step)
    return shown


def _matters(step: StepState) -> bool:
    at_rest = {StepStatus.SUCCEEDED, StepStatus.SKIPPED, StepStatus.PENDING}
    return "::" not in step.step_id or step.status not in at_rest or step.reason is Reason.RETRYING


def failure_policy(failure: FailurePolicy) -> JsonObject:
    """The API's FailurePolicy."""
    return {
        "maxAttempts": failure.retries.max_attempts,
        "backoffSeconds": failure.retries.backoff_s,
        "continueOnError": failure.continue_on_error,
    }


def _step(step: Step, told: StepState) -> JsonObject:
    view: JsonObject = {
        "stepId": told.step_id,
        "templateId": step.id,
        "parentId": told.parent_id,
        "name": step.name,
        "kind": step.kind.value,
        "enabled": told.enabled,
        "continueOnError": told.continue_on_error,
        "status": told.status.value,
        "attempts": told.attempts,
        "statusReason": None if told.reason is None else told.reason.value,
        "lastTransitionAt": told.last_transition_at,
        "nextAttemptAt": told.next_attempt_at,
        "errorMessage": told.error_message,
    }
    match step:
        case RunStep():
            view["uses"] = step.uses
        case ApprovalGate():
            view |= {"approvalId": step.approval_id, "gateMessage": step.message}
        case PolicyGate():
            view["approvalId"] = step.override
        case Parallel() | MapStep():
            view["maxParallel"] = step.max_parallel
        case Loop() | Conditional():
            pass
        case _:
            assert_never(step)
    return _without_none(view)


def log_line(placed: Placed) -> JsonObject:
    """The API's RunLogEntry; its cursor continues behind it."""
    entry = placed.entry
    view: JsonObject = {
        "timestamp": entry.at,
        "level": entry.level.value,
        "eventType": entry.event.value,
        "message": entry.message,
        "stepId": entry.step,
        "metadata": dict(entry.metadata) or None,
        "cursor": cursor(placed.position),
    }
    return _without_none(view)


def log_text(placed: Placed) -> str:
    """The line as it is served and as evidence covers it: a change of it needs new evidence."""
    return json.dumps(log_line(placed), ensure_ascii=False) + "\n"


def cursor(position: Position) -> str:
    """A position as the API's cursor."""
    return f"{position.chunk}.{position.place}"


def artifact(one: Artifact) -> JsonObject:
    """The API's RunArtifact."""
    view: JsonObject = {
        "name": one.name,
        "type": one.type.value,
        "status": one.status.value,
        "sourcePath": one.source_path,
        "storedPath": one.stored_path,
        "capturedAt": one.captured_at,
        "sizeBytes": one.size_bytes,
        "mediaType": one.media_type,
        "sha256": one.sha256,
        "notes": one.notes,
        "expressionJson": one.expression_json,
    }
    return _without_none(view)


def _without_none(view: JsonObject) -> JsonObject:
    return {key: value for key, value in view.items() if value is not None}
