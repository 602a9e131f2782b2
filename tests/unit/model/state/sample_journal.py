"""A small plan, and the entries that its machine may write: where tests of states begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model.approval import Decision, GateOpening, Verdict
from taskrunner.model.entries import gate_entries, run_entries, step_entries
from taskrunner.model.entries.step_entries import AttemptReport, Failure
from taskrunner.model.journal import Entry, Event
from taskrunner.model.plan import (
    ApprovalGate,
    FailurePolicy,
    Plan,
    RunStep,
    Sandbox,
    Slo,
    Template,
)
from taskrunner.model.retries import Retries
from taskrunner.model.run import Reason
from taskrunner.model.state.fold import fold

if TYPE_CHECKING:
    from taskrunner.model.run import RunState, StepState

CREATED_AT = "2025-12-06T12:00:00.000Z"


def at(second: int) -> str:
    return f"2025-12-06T12:00:{second:02d}.000Z"


def a_run_step(step_id: str, *, enabled: bool = True, continue_on_error: bool = False) -> RunStep:
    return RunStep(
        id=step_id,
        enabled=enabled,
        continue_on_error=continue_on_error,
        retries=Retries(),
        timeout_s=600,
        uses="builtin:noop",
        parameters=Template(),
    )


PLAN = Plan(
    pack_name="deploy-app",
    pack_version="1.0.0",
    inputs={},
    failure=FailurePolicy(),
    sandbox=Sandbox(),
    slo=Slo(),
    approvals=(),
    steps=(
        a_run_step("build"),
        ApprovalGate(id="review", approval_id="security", message=None),
        a_run_step("never", enabled=False),
        a_run_step("ship"),
    ),
    outputs=(),
)


def started(path: str, second: int = 1, attempt: int = 1) -> Entry:
    return step_entries.attempt_started(path, attempt, "builtin:noop", at(second))


def completed(path: str, second: int = 2, attempt: int = 1) -> Entry:
    return step_entries.step_completed(path, a_report(attempt), at(second))


def failed(
    path: str,
    second: int = 2,
    *,
    reason: Reason = Reason.EXECUTOR_ERROR,
    retry_at: str | None = None,
) -> Entry:
    failure = Failure(reason, "it broke", retry_at)
    return step_entries.step_failed(path, a_report(), failure, at(second))


def a_report(attempt: int = 1) -> AttemptReport:
    return AttemptReport(attempt=attempt, wall_s=1, cpu_s=1, memory_mib=20, artifacts=())


def awaiting(path: str, second: int = 3, *, is_override: bool = False) -> Entry:
    waiting = GateOpening(step_path=path, opened_at=at(second), expires_at=at(59))
    return gate_entries.gate_awaiting(waiting, "security", is_override=is_override)


def decided(path: str, verdict: Verdict, second: int = 4) -> Entry:
    decision = Decision(verdict=verdict, approver="bob", decided_at=at(second))
    return gate_entries.gate_decided(path, "security", verdict, decision, at(second))


def approval_recorded(path: str, second: int = 4) -> Entry:
    decision = Decision(verdict=Verdict.APPROVED, approver="bob", decided_at=at(second))
    return gate_entries.approval_recorded(path, "security", decision, at(second))


RUN_CREATED = Entry(
    id="run.created", occurred_at=CREATED_AT, event=Event.RUN_CREATED, message="Run created."
)
RUN_STARTED = run_entries.run_started(at(1))
SUCCEEDED = run_entries.run_completed(at(8))
FAILED = run_entries.run_failed("step build failed", at(8), error="StepFailedError")
CANCELLED = run_entries.run_cancelled(at(8))
NOT_SCHEDULED = run_entries.run_not_scheduled(at(8))
RETRYING = failed("build", retry_at=at(9))


def state(*entries: Entry) -> RunState:
    """The state of a run of PLAN."""
    return fold(PLAN, entries, CREATED_AT)


def step(path: str, *entries: Entry) -> StepState:
    """The state of one step in that run."""
    return next(found for found in state(*entries).steps if found.path == path)
