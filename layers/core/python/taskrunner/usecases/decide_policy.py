"""Evaluate a policy gate, by its rules or by its function, and decide what follows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskrunner import expressions
from taskrunner.errors import SecretError, StepFailedError
from taskrunner.expressions import ExpressionError, templates
from taskrunner.model import timestamp
from taskrunner.model.entries import fields, flow_entries
from taskrunner.model.entries.flow_entries import Evaluation
from taskrunner.model.flow import PolicyFailure, PolicyVerdict
from taskrunner.model.plan import FailureAction, PolicyGate
from taskrunner.model.redaction import Redactor
from taskrunner.model.run import Reason, StepOutcome, StepStatus
from taskrunner.ports.runs import NOTHING
from taskrunner.runtime.recording_time import patience_s
from taskrunner.runtime.run_lifecycle import check_not_ended
from taskrunner.runtime.step_secrets import read_secrets, redacted_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.model.plan import Policy, Rule
    from taskrunner.runtime.running_step import RunningStep

_FINAL_FAILURES: Final = frozenset({PolicyVerdict.FAILED, PolicyVerdict.BROKEN})
_FAILURES: Final = _FINAL_FAILURES | {PolicyVerdict.RETRY}
_VERDICTS: Final = {
    FailureAction.ABORT: PolicyVerdict.FAILED,
    FailureAction.WARN: PolicyVerdict.WARNED,
    FailureAction.REQUEST_OVERRIDE: PolicyVerdict.OVERRIDE,
    FailureAction.BRANCH: PolicyVerdict.BRANCH,
}


def decide_policy(running: RunningStep, *, remaining_s: float = 0) -> PolicyVerdict | None:
    """Return the verdict on a policy gate: passed, warned, retry, override or branch.

    It is None if the gate is skipped, because its `when` is false. *remaining_s* is the time that
    the caller has: a verdict that is not recorded would let a function be asked again.

    Raises:
        StepFailedError: the policy does not hold and the gate aborts, or a secret cannot be used.
        ConflictError: the run, or a block around the gate, has ended.
        TryAgainError: a function could not be called now, or its answer was lost.
    """
    gate = running.step
    assert isinstance(gate, PolicyGate)  # noqa: S101 - the compiler asks no other
    previous = running.values.outcome(running.path)
    if previous is not None and previous.final:
        return _verdict(running, previous)
    check_not_ended(running.snapshot.run)
    deadline = running.world.clock.now() + timedelta(seconds=remaining_s)
    if previous is None and running.is_skipped():
        return None
    attempt = 1 if previous is None else previous.attempt + 1
    try:
        failures = _failures(running, gate, attempt)
        verdict = _verdict_by(failures, gate, attempt)
    except SecretError as error:
        # The policy was not evaluated, so it did not fail, and no failureAction applies.
        failures, verdict = [PolicyFailure(str(error))], PolicyVerdict.BROKEN
    outcome, entry = _evaluated(running, gate, attempt, verdict, failures)
    stops = NOTHING
    if verdict in _FINAL_FAILURES:
        stops = running.stopped_by_failure(entry.occurred_at)
    patience = patience_s(deadline, running.world)
    # The verdict that was recorded first counts.
    return _verdict(running, running.decide(outcome, entry, stops, patience_s=patience))


def _verdict_by(failures: Sequence[PolicyFailure], gate: PolicyGate, attempt: int) -> PolicyVerdict:
    if not failures:
        return PolicyVerdict.PASSED
    if attempt < gate.retries.max_attempts:
        return PolicyVerdict.RETRY
    return _VERDICTS[gate.failure_action]


def _verdict(running: RunningStep, outcome: StepOutcome) -> PolicyVerdict:
    """The verdict that is recorded."""
    verdict = PolicyVerdict(outcome.outputs["verdict"])
    if verdict in _FINAL_FAILURES:
        running.deliver(running.stopped_by_failure(running.now()))
        raise StepFailedError(
            f"policy gate {running.path} failed; the run's log says why",
            reason=Reason.POLICY_FAILED,
            cause="; ".join(outcome.outputs["failures"])[: fields.MAX_MESSAGE],
            attempt=outcome.attempt,
        )
    return verdict


def _failures(running: RunningStep, gate: PolicyGate, attempt: int) -> list[PolicyFailure]:
    """The reasons why the policy does not hold, without secrets; empty when it holds.

    `run.now` is the time of this evaluation: a gate may be evaluated again until a time has come.

    Texts are redacted before they are cut, because half a secret would not be found.
    """
    policy = running.plan.policy(gate.policy_id)
    references = templates.references(gate.parameters)
    secrets = read_secrets(references, running.snapshot.run.tenant, running.world)
    redactor = Redactor(secrets)
    with redacted_errors(redactor):
        failures = _evaluate(running, gate, policy, secrets, attempt)
    return [_redacted(failure, redactor) for failure in failures]


def _redacted(failure: PolicyFailure, redactor: Redactor) -> PolicyFailure:
    """Return *failure* without secrets, and without its id where a mask hides the end of it."""
    text = redactor.text(failure.text)[: fields.MAX_MESSAGE]
    rule_id = None if failure.id is None else redactor.text(failure.id)
    if rule_id is None or not text.startswith(f"{rule_id}: "):
        return PolicyFailure(text)
    return PolicyFailure(text.removeprefix(f"{rule_id}: "), rule_id)


def _evaluate(
    running: RunningStep, gate: PolicyGate, policy: Policy, secrets: dict[str, str], attempt: int
) -> list[PolicyFailure]:
    now = running.now()
    try:
        context = running.context(templates.references(gate.parameters), now=now)
        parameters = templates.fill(gate.parameters, context | {"secrets": secrets})
        if policy.uses is None:
            return _broken_rules(running, policy, parameters, now)
        # Imported here, so that a decision by rules does not pay for the import of executors.
        from taskrunner.usecases.call_policy import call_policy  # noqa: PLC0415

        return call_policy(policy, parameters, attempt, running)
    except ExpressionError as error:
        # Without its parameters the policy does not hold, and no rule says why.
        return [PolicyFailure(str(error))]


def _broken_rules(
    running: RunningStep, policy: Policy, parameters: Json, now: str
) -> list[PolicyFailure]:
    """A failure for each rule that does not hold; one that cannot be evaluated does not."""
    failures = []
    for rule in policy.rules:
        try:
            holds = _holds(running, rule, parameters, now)
        except ExpressionError as error:
            failures.append(PolicyFailure(str(error), rule.id))
        else:
            if not holds:
                failures.append(PolicyFailure(rule.message or rule.require, rule.id))
    return failures


def _holds(running: RunningStep, rule: Rule, parameters: Json, now: str) -> bool:
    expression = expressions.parse(rule.require)
    context = running.context(expression.references, now=now)
    return expressions.truth(expression.evaluate(context | {"with": parameters}))


def _evaluated(
    running: RunningStep,
    gate: PolicyGate,
    attempt: int,
    verdict: PolicyVerdict,
    failures: Sequence[PolicyFailure],
) -> tuple[StepOutcome, Entry]:
    """Return the record of an evaluation."""
    now = running.world.clock.now()
    pause = timedelta(seconds=gate.retries.first_pause_s)
    is_retry = verdict is PolicyVerdict.RETRY
    texts = [failure.text for failure in failures]
    outputs: JsonObject = {"verdict": verdict.value, "failures": texts}
    if failures:
        outputs["failureIds"] = [failure.id for failure in failures]
    evaluation = Evaluation(
        policy=running.plan.policy(gate.policy_id),
        attempt=attempt,
        verdict=verdict,
        failures=texts,
        next_attempt_at=timestamp.to_text(now + pause) if is_retry else None,
    )
    outcome = StepOutcome(
        path=running.path,
        attempt=attempt,
        status=StepStatus.FAILED if verdict in _FAILURES else StepStatus.SUCCEEDED,
        outputs=outputs,
        final=not is_retry,
    )
    entry = flow_entries.policy_evaluated(running.path, evaluation, timestamp.to_text(now))
    return outcome, entry
