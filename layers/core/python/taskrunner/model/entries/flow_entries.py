"""Entries about decisions that planning cannot make: branches, items, loops and policies."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.model.entries import fields
from taskrunner.model.flow import PolicyVerdict
from taskrunner.model.journal import Entry, Event, Level
from taskrunner.model.run import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.plan import Policy


class DecisionKind(StrEnum):
    """The subject of a decision: the `ask` of its entry.

    * branch  the branch that a conditional takes; the number of its branches stands for `else`
    * items   how many items a map or loop has
    * end     how many iterations a loop with `until` has had
    * result  that the outputs of a loop or conditional could be assembled, always 1
    * policy  the verdict on a policy gate
    """

    BRANCH = "branch"
    ITEMS = "items"
    END = "end"
    RESULT = "result"
    POLICY = "policy"


class FlowDecided(NamedTuple):
    """A number was decided; both members are None when this release does not know the kind."""

    kind: DecisionKind | None
    number: int | None


class TimeReached(NamedTuple):
    """The step was reached, and this is the `run.now` of its expressions. It changes no state."""

    time: str


class ValueKept(NamedTuple):
    """An iteration of a loop has ended, and its value is recorded. It changes no state."""

    iteration: int | None


class PolicyEvaluated(NamedTuple):
    """A policy gate was evaluated; *next_attempt_at* is when it is evaluated again, if it is."""

    verdict: PolicyVerdict
    attempt: int
    policy_id: str | None
    policy_version: str | None
    message: str
    next_attempt_at: str | None


class Evaluation(NamedTuple):
    """One evaluation of a policy, and why the policy does not hold."""

    policy: Policy
    attempt: int
    verdict: PolicyVerdict
    failures: Sequence[str]
    next_attempt_at: str | None = None


class _Wording(NamedTuple):
    """The log data of an evaluation with a certain verdict."""

    event: Event
    level: Level
    says: str
    reason: Reason | None = None


_TIME: Final = "time"  # the `ask` of an entry that is about a time
_VALUE: Final = "value"  # the `ask` of an entry that is about the value of an iteration
_WORDINGS: Final = {
    PolicyVerdict.PASSED: _Wording(Event.STEP_COMPLETED, Level.INFO, "holds"),
    PolicyVerdict.WARNED: _Wording(
        Event.STEP_COMPLETED,
        Level.WARN,
        "does not hold, which is only a warning",
        Reason.POLICY_WARNED,
    ),
    PolicyVerdict.RETRY: _Wording(
        Event.STEP_FAILED, Level.WARN, "does not hold yet", Reason.POLICY_FAILED
    ),
    PolicyVerdict.FAILED: _Wording(
        Event.STEP_FAILED, Level.ERROR, "does not hold", Reason.POLICY_FAILED
    ),
    PolicyVerdict.BROKEN: _Wording(
        Event.STEP_FAILED, Level.ERROR, "cannot be evaluated", Reason.EXECUTOR_ERROR
    ),
    PolicyVerdict.OVERRIDE: _Wording(
        Event.FLOW_DECIDED, Level.WARN, "does not hold; an override is requested"
    ),
    PolicyVerdict.BRANCH: _Wording(
        Event.FLOW_DECIDED, Level.WARN, "does not hold; its branch runs"
    ),
}


def branch_taken(step_path: str, branch: int, occurred_at: str) -> Entry:
    """The entry of the branch that a conditional takes."""
    message = f"Branch taken: {branch} of {step_path}"
    return _decided(step_path, DecisionKind.BRANCH, branch, message, occurred_at)


def items_counted(step_path: str, count: int, occurred_at: str) -> Entry:
    """The entry of the items of a map or loop, where planning could not know them."""
    message = f"Items counted: {count} of {step_path}"
    return _decided(step_path, DecisionKind.ITEMS, count, message, occurred_at)


def loop_ended(step_path: str, iterations: int, occurred_at: str) -> Entry:
    """The entry of a loop with `until` that has no more iterations."""
    message = f"Loop ended: {step_path}, after {iterations} iterations"
    return _decided(step_path, DecisionKind.END, iterations, message, occurred_at)


def outputs_assembled(step_path: str, occurred_at: str) -> Entry:
    """The entry of a loop or conditional that has ended, and whose outputs could be assembled."""
    message = f"Outputs assembled: {step_path}"
    return _decided(step_path, DecisionKind.RESULT, 1, message, occurred_at)


def time_reached(step_path: str, time: str) -> Entry:
    """The entry of a step that reads `run.now`: when it was reached."""
    return Entry(
        id=f"{step_path}#{_TIME}",
        occurred_at=time,
        event=Event.FLOW_DECIDED,
        step_path=step_path,
        message=f"Time reached: {step_path}",
        metadata={"ask": _TIME, "value": time},
    )


def value_kept(step_path: str, iteration: int, occurred_at: str) -> Entry:
    """The entry of a loop's iteration that has ended, and whose value the next one can read."""
    return Entry(
        id=f"{step_path}[{iteration}]#{_VALUE}",
        occurred_at=occurred_at,
        event=Event.FLOW_DECIDED,
        step_path=step_path,
        message=f"Value recorded: iteration {iteration} of {step_path}",
        metadata={"ask": _VALUE, "value": str(iteration)},
    )


