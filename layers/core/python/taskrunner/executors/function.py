"""`lambda:<name>` invokes an executor function of the account: how others add executors."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from taskrunner import executors
from taskrunner.executors.parameters import AnyParameters

if TYPE_CHECKING:
    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import Json


class Parameters(AnyParameters):
    """Any parameters: the function checks them."""


def execute(parameters: Parameters, work: Work) -> Json:
    """Return the function's answer to `{run, step, attempt, idempotencyKey, with}`.

    Raises:
        ExecutorFailure: there is no such function, or it failed.
    """
    name = executors.function_name(work.uses)
    assert name is not None  # noqa: S101 - the reference led to this module
    return work.functions.invoke(
        name,
        {
            "run": {"id": work.run_id, "tenant": work.tenant},
            "step": work.step_path,
            "attempt": work.attempt,
            "idempotencyKey": idempotency_key(
                work.tenant, work.run_id, work.run_created_at, work.step_path
            ),
            "with": dict(parameters.model_extra or {}),
        },
    )


def idempotency_key(tenant: str, run_id: str, run_created_at: str, step_path: str) -> str:
    """Return 64 hex digits that name the effect of a step, the same in each of its attempts.

    A function that remembers the key has its effect once, even when Lambda, the state machine or
    the pack's own retries call again. The creation time distinguishes two runs with the same id,
    because an id is free again after retention.
    """
    # No part can contain the separator, so no two steps share a key.
    text = f"{tenant}\n{run_id}\n{run_created_at}\n{step_path}"
    return hashlib.sha256(text.encode()).hexdigest()
