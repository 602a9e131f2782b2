"""Ask an executor function whether a policy holds. Whatever is no clear yes is a no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner import executors
from taskrunner.executors.function import idempotency_key
from taskrunner.executors.work import ExecutorFailure

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json
    from taskrunner.model.plan import Policy
    from taskrunner.runtime.question import Asked

_MOST_FAILURES: Final = 20


def call_policy(policy: Policy, given: Json, number: int, asked: Asked) -> list[str]:
    """Why *policy* does not hold, in the words of its function; nothing when it holds.

    Raises:
        TryAgainError: AWS could not call the function now, so that nothing has been evaluated.
    """
    name = executors.function_name(policy.uses or "")
    if name is None:
        return [f"there is no function {policy.uses} in this release"]
    run = asked.head.run
    payload = {
        "run": {"id": run.run_id, "tenant": run.tenant},
        "step": asked.path,
        "attempt": number,
        "idempotencyKey": idempotency_key(run.tenant, run.run_id, run.created_at, asked.path),
        "with": given,
        "policy": {"id": policy.id, "version": policy.version},
    }
    try:
        answer = asked.world.functions.invoke(name, payload)
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
        return [f"{uses} says no, and its failures are no list"]
    return [_told(one) for one in failures[:_MOST_FAILURES]] or [f"{uses} says no"]


def _told(failure: Json) -> str:
    match failure:
        case str() if failure:
            return failure
        case {"id": str(of), "message": str(message)}:
            return f"{of}: {message}"
        case {"message": str(message)} if message:
            return message
        case _:
            return "a failure without a message"
