"""A run, its steps, a log line and an artifact as the API shows them."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

from taskrunner.model import step_path
from taskrunner.model.journal import Position
from taskrunner.model.plan import (
    ApprovalGate,
    Conditional,
    Loop,
    MapStep,
    Parallel,
    PolicyGate,
    RunStep,
)
from taskrunner.model.run import StepStatus
from taskrunner.model.state.children import counts_by_block
from taskrunner.model.worker_view import worker_loss

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskrunner.model.approval import Decision
    from taskrunner.model.artifact import Artifact
    from taskrunner.model.journal import PlacedEntry
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import FailurePolicy, Plan, Step
    from taskrunner.model.run import Run, RunState, StepState
    from taskrunner.model.state.children import Counts

# A page shows this many at once; the steps of a block come page by page.
MAX_STEPS: Final = 1_000
_AT_REST: Final = frozenset({StepStatus.SUCCEEDED, StepStatus.SKIPPED, StepStatus.PENDING})
Members: TypeAlias = "Mapping[str, JsonObject]"
NO_MEMBERS: Final[Members] = {}
_CURSOR: Final = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")


def run_state(run: Run, plan: Plan, state: RunState, members: Members = NO_MEMBERS) -> JsonObject:
    """Return the API's RunStateResponse.

    *members* are those of steps that the run's record does not have, by step path.
    """
    templates = _Templates(plan, members)
    counts = counts_by_block(state)
    shown = _shown(state.steps)
    shown_in = Counter(step.parent_path for step in shown)
    final = {step.id for step in plan.final_steps}
    steps = [
        templates.counted(step, counts)
        | _omitted(counts.get(step.path), shown_in[step.path])
        | ({"phase": "finally"} if step.path in final else {})
        for step in shown
    ]
    omitted = len(state.steps) - len(shown) + sum(_unlisted_steps(state))
    return (
        _run(run, plan, state) | {"steps": steps} | without_none({"stepsOmitted": omitted or None})
    )


def run_children(  # noqa: PLR0913 - the parts of the answer
    run: Run,
    plan: Plan,
    state: RunState,
    block: StepState,
    children: Sequence[StepState],
    *,
    members: Members = NO_MEMBERS,
) -> JsonObject:
    """Return the API's RunStateResponse with *children*, which are some of the steps in *block*.

    *members* are as for `run_state`.
    """
    templates = _Templates(plan, members)
    counts = counts_by_block(state)
    steps = [
        templates.counted(step, counts) | _omitted(counts.get(step.path), 0) for step in children
    ]
    parent = templates.counted(block, counts)
    return _run(run, plan, state) | {"parent": parent, "steps": steps}


def _run(run: Run, plan: Plan, state: RunState) -> JsonObject:
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
        "createdByName": run.created_by_name,
        "rerunOf": run.rerun_of,
        "updatedAt": state.updated_at,
        "startedAt": state.started_at,
        "endedAt": state.ended_at,
    }
    return without_none(view)


class _Templates:
    """The steps of a plan by id, each with the branch of a parallel that it is directly in."""

    def __init__(self, plan: Plan, members: Members) -> None:
        self._plan = plan
        self._members = members
        self._steps = {step.id: step for step in plan.all_steps()}
        self._branches = plan.branches()

    def counted(self, state: StepState, counts: Counts) -> JsonObject:
        """The step, and how many steps directly in it have which status, if it is a block."""
        step_id = state.template_id
        view = step(self._plan, self._steps[step_id], state, self._branches.get(step_id))
        view |= self._members.get(state.path, {})
        if state.path not in counts:
            return view
        return view | {"counts": {status.value: n for status, n in counts[state.path].items() if n}}


def _omitted(counts: Mapping[StepStatus, int] | None, shown: int) -> JsonObject:
    omitted = 0 if counts is None else sum(counts.values()) - shown
    return {"childrenOmitted": omitted} if omitted else {}


def _unlisted_steps(state: RunState) -> Iterator[int]:
    listed = {step.path for step in state.steps}
    for path, unlisted in state.unlisted.items():
        if path in listed:
            yield unlisted.count * len(unlisted.steps)


def _shown(steps: Sequence[StepState]) -> Sequence[StepState]:
    """The most important of *steps*, in their order: about MAX_STEPS in iterations, if so many.

    Steps outside of iterations are all shown. The others are chosen by status, failed ones
    first and then active ones, each with the blocks around it.
    """
    if len(steps) <= MAX_STEPS:
        return steps
    by_path = {step.path: step for step in steps}
    chosen: set[str] = set()
    for step in sorted(steps, key=_importance):
        if len(chosen) >= MAX_STEPS and step_path.is_iterated(step.path):
            break
        around: StepState | None = step
        while around is not None and around.path not in chosen:
            chosen.add(around.path)
            around = by_path.get(around.parent_path or "")
    return [step for step in steps if step.path in chosen]


def _importance(step: StepState) -> int:
    if not step_path.is_iterated(step.path):
        return 0
    if step.status is StepStatus.FAILED:
        return 1
    is_at_rest = step.status in _AT_REST and not step.is_under_way
    return 3 if is_at_rest and not step.is_waiting else 2


def failure_policy(failure: FailurePolicy) -> JsonObject:
    """Return the API's FailurePolicy."""
    return {
        "maxAttempts": failure.retries.max_attempts,
        "backoffSeconds": failure.retries.backoff_s,
        "continueOnError": failure.continue_on_error,
    }


