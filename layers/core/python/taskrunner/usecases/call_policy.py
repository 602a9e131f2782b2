"""Ask an executor function whether a policy holds. Only a clear yes counts as a yes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner import executors
from taskrunner.errors import TryAgainError
from taskrunner.executors.function import idempotency_key
from taskrunner.executors.work import AnswerLost, ExecutorFailure
from taskrunner.model.flow import PolicyFailure

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json
    from taskrunner.model.plan import Policy
    from taskrunner.runtime.running_step import RunningStep

_MOST_FAILURES: Final = 20


def call_policy(
    policy: Policy, parameters: Json, attempt: int, running: RunningStep
) -> list[PolicyFailure]:
    """Return the reasons why *policy* does not hold, from its function; empty when it holds.

    Raises:
        TryAgainError: AWS could not call the function now, or its answer was lost. The same
            evaluation is made again, under the same number and key.
    """
    name = executors.function_name(policy.uses or "")
    if name is None:
        return [PolicyFailure(f"there is no function {policy.uses} in this release")]
    run = running.snapshot.run
    payload = {
        "run": {"id": run.run_id, "tenant": run.tenant},
        "step": running.path,
        "attempt": attempt,
        "idempotencyKey": idempotency_key(run.tenant, run.run_id, run.created_at, running.path),
        "with": parameters,
        "policy": {"id": policy.id, "version": policy.version},
    }
    try:
        answer = running.world.functions.invoke(name, payload)
    except AnswerLost as lost:
        raise TryAgainError(str(lost)) from None
    except ExecutorFailure as failure:
        return [PolicyFailure(str(failure))]
    return _failures(answer, str(policy.uses))


def _failures(answer: Json, uses: str) -> list[PolicyFailure]:
    passed = answer.get("passed") if isinstance(answer, dict) else None
    if passed is True:
        return []
    if passed is not False:
        return [PolicyFailure(f"{uses} answered neither passed: true nor passed: false")]
    failures = answer.get("failures") or []
    if not isinstance(failures, list):
        message = f"{uses} answered passed: false, with failures that are not a list"
        return [PolicyFailure(message)]
    found = [_failure(failure) for failure in failures[:_MOST_FAILURES]]
    return found or [PolicyFailure(f"{uses} answered passed: false")]


def _failure(failure: Json) -> PolicyFailure:
    match failure:
        case str() if failure:
            return PolicyFailure(failure)
        case {"id": str(rule_id), "message": str(message)}:
            return PolicyFailure(message, rule_id)
        case {"message": str(message)} if message:
            return PolicyFailure(message)
        case _:
            return PolicyFailure("a failure without a message")
