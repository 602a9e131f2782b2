"""Each kind of entry: what is stored of it, which never changes, and what is read of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model import journal
from taskrunner.model.approval import Decision, GateOpening, Verdict
from taskrunner.model.entries import (
    flow_entries,
    gate_entries,
    job_entries,
    run_entries,
    step_entries,
)
from taskrunner.model.entries.flow_entries import (
    DecisionKind,
    Evaluation,
    FlowDecided,
    PolicyEvaluated,
    ValueKept,
)
from taskrunner.model.entries.gate_entries import DecisionRecorded, GateOpened
from taskrunner.model.entries.job_entries import JobOffered, OutputWritten, WorkerLost
from taskrunner.model.entries.reading import read
from taskrunner.model.entries.run_entries import (
    CancelRequested,
    Objective,
    RunCreated,
    RunEnded,
    RunStarted,
    SloBreached,
    StepsEnded,
    StepsFailed,
)
from taskrunner.model.entries.step_entries import (
    AttemptDeferred,
    AttemptReport,
    AttemptStarted,
    Failure,
    StepCompleted,
    StepFailed,
    StepSkipped,
)
from taskrunner.model.flow import PolicyVerdict
from taskrunner.model.journal import Entry, Event
from taskrunner.model.plan import Policy
from taskrunner.model.run import Reason, Run, RunStatus
from tests.sources import calls, readers

if TYPE_CHECKING:
    from taskrunner.model.entries.reading import Fact
    from taskrunner.model.json_types import JsonObject

AT = "2025-12-06T12:00:00.000Z"
LATER = "2025-12-06T12:00:09.000Z"
RUN = Run(
    tenant="acme",
    run_id="run-7",
    plan_hash="sha256:a",
    definition_hash="sha256:b",
    pack_name="deploy-app",
    pack_version="1.0.0",
    machine="machine",
    execution="execution",
    created_at=AT,
    created_by="ana",
    request_digest="sha256:c",
)
REPORT = AttemptReport(attempt=2, wall_s=1.5, cpu_s=0.25, memory_mib=20, artifacts=("log", "zip"))
NO_FILES = REPORT._replace(artifacts=())
USAGE = {"attempt": "2", "duration": "1.500s", "cpu": "0.250s", "memory": "20MiB"}
WAITING = GateOpening(step_path="each[0]::review", opened_at=AT, expires_at=LATER)
APPROVED = Decision(
    verdict=Verdict.APPROVED, approver="bob", decided_at=AT, actor="user:bob", summary="looks good"
)
EXPIRED = Decision(verdict=Verdict.EXPIRED, approver="clock", decided_at=AT)
DECIDED_BY_BOB = {
    "approvalId": "security",
    "approver": "bob",
    "actorId": "user:bob",
    "summary": "looks good",
}
WINDOW = Policy(id="window", version="3")


def evaluated(verdict: PolicyVerdict, *failures: str, retry_at: str | None = None) -> Entry:
    evaluation = Evaluation(WINDOW, 2, verdict, failures, retry_at)
    return flow_entries.policy_evaluated("window", evaluation, AT)


def policy_metadata(verdict: str, **more: str) -> dict[str, str]:
    policy = {"attempt": "2", "policyId": "window", "policyVersion": "3"}
    return {**policy, "ask": "policy", "value": verdict, **more}


def policy_fact(
    verdict: PolicyVerdict, message: str, next_attempt_at: str | None = None
) -> PolicyEvaluated:
    return PolicyEvaluated(verdict, 2, "window", "3", message, next_attempt_at)


# Each kind: the entry, what is stored of it beside its time, and what is read of it.
KINDS: dict[str, tuple[Entry, JsonObject, Fact]] = {
    "run created": (
        run_entries.run_created(RUN),
        {
            "id": "run.created",
            "event": "run.created",
            "message": "Run created via API.",
            "level": "info",
            "metadata": {"planHash": "sha256:a", "requestedAt": AT, "by": "ana"},
        },
        RunCreated("ana"),
    ),
    "run created by a caller with a name": (
        run_entries.run_created(replace(RUN, created_by_name="release-bot")),
        {
            "id": "run.created",
            "event": "run.created",
            "message": "Run created via API.",
            "level": "info",
            "metadata": {
                "planHash": "sha256:a",
                "requestedAt": AT,
                "by": "ana",
                "byName": "release-bot",
            },
        },
        RunCreated("ana"),
    ),
    "run started": (
        run_entries.run_started(AT),
        {"id": "run.started", "event": "run.started", "message": "Run started.", "level": "info"},
        RunStarted(AT),
    ),
    "objective of the run breached": (
        run_entries.slo_breached(Objective.RUN, 300, AT),
        {
            "id": "run.slo-breached",
            "event": "run.slo-breached",
            "message": "The run takes longer than 300 seconds, the pack's runP95Seconds.",
            "level": "warn",
            "metadata": {"objective": "runP95Seconds", "limitSeconds": "300"},
        },
        SloBreached(Objective.RUN, 300),
    ),
    "objective of a gate breached": (
        run_entries.slo_breached(Objective.APPROVAL, 900, AT, step_path="review"),
        {
            "id": "review#slo-breached",
            "event": "run.slo-breached",
            "message": (
                "The gate review waits longer than 900 seconds, the pack's approvalP95Seconds."
            ),
            "level": "warn",
            "step": "review",
            "metadata": {"objective": "approvalP95Seconds", "limitSeconds": "900"},
        },
        SloBreached(Objective.APPROVAL, 900),
    ),
    "steps failed": (
        run_entries.steps_failed("step build failed", AT, step="build"),
        {
            "id": "run.steps-failed",
            "event": "run.steps-failed",
            "message": (
                "The steps failed: step build failed. No other step starts before finally."
            ),
            "level": "error",
            "metadata": {"step": "build"},
        },
        StepsFailed("build", None, AT),
    ),
    "steps stopped": (
        run_entries.steps_failed("their execution ended with ABORTED", AT, error="ABORTED"),
        {
            "id": "run.steps-failed",
            "event": "run.steps-failed",
            "message": (
                "The steps failed: their execution ended with ABORTED. "
                "No other step starts before finally."
            ),
            "level": "error",
            "metadata": {"error": "ABORTED"},
        },
        StepsFailed(None, "ABORTED", AT),
    ),
    "steps ended": (
        run_entries.steps_ended(RunStatus.SUCCEEDED, AT),
        {
            "id": "run.steps-ended",
            "event": "run.steps-ended",
            "message": "The steps have succeeded. Finally begins.",
            "level": "info",
            "metadata": {"status": "succeeded"},
        },
        StepsEnded(RunStatus.SUCCEEDED, AT),
    ),
    "cancel requested by a caller with a name": (
        run_entries.cancel_requested("bob", AT, name="release-bot"),
        {
            "id": "run.cancel-requested",
            "event": "run.cancel-requested",
            "message": "Cancellation requested via API.",
            "level": "info",
            "metadata": {"by": "bob", "byName": "release-bot"},
        },
        CancelRequested("bob", "release-bot"),
    ),
    "cancel requested": (
        run_entries.cancel_requested("bob", AT),
        {
            "id": "run.cancel-requested",
            "event": "run.cancel-requested",
            "message": "Cancellation requested via API.",
            "level": "info",
            "metadata": {"by": "bob"},
        },
        CancelRequested("bob"),
    ),
    "run cancelled": (
        run_entries.run_cancelled(AT),
        {
            "id": "run.cancelled",
            "event": "run.cancelled",
            "message": "Run cancelled.",
            "level": "warn",
        },
        RunEnded(RunStatus.CANCELLED, AT),
    ),
    "run completed": (
        run_entries.run_completed(AT),
        {"id": "run.ended", "event": "run.completed", "message": "Run completed.", "level": "info"},
        RunEnded(RunStatus.SUCCEEDED, AT),
    ),
    "run failed": (
        run_entries.run_failed("step build failed", AT, error="StepFailedError"),
        {
            "id": "run.ended",
            "event": "run.failed",
            "message": "Run failed: step build failed.",
            "level": "error",
            "metadata": {"error": "StepFailedError"},
        },
        RunEnded(RunStatus.FAILED, AT),
    ),
    "run failed without an error": (
        run_entries.run_failed("its plan has expired", AT),
        {
            "id": "run.ended",
            "event": "run.failed",
            "message": "Run failed: its plan has expired.",
            "level": "error",
        },
        RunEnded(RunStatus.FAILED, AT),
    ),
    "run not scheduled": (
        run_entries.run_not_scheduled(AT),
        {
            "id": "run.ended",
            "event": "run.schedule-failed",
            "message": "Run failed: its execution could not be started.",
            "level": "error",
        },
        RunEnded(RunStatus.FAILED, AT),
    ),
    "step skipped by planning": (
        step_entries.step_skipped("ship", AT, when_planned=True),
        {
            "id": "ship#skipped",
            "event": "step.skipped",
            "message": "Step skipped: ship, because its condition is false for these inputs",
            "level": "info",
            "step": "ship",
            "metadata": {"reason": "condition-false"},
        },
        StepSkipped(Reason.CONDITION_FALSE),
    ),
    "step skipped by the run": (
        step_entries.step_skipped("each[0]::ship", AT),
        {
            "id": "each[0]::ship#skipped",
            "event": "step.skipped",
            "message": "Step skipped: each[0]::ship, because its condition is false",
            "level": "info",
            "step": "each[0]::ship",
            "metadata": {"reason": "condition-false"},
        },
        StepSkipped(Reason.CONDITION_FALSE),
    ),
    "attempt started": (
        step_entries.attempt_started("ship", 2, "builtin:noop", AT),
        {
            "id": "ship#2#started",
            "event": "step.started",
            "message": "Starting step: ship",
            "level": "info",
            "step": "ship",
            "metadata": {"attempt": "2", "uses": "builtin:noop"},
        },
        AttemptStarted(2),
    ),
    "attempt started again after it was deferred": (
        step_entries.attempt_started("ship", 2, "builtin:noop", AT, deferrals=1),
        {
            "id": "ship#2#started#2",
            "event": "step.started",
            "message": "Starting step: ship",
            "level": "info",
            "step": "ship",
            "metadata": {"attempt": "2", "uses": "builtin:noop"},
        },
        AttemptStarted(2),
    ),
    "attempt started on a worker": (
        step_entries.attempt_started("ship", 2, "worker:linux", AT, worker="build-7"),
        {
            "id": "ship#2#started",
            "event": "step.started",
            "message": "Starting step: ship",
            "level": "info",
            "step": "ship",
            "metadata": {"attempt": "2", "uses": "worker:linux", "worker": "build-7"},
        },
        AttemptStarted(2, "build-7"),
    ),
    "job offered": (
        job_entries.job_offered("ship", 2, "linux", AT),
        {
            "id": "ship#2#offered",
            "event": "step.offered",
            "message": "Waiting for a worker of the pool linux: ship",
            "level": "info",
            "step": "ship",
            "metadata": {"attempt": "2", "pool": "linux"},
        },
        JobOffered(2, "linux"),
    ),
    "worker lost": (
        job_entries.worker_lost(
            "ship", 2, "linux", "build-7", AT, losses=1, cause=job_entries.LossCause.SILENT
        ),
        {
            "id": "ship#2#lost#2",
            "event": "step.worker-lost",
            "message": (
                "The worker build-7 was lost: it has not reported for too long. "
                "Waiting for another worker of the pool linux: ship"
            ),
            "level": "warn",
            "step": "ship",
            "metadata": {
                "attempt": "2",
                "pool": "linux",
                "worker": "build-7",
                "reason": "worker-lost",
            },
        },
        WorkerLost(2, "linux", "build-7"),
    ),
    "job given back": (
        job_entries.worker_lost(
            "ship", 1, "linux", "build-7", AT, losses=0, cause=job_entries.LossCause.GAVE_BACK
        ),
        {
            "id": "ship#1#lost#1",
            "event": "step.worker-lost",
            "message": (
                "The worker build-7 was stopped, and gave the job back. "
                "Waiting for another worker of the pool linux: ship"
            ),
            "level": "warn",
            "step": "ship",
            "metadata": {
                "attempt": "1",
                "pool": "linux",
                "worker": "build-7",
                "reason": "worker-lost",
                "cause": "gave-back",
            },
        },
        WorkerLost(1, "linux", "build-7", job_entries.LossCause.GAVE_BACK),
    ),
    "output written": (
        job_entries.output_written("ship", 2, "ok 1\n", AT, number="1#3", stream="stderr"),
        {
            "id": "ship#2#output#1#3",
            "event": "step.output",
            "message": "ok 1\n",
            "level": "info",
            "step": "ship",
            "metadata": {"attempt": "2", "stream": "stderr"},
        },
        OutputWritten(2),
    ),
    "output cut": (
        job_entries.output_cut("ship", 2, AT),
        {
            "id": "ship#2#output#cut",
            "event": "step.output",
            "message": (
                "The log takes no more output of this attempt. If there is more, the artifact "
                "'output' of this step has all of it.\n"
            ),
            "level": "warn",
            "step": "ship",
            "metadata": {"attempt": "2", "stream": "stderr"},
        },
        OutputWritten(2),
    ),
    "attempt deferred": (
        step_entries.attempt_deferred("ship", 2, "AWS could not call the function now", AT),
        {
            "id": "ship#2#deferred",
            "event": "step.deferred",
            "message": "Attempt deferred: ship. AWS could not call the function now",
            "level": "warn",
            "step": "ship",
            "metadata": {"attempt": "2"},
        },
        AttemptDeferred(2),
    ),
    "attempt deferred again": (
        step_entries.attempt_deferred("ship", 2, "busy", AT, deferrals=1),
        {
            "id": "ship#2#deferred#2",
            "event": "step.deferred",
            "message": "Attempt deferred: ship. busy",
            "level": "warn",
            "step": "ship",
            "metadata": {"attempt": "2"},
        },
        AttemptDeferred(2),
    ),
    "attempt lost": (
        step_entries.attempt_lost("ship", 2, LATER, AT),
        {
            "id": "ship#2#ended",
            "event": "step.failed",
            "message": step_entries.LOST,
            "level": "warn",
            "step": "ship",
            "metadata": {"attempt": "2", "reason": "executor-error", "nextAttemptAt": LATER},
        },
        StepFailed(2, Reason.EXECUTOR_ERROR, step_entries.LOST, LATER, None),
    ),
    "last attempt lost": (
        step_entries.attempt_lost("ship", 2, None, AT),
        {
            "id": "ship#2#ended",
            "event": "step.failed",
            "message": step_entries.LOST,
            "level": "error",
            "step": "ship",
            "metadata": {"attempt": "2", "reason": "executor-error"},
        },
        StepFailed(2, Reason.EXECUTOR_ERROR, step_entries.LOST, None, None),
    ),
    "step completed": (
        step_entries.step_completed("ship", REPORT, AT),
        {
            "id": "ship#2#ended",
            "event": "step.completed",
            "message": "Step completed: ship",
            "level": "info",
            "step": "ship",
            "metadata": {**USAGE, "artifacts": "log,zip"},
        },
        StepCompleted(2),
    ),
    "attempt failed": (
        step_entries.step_failed("ship", NO_FILES, Failure(Reason.TIMEOUT, "slow", LATER), AT),
        {
            "id": "ship#2#ended",
            "event": "step.failed",
            "message": "slow",
            "level": "warn",
            "step": "ship",
            "metadata": {**USAGE, "reason": "timeout", "nextAttemptAt": LATER},
        },
        StepFailed(2, Reason.TIMEOUT, "slow", LATER, None),
    ),
    "step failed": (
        step_entries.step_failed("ship", REPORT, Failure(Reason.EXECUTOR_ERROR, "", None), AT),
        {
            "id": "ship#2#ended",
            "event": "step.failed",
            "message": "the executor gave no message",
            "level": "error",
            "step": "ship",
            "metadata": {**USAGE, "artifacts": "log,zip", "reason": "executor-error"},
        },
        StepFailed(2, Reason.EXECUTOR_ERROR, "the executor gave no message", None, None),
    ),
    "step undecidable": (
        step_entries.step_undecidable("choice", "no such field", AT),
        {
            "id": "choice#undecidable",
            "event": "step.failed",
            "message": "no such field",
            "level": "error",
            "step": "choice",
            "metadata": {"reason": "executor-error"},
        },
        StepFailed(0, Reason.EXECUTOR_ERROR, "no such field", None, None),
    ),
    "until undecidable": (
        step_entries.step_undecidable("turns", "no such field", AT, iterations=3),
        {
            "id": "turns#undecidable",
            "event": "step.failed",
            "message": "no such field",
            "level": "error",
            "step": "turns",
            "metadata": {"reason": "executor-error", "ask": "end", "value": "3"},
        },
        StepFailed(0, Reason.EXECUTOR_ERROR, "no such field", None, 3),
    ),
    "branch taken": (
        flow_entries.branch_taken("choice", 1, AT),
        {
            "id": "choice#branch",
            "event": "flow.decided",
            "message": "Branch taken: 1 of choice",
            "level": "info",
            "step": "choice",
            "metadata": {"ask": "branch", "value": "1"},
        },
        FlowDecided(DecisionKind.BRANCH, 1),
    ),
    "items counted": (
        flow_entries.items_counted("each", 0, AT),
        {
            "id": "each#items",
            "event": "flow.decided",
            "message": "Items counted: 0 of each",
            "level": "info",
            "step": "each",
            "metadata": {"ask": "items", "value": "0"},
        },
        FlowDecided(DecisionKind.ITEMS, 0),
    ),
    "value kept": (
        flow_entries.value_kept("each[1]::turns", 2, AT),
        {
            "id": "each[1]::turns[2]#value",
            "event": "flow.decided",
            "message": "Value recorded: iteration 2 of each[1]::turns",
            "level": "info",
            "step": "each[1]::turns",
            "metadata": {"ask": "value", "value": "2"},
        },
        ValueKept(2),
    ),
    "loop ended": (
        flow_entries.loop_ended("turns", 2, AT),
        {
            "id": "turns#end",
            "event": "flow.decided",
            "message": "Loop ended: turns, after 2 iterations",
            "level": "info",
            "step": "turns",
            "metadata": {"ask": "end", "value": "2"},
        },
        FlowDecided(DecisionKind.END, 2),
    ),
    "policy passed": (
        evaluated(PolicyVerdict.PASSED),
        {
            "id": "window#2#policy",
            "event": "step.completed",
            "message": "Policy window holds",
            "level": "info",
            "step": "window",
            "metadata": policy_metadata("passed"),
        },
        policy_fact(PolicyVerdict.PASSED, "Policy window holds"),
    ),
    "policy warned": (
        evaluated(PolicyVerdict.WARNED, "late", "dark"),
        {
            "id": "window#2#policy",
            "event": "step.completed",
            "message": "Policy window does not hold, which is only a warning: late; dark",
            "level": "warn",
            "step": "window",
            "metadata": policy_metadata("warned", reason="policy-warned"),
        },
        policy_fact(
            PolicyVerdict.WARNED,
            "Policy window does not hold, which is only a warning: late; dark",
        ),
    ),
    "policy retried": (
        evaluated(PolicyVerdict.RETRY, "late", retry_at=LATER),
        {
            "id": "window#2#policy",
            "event": "step.failed",
            "message": "Policy window does not hold yet: late",
            "level": "warn",
            "step": "window",
            "metadata": policy_metadata("retry", reason="policy-failed", nextAttemptAt=LATER),
        },
        policy_fact(PolicyVerdict.RETRY, "Policy window does not hold yet: late", LATER),
    ),
    "policy failed": (
        evaluated(PolicyVerdict.FAILED, "late"),
        {
            "id": "window#2#policy",
            "event": "step.failed",
            "message": "Policy window does not hold: late",
            "level": "error",
            "step": "window",
            "metadata": policy_metadata("failed", reason="policy-failed"),
        },
        policy_fact(PolicyVerdict.FAILED, "Policy window does not hold: late"),
    ),
    "policy broken": (
        evaluated(PolicyVerdict.BROKEN, "no secret"),
        {
            "id": "window#2#policy",
            "event": "step.failed",
            "message": "Policy window cannot be evaluated: no secret",
            "level": "error",
            "step": "window",
            "metadata": policy_metadata("broken", reason="executor-error"),
        },
        policy_fact(PolicyVerdict.BROKEN, "Policy window cannot be evaluated: no secret"),
    ),
    "override requested": (
        evaluated(PolicyVerdict.OVERRIDE, "late"),
        {
            "id": "window#2#policy",
            "event": "flow.decided",
            "message": "Policy window does not hold; an override is requested: late",
            "level": "warn",
            "step": "window",
            "metadata": policy_metadata("override"),
        },
        policy_fact(
            PolicyVerdict.OVERRIDE, "Policy window does not hold; an override is requested: late"
        ),
    ),
    "policy branched": (
        evaluated(PolicyVerdict.BRANCH, "late"),
        {
            "id": "window#2#policy",
            "event": "flow.decided",
            "message": "Policy window does not hold; its branch runs: late",
            "level": "warn",
            "step": "window",
            "metadata": policy_metadata("branch"),
        },
        policy_fact(PolicyVerdict.BRANCH, "Policy window does not hold; its branch runs: late"),
    ),
    "gate opened": (
        gate_entries.gate_awaiting(WAITING, "security", is_override=False),
        {
            "id": "each[0]::review#awaiting",
            "event": "gate.awaiting",
            "message": "Awaiting approval: security",
            "level": "warn",
            "step": "each[0]::review",
            "metadata": {"approvalId": "security", "expiresAt": LATER},
        },
        GateOpened("security", LATER, is_override=False),
    ),
    "override opened": (
        gate_entries.gate_awaiting(WAITING, "security", is_override=True),
        {
            "id": "each[0]::review#awaiting",
            "event": "gate.awaiting",
            "message": "Awaiting approval: security",
            "level": "warn",
            "step": "each[0]::review",
            "metadata": {"approvalId": "security", "expiresAt": LATER, "override": "true"},
        },
        GateOpened("security", LATER, is_override=True),
    ),
    "approval recorded": (
        gate_entries.approval_recorded("review", "security", APPROVED, AT),
        {
            "id": "review#approval#bob",
            "event": "gate.approval-recorded",
            "message": "Approval recorded: security",
            "level": "info",
            "step": "review",
            "metadata": DECIDED_BY_BOB,
        },
        DecisionRecorded(
            Verdict.APPROVED,
            is_final=False,
            approval_id="security",
            approver="bob",
            actor="user:bob",
            summary="looks good",
            recorded_at=AT,
        ),
    ),
    "gate approved": (
        gate_entries.gate_decided("review", "security", Verdict.APPROVED, APPROVED, AT),
        {
            "id": "review#decided",
            "event": "gate.approved",
            "message": "Approved: security",
            "level": "info",
            "step": "review",
            "metadata": DECIDED_BY_BOB,
        },
        DecisionRecorded(
            Verdict.APPROVED,
            is_final=True,
            approval_id="security",
            approver="bob",
            actor="user:bob",
            summary="looks good",
            recorded_at=AT,
        ),
    ),
    "gate rejected": (
        gate_entries.gate_decided("review", "security", Verdict.REJECTED, APPROVED, AT),
        {
            "id": "review#decided",
            "event": "gate.rejected",
            "message": "Rejected: security",
            "level": "error",
            "step": "review",
            "metadata": DECIDED_BY_BOB,
        },
        DecisionRecorded(
            Verdict.REJECTED,
            is_final=True,
            approval_id="security",
            approver="bob",
            actor="user:bob",
            summary="looks good",
            recorded_at=AT,
        ),
    ),
    "gate expired": (
        gate_entries.gate_decided("review", "security", Verdict.EXPIRED, EXPIRED, AT),
        {
            "id": "review#decided",
            "event": "gate.expired",
            "message": "Expired: security",
            "level": "error",
            "step": "review",
            "metadata": {"approvalId": "security", "approver": "clock"},
        },
        DecisionRecorded(
            Verdict.EXPIRED,
            is_final=True,
            approval_id="security",
            approver="clock",
            actor=None,
            summary=None,
            recorded_at=AT,
        ),
    ),
    "gate with a message that was filled": (
        gate_entries.gate_awaiting(
            GateOpening(step_path="review", opened_at=AT, expires_at=LATER, message="Ship v2?"),
            "security",
            is_override=False,
        ),
        {
            "id": "review#awaiting",
            "event": "gate.awaiting",
            "level": "warn",
            "step": "review",
            "message": "Awaiting approval: security",
            "metadata": {"approvalId": "security", "expiresAt": LATER, "message": "Ship v2?"},
        },
        GateOpened("security", LATER, is_override=False, message="Ship v2?"),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_is_stored_in_the_form_that_every_release_reads(kind: str) -> None:
    entry, document, _ = KINDS[kind]

    assert journal.to_document(entry) == {"at": AT, **document}
    assert list(entry.metadata) == list(document.get("metadata", {}))


@pytest.mark.parametrize("kind", KINDS)
def test_read_returns_the_fact_that_was_written(kind: str) -> None:
    entry, _, fact = KINDS[kind]

    assert read(entry) == fact
    assert type(read(entry)) is type(fact)


def test_there_is_a_kind_for_every_event_and_every_verdict() -> None:
    verdicts = {fact.verdict for _, _, fact in KINDS.values() if isinstance(fact, PolicyEvaluated)}

    assert {entry.event for entry, _, _ in KINDS.values()} == set(Event)
    assert verdicts == set(PolicyVerdict)


@given(
    event=st.sampled_from(Event),
    metadata=st.dictionaries(
        st.sampled_from(["attempt", "ask", "value", "reason", "nextAttemptAt", "override", "by"]),
        st.sampled_from(["policy", "end", "items", "branch", "failed", "x" * 10, "", "-1"])
        | st.text(max_size=3),
    ),
)
def test_read_accepts_any_metadata(event: Event, metadata: dict[str, str]) -> None:
    entry = Entry(
        id="any", occurred_at=AT, event=event, message="any", step_path="any", metadata=metadata
    )

    fact = read(entry)

    if isinstance(fact, PolicyEvaluated):
        assert metadata["ask"] == "policy"
        assert metadata["value"] == fact.verdict


def test_an_entry_says_what_its_event_says_when_the_verdict_does_not_fit_it() -> None:
    entry = evaluated(PolicyVerdict.PASSED)

    assert read(replace(entry, event=Event.RUN_FAILED)) == RunEnded(RunStatus.FAILED, AT)
    assert read(replace(entry, event=Event.STEP_SKIPPED)) == StepSkipped(None)


@pytest.mark.parametrize(
    "entry",
    [
        step_entries.step_undecidable("a", "x" * 9999, AT),
        step_entries.step_failed("a", REPORT, Failure(Reason.TIMEOUT, "x" * 9999, None), AT),
        evaluated(PolicyVerdict.FAILED, "x" * 9999),
    ],
    ids=["undecidable", "failed", "policy"],
)
def test_a_message_has_at_most_1000_characters(entry: Entry) -> None:
    assert len(entry.message) == 1000


def test_no_other_code_builds_an_entry_or_reads_its_metadata() -> None:
    assert {name for name in calls("Entry") if not name.startswith("model/entries/")} == {
        "model/journal.py"  # decodes what is stored
    }
    assert {name for name in readers("metadata") if not name.startswith("model/entries/")} == {
        "model/journal.py",  # encodes what is stored
        "model/api_view.py",  # shows all of it
        "compiler/planning/plan.py",  # a pack's own metadata
    }
