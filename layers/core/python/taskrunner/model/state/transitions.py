"""The change of a step by one entry, as long as the step has not ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, assert_never

from taskrunner.model.approval import Verdict
from taskrunner.model.entries.flow_entries import (
    FlowDecided,
    PolicyEvaluated,
    TimeReached,
    ValueKept,
)
from taskrunner.model.entries.gate_entries import DecisionRecorded, GateOpened
from taskrunner.model.entries.job_entries import (
    JobOffered,
    LossCause,
    OutputWritten,
    WorkerLost,
)
from taskrunner.model.entries.step_entries import (
    AttemptDeferred,
    AttemptStarted,
    StepCompleted,
    StepFailed,
    StepSkipped,
)
from taskrunner.model.flow import PolicyVerdict
from taskrunner.model.run import Reason, StepStatus, WorkerLoss

if TYPE_CHECKING:
    from taskrunner.model.entries.reading import AboutAStep
    from taskrunner.model.run import StepState

_AboutAttempts: TypeAlias = (
    AttemptStarted
    | AttemptDeferred
    | StepCompleted
    | StepFailed
    | StepSkipped
    | JobOffered
    | WorkerLost
)


def after(step: StepState, fact: AboutAStep, occurred_at: str) -> StepState | None:
    """Return *step* after *fact*, or None when the fact does not change it.

    `attempts` counts started attempts. Errors of earlier attempts stay in the log: a step that
    succeeds shows none.
    """
    last_failure = step.failure
    step = replace(
        step,
        reason=None,
        failure=None,
        next_attempt_at=None,
        was_reached=step.was_reached or not isinstance(fact, StepSkipped),
        last_transition_at=occurred_at,
        attempts=max(step.attempts, _attempt(fact)),
    )
    match fact:
        case (
            AttemptStarted()
            | AttemptDeferred()
            | StepCompleted()
            | StepFailed()
            | StepSkipped()
            | JobOffered()
            | WorkerLost()
        ):
            return _after_attempt(step, fact, last_failure)
        case FlowDecided():
            return replace(step, status=StepStatus.RUNNING)
        case PolicyEvaluated():
            return _evaluated(step, fact)
        case GateOpened():
            waiting = replace(step, gate_message=fact.message)
            return _awaiting(waiting, is_override=fact.is_override)
        case DecisionRecorded():
            return _decided(step, fact.verdict) if fact.is_final else None
        case TimeReached() | ValueKept() | OutputWritten():
            return None
        case _:
            assert_never(fact)


def _after_attempt(step: StepState, fact: _AboutAttempts, last_failure: Reason | None) -> StepState:
    """Return *step*, whose last attempt failed for *last_failure* if it did, after *fact*."""
    match fact:
        case AttemptStarted():
            return replace(
                step, status=StepStatus.RUNNING, worker=fact.worker, execution=fact.execution
            )
        case AttemptDeferred():
            # Unlike between two attempts, nobody knows when it is made again.
            return replace(step, status=StepStatus.PENDING, reason=Reason.RETRYING)
        case JobOffered():
            return replace(_offered(step, last_failure), wanted_labels=fact.labels, last_loss=None)
        case WorkerLost():
            return replace(_offered(step, Reason.WORKER_LOST), last_loss=_loss(step, fact))
        case StepCompleted():
            return _succeeded(step)
        case StepFailed():
            return _failed_or_retrying(step, fact)
        case StepSkipped(reason):
            return replace(step, status=StepStatus.SKIPPED, reason=reason)
        case _:
            assert_never(fact)


def _attempt(fact: AboutAStep) -> int:
    match fact:
        case (
            AttemptStarted()
            | AttemptDeferred()
            | StepCompleted()
            | StepFailed()
            | PolicyEvaluated()
            | WorkerLost()
        ):
            return fact.attempt
        case FlowDecided():
            return 1  # a block is decided once
        case StepSkipped() | GateOpened() | DecisionRecorded() | TimeReached() | ValueKept():
            return 0
        case JobOffered() | OutputWritten():
            return 0  # a job that waits for a worker has not started
        case _:
            assert_never(fact)


def _succeeded(step: StepState, reason: Reason | None = None) -> StepState:
    return replace(step, status=StepStatus.SUCCEEDED, reason=reason, error_message=None)


def _failed(step: StepState, reason: Reason, message: str | None = None) -> StepState:
    message = step.error_message if message is None else message
    return replace(step, status=StepStatus.FAILED, reason=reason, error_message=message)


def _failed_or_retrying(step: StepState, fact: StepFailed) -> StepState:
    """A step that fails its last attempt is Failed; between attempts it is Pending."""
    reason = fact.reason or Reason.EXECUTOR_ERROR
    if fact.next_attempt_at is not None:
        return _retrying(step, fact, reason)
    return _failed(step, reason, fact.message)


def _retrying(step: StepState, fact: StepFailed | PolicyEvaluated, failure: Reason) -> StepState:
    return replace(
        step,
        status=StepStatus.PENDING,
        reason=Reason.RETRYING,
        failure=failure,
        next_attempt_at=fact.next_attempt_at,
        error_message=fact.message,
    )


def _evaluated(step: StepState, fact: PolicyEvaluated) -> StepState:
    """A policy that does not hold acts by the gate's `failureAction`."""
    match fact.verdict:
        case PolicyVerdict.PASSED:
            return _succeeded(step)
        case PolicyVerdict.WARNED:
            return _succeeded(step, Reason.POLICY_WARNED)
        case PolicyVerdict.OVERRIDE | PolicyVerdict.BRANCH:
            return replace(step, status=StepStatus.RUNNING)
        case PolicyVerdict.RETRY:
            return _retrying(step, fact, Reason.POLICY_FAILED)
        case PolicyVerdict.FAILED:
            return _failed(step, Reason.POLICY_FAILED, fact.message)
        case PolicyVerdict.BROKEN:
            return _failed(step, Reason.EXECUTOR_ERROR, fact.message)
        case _:
            assert_never(fact.verdict)


def _offered(step: StepState, last_failure: Reason | None) -> StepState:
    return replace(
        step,
        status=StepStatus.PENDING,
        reason=Reason.WAITING_FOR_WORKER,
        failure=last_failure,
        worker=None,
    )


def _loss(step: StepState, fact: WorkerLost) -> WorkerLoss:
    return WorkerLoss(
        attempt=fact.attempt,
        worker=fact.worker,
        pool=fact.pool,
        lost_at=step.last_transition_at or "",
        is_given_back=fact.cause is LossCause.GAVE_BACK,
    )


def _awaiting(step: StepState, *, is_override: bool) -> StepState:
    reason = Reason.AWAITING_OVERRIDE if is_override else Reason.AWAITING_APPROVAL
    return replace(step, status=StepStatus.PENDING, reason=reason)


def _decided(step: StepState, verdict: Verdict) -> StepState:
    match verdict:
        case Verdict.APPROVED:
            return _succeeded(step)
        case Verdict.REJECTED:
            return _failed(step, Reason.APPROVAL_REJECTED)
        case Verdict.EXPIRED:
            return _failed(step, Reason.APPROVAL_EXPIRED)
        case _:
            assert_never(verdict)