def policy_evaluated(step_path: str, evaluation: Evaluation, occurred_at: str) -> Entry:
    """The entry of one evaluation of the policy gate at *step_path*."""
    policy, verdict = evaluation.policy, evaluation.verdict
    wording = _WORDINGS[verdict]
    failures = "; ".join(evaluation.failures)
    message = f"Policy {policy.id} {wording.says}" + (f": {failures}" if failures else "")
    return Entry(
        id=f"{step_path}#{evaluation.attempt}#policy",
        occurred_at=occurred_at,
        event=wording.event,
        level=wording.level,
        step_path=step_path,
        message=message[: fields.MAX_MESSAGE],
        metadata=fields.without_none(
            {
                "attempt": str(evaluation.attempt),
                "policyId": policy.id,
                "policyVersion": policy.version,
                "ask": DecisionKind.POLICY.value,
                "value": verdict.value,
                "reason": None if wording.reason is None else wording.reason.value,
                "nextAttemptAt": evaluation.next_attempt_at,
            }
        ),
    )


def _decided(
    step_path: str, kind: DecisionKind, number: int, message: str, occurred_at: str
) -> Entry:
    """A decision of a step; a step decides each kind once, so the id needs no more."""
    return Entry(
        id=f"{step_path}#{kind}",
        occurred_at=occurred_at,
        event=Event.FLOW_DECIDED,
        step_path=step_path,
        message=message,
        metadata={"ask": kind.value, "value": str(number)},
    )


def read_policy(entry: Entry) -> PolicyEvaluated | None:
    """Return the evaluation of a policy that the entry is about, if it is about one."""
    given = entry.metadata.get("value")
    if entry.metadata.get("ask") != DecisionKind.POLICY or given not in set(PolicyVerdict):
        return None
    verdict = PolicyVerdict(given)
    if entry.event is not _WORDINGS[verdict].event:
        return None
    return PolicyEvaluated(
        verdict=verdict,
        attempt=fields.attempt(entry),
        policy_id=entry.metadata.get("policyId"),
        policy_version=entry.metadata.get("policyVersion"),
        message=entry.message,
        next_attempt_at=entry.metadata.get("nextAttemptAt"),
    )


def read_decision(entry: Entry) -> FlowDecided | TimeReached | ValueKept:
    """Return the number that the entry says was decided, or the time, or the iteration."""
    given = entry.metadata.get("ask")
    if given == _TIME:
        return TimeReached(entry.occurred_at)
    if given == _VALUE:
        return ValueKept(fields.number(entry, "value"))
    kind = DecisionKind(given) if given in set(DecisionKind) else None
    return FlowDecided(kind, fields.number(entry, "value"))
