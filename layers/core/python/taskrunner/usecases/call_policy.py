"""Ask an executor function whether a policy holds. Only a clear yes counts as a yes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner import executors
from taskrunner.errors import TryAgainError
from taskrunner.executors.function import idempotency_key
from taskrunner.executors.work import AnswerLost, ExecutorFailure

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json
    from taskrunner.model.plan import Policy
    from taskrunner.runtime.running_step import RunningStep

_MOST_FAILURES: Final = 20


def call_policy(policy: Policy, parameters: Json, attempt: int, running: RunningStep) -> list[str]:
    """Return the reasons why *policy* does not hold, from its function; empty when it holds.

    Raises:
        TryAgainError: AWS could not call the function now, or its answer was lost. The same
            evaluation is made again, under the same number and key.
    """
    name = executors.function_name(policy.uses or "")
    if name is None:
        return [f"there is no function {policy.uses} in this release"]
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
        return [str(failure)]
    return _failures(answer, str(policy.uses))


def _failures(answer: Json, uses: str) -> list[str]:
    passed = answer.get("passed") if isinstance(answer, dict) else None
    if passed is True:
        return []
    if passed is not False:
        return [f"{uses} answered neither passed: true nor passed: false"]
    failures = answer.get("failures") or []
    if not isinstance(failures, list):
        return [f"{uses} answered passed: false, with failures that are not a list"]
    messages = [_message(failure) for failure in failures[:_MOST_FAILURES]]
    return messages or [f"{uses} answered passed: false"]


def _message(failure: Json) -> str:
    match failure:
        case str() if failure:
            return failure
        case {"id": str(rule_id), "message": str(message)}:
            return f"{rule_id}: {message}"
        case {"message": str(message)} if message:
            return message
        case _:
            return "a failure without a message"
