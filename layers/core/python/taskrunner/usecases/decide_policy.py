"""Evaluate a policy gate and decide what follows, by its rules or by its function."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskrunner import expressions
from taskrunner.errors import SecretError, StepFailedError
from taskrunner.expressions import ExpressionError, templates
from taskrunner.model import moment
from taskrunner.model.journal import Entry, Event, Level
from taskrunner.model.plan import FailureAction, PolicyGate
from taskrunner.model.redaction import Redactor
from taskrunner.model.run import Reason, StepOutcome, StepStatus
from taskrunner.runtime.question import MAX_MESSAGE
from taskrunner.runtime.secret_values import secret_values, told_without_secrets

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json
    from taskrunner.model.plan import Policy
    from taskrunner.runtime.question import Asked

_FAILS: Final = frozenset({"failed", "broken", "retry"})


def decide_policy(asked: Asked) -> str:
    """The verdict on a policy gate: passed, warned, retry, override or branch.

    Raises:
        StepFailedError: the policy does not hold and the gate aborts, or a secret cannot be used.
        TryAgainError: a function could not be called now; nothing has been evaluated.
    """
    step = asked.step
    assert isinstance(step, PolicyGate)  # noqa: S101 - the compiler asks this of no other
    previous = asked.values.outcome(asked.path)
    if previous is not None and previous.final:
        return _again(asked, previous)
    number = 1 if previous is None else previous.attempt + 1
    try:
        failures = _failures(asked, step, number)
    except SecretError as error:
        # A policy that was not evaluated has not failed: no failureAction is for this.
        return _record(asked, number, "broken", [str(error)])
    if not failures:
        return _record(asked, number, "passed", failures)
    if number < step.retries.max_attempts:
        return _record(asked, number, "retry", failures)
    verdict = {
        FailureAction.ABORT: "failed",
        FailureAction.WARN: "warned",
        FailureAction.REQUEST_OVERRIDE: "override",
        FailureAction.BRANCH: "branch",
    }[step.failure_action]
    return _record(asked, number, verdict, failures)


def _again(asked: Asked, outcome: StepOutcome) -> str:
    verdict = str(outcome.outputs["verdict"])
    if verdict in {"failed", "broken"}:
        raise StepFailedError(f"policy gate {asked.path} failed; the run's log says why")
    return verdict


def _failures(asked: Asked, step: PolicyGate, number: int) -> list[str]:
    """Why the policy does not hold, without any secret in it; nothing when it holds.

    What is told is redacted before it is cut, as half a secret would not be found.
    """
    policy = asked.plan.policy(step.policy_id)
    read = templates.references(step.parameters)
    secrets = secret_values(read, asked.head.run.tenant, asked.world)
    redactor = Redactor(secrets)
    with told_without_secrets(redactor):
        failures = _unmet(asked, step, policy, secrets, number)
    return [redactor.text(failure)[:MAX_MESSAGE] for failure in failures]


def _unmet(
    asked: Asked, step: PolicyGate, policy: Policy, secrets: dict[str, str], number: int
) -> list[str]:
    try:
        context = asked.values.context(templates.references(step.parameters), asked.iteration)
        given = templates.fill(step.parameters, context | {"secrets": secrets})
        if policy.uses is None:
            return _broken_rules(asked, policy, given)
        # Here, because a decision by rules must not pay for the import of executors.
        from taskrunner.usecases.call_policy import call_policy  # noqa: PLC0415

        return call_policy(policy, given, number, asked)
    except ExpressionError as error:
        # A rule that cannot be evaluated does not hold.
        return [str(error)]


def _broken_rules(asked: Asked, policy: Policy, given: Json) -> list[str]:
    """What to say of each rule that does not hold."""
    failures = []
    for rule in policy.rules:
        expression = expressions.parse(rule.require)
        context = asked.values.context(expression.references, asked.iteration)
        if not expressions.truth(expression.evaluate(context | {"with": given})):
            failures.append(f"{rule.id}: {rule.message or rule.require}")
    return failures


def _record(asked: Asked, number: int, verdict: str, failures: list[str]) -> str:
    step = asked.step
    assert isinstance(step, PolicyGate)  # noqa: S101 - as the caller proved
    entry = _policy_entry(asked, step, number, verdict, failures)
    outcome = StepOutcome(
        path=asked.path,
        attempt=number,
        status=StepStatus.FAILED if verdict in _FAILS else StepStatus.SUCCEEDED,
        outputs={"verdict": verdict, "failures": failures},
        final=verdict != "retry",
    )
    recorded = asked.world.runs.record_step(asked.head, outcome, [entry])
    return _again(asked, recorded)


def _policy_entry(
    asked: Asked, step: PolicyGate, number: int, verdict: str, failures: list[str]
) -> Entry:
    policy = asked.plan.policy(step.policy_id)
    metadata = {
        "attempt": str(number),
        "policyId": policy.id,
        "policyVersion": policy.version,
        "ask": "policy",
        "value": verdict,
    }
    event, level, word = {
        "passed": (Event.STEP_COMPLETED, Level.INFO, "holds"),
        "warned": (Event.STEP_COMPLETED, Level.WARN, "does not hold, which is only a warning"),
        "retry": (Event.STEP_FAILED, Level.WARN, "does not hold yet"),
        "failed": (Event.STEP_FAILED, Level.ERROR, "does not hold"),
        "broken": (Event.STEP_FAILED, Level.ERROR, "cannot be evaluated"),
        "override": (Event.FLOW_DECIDED, Level.WARN, "does not hold; an override is asked for"),
        "branch": (Event.FLOW_DECIDED, Level.WARN, "does not hold; its branch is run"),
    }[verdict]
    if verdict == "warned":
        metadata["reason"] = Reason.POLICY_WARNED.value
    if event is Event.STEP_FAILED:
        reason = Reason.EXECUTOR_ERROR if verdict == "broken" else Reason.POLICY_FAILED
        metadata["reason"] = reason.value
    if verdict == "retry":
        pause = timedelta(seconds=max(1, step.retries.backoff_s))
        metadata["nextAttemptAt"] = moment.to_text(asked.world.clock.now() + pause)
    told = "; ".join(failures)
    message = f"Policy {policy.id} {word}" + (f": {told}" if told else "")
    return Entry(
        id=f"{asked.path}#{number}#policy",
        at=asked.at,
        event=event,
        level=level,
        step=asked.path,
        message=message[:MAX_MESSAGE],
        metadata=metadata,
    )