def step(plan: Plan, step: Step, state: StepState, branch: str | None) -> JsonObject:
    """Return the API's RunStateStep of *step*, which is directly in *branch* of a parallel."""
    view: JsonObject = {
        "stepId": state.path,
        "templateId": step.id,
        "parentId": state.parent_path,
        "branch": branch,
        "name": step.name,
        "kind": step.kind.value,
        "enabled": state.enabled,
        "continueOnError": state.continue_on_error,
        "status": state.status.value,
        "attempts": state.attempts,
        "statusReason": None if state.reason is None else state.reason.value,
        "lastTransitionAt": state.last_transition_at,
        "nextAttemptAt": state.next_attempt_at,
        "errorMessage": state.error_message,
    }
    match step:
        case RunStep():
            loss = None if state.last_loss is None else worker_loss(state.last_loss)
            view |= {
                "uses": step.uses,
                "pool": state.pool,
                "worker": state.worker,
                "lastLoss": loss,
            }
        case ApprovalGate():
            message = state.gate_message or step.message
            view |= {"approvalId": step.approval_id, "gateMessage": message}
        case PolicyGate():
            asks = None if step.override is None else plan.approval(step.override).message
            view |= {"approvalId": step.override, "gateMessage": state.gate_message or asks}
        case Parallel() | MapStep():
            view["maxParallel"] = step.max_parallel
        case Loop() | Conditional():
            pass
        case _:
            assert_never(step)
    return without_none(view)


def retries(step: RunStep | PolicyGate) -> JsonObject | None:
    """Return how often and when a step is tried again, or None if it is tried once."""
    return step.retries.document() if step.retries.max_attempts > 1 else None


def approved_by(decision: Decision) -> JsonObject:
    """Return who made a decision, and when."""
    name = {} if decision.approver_name is None else {"approverName": decision.approver_name}
    return {"approver": decision.approver, "decidedAt": decision.decided_at} | name


def log_line(placed: PlacedEntry) -> JsonObject:
    """Return the API's RunLogEntry; a log that continues from its cursor has the next entries."""
    entry = placed.entry
    view: JsonObject = {
        "timestamp": entry.occurred_at,
        "level": entry.level.value,
        "eventType": entry.event.value,
        "message": entry.message,
        "stepId": entry.step_path,
        "metadata": dict(entry.metadata) or None,
        "cursor": cursor(placed.position),
    }
    return without_none(view)


def log_text(placed: PlacedEntry) -> str:
    """Return the line that is served and that evidence signs.

    Another form of it would need a new predicate type: older evidence could not be verified.
    """
    return json.dumps(log_line(placed), ensure_ascii=False) + "\n"


def cursor(position: Position) -> str:
    """Return a position as the API's cursor."""
    return f"{position.chunk}.{position.place}"


def position(cursor: str) -> Position | None:
    """Return the position that `cursor` wrote, or None when it cannot have written that."""
    match = _CURSOR.fullmatch(cursor)
    return None if match is None else Position(int(match[1]), int(match[2]))


def artifact(item: Artifact) -> JsonObject:
    """Return the API's RunArtifact."""
    view: JsonObject = {
        "name": item.name,
        "type": item.type.value,
        "status": item.status.value,
        "stepId": item.step_path,
        "sourcePath": item.source_path,
        "storedPath": item.stored_path,
        "capturedAt": item.captured_at,
        "sizeBytes": item.size_bytes,
        "mediaType": item.media_type,
        "sha256": item.sha256,
        "notes": item.notes,
        "expressionJson": item.expression_json,
    }
    return without_none(view)


def without_none(view: JsonObject) -> JsonObject:
    """Return *view* without the members that are None."""
    return {key: value for key, value in view.items() if value is not None}
