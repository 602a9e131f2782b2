"""`lambda:<name>` calls a function of the deployment: how others add executors of their own."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from taskrunner import executors

if TYPE_CHECKING:
    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import Json


class Parameters(BaseModel):
    """Whatever the function takes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", frozen=True)


def execute(parameters: Parameters, work: Work) -> Json:
    """Return the function's answer to `{run, step, attempt, idempotencyKey, with}`.

    Raises:
        ExecutorFailure: there is no such function, or it failed.
    """
    name = executors.function_name(work.uses)
    assert name is not None  # noqa: S101 - by this name the executor was found
    return work.functions.invoke(
        name,
        {
            "run": {"id": work.run_id, "tenant": work.tenant},
            "step": work.step_id,
            "attempt": work.attempt,
            "idempotencyKey": idempotency_key(
                work.tenant, work.run_id, work.run_created_at, work.step_id
            ),
            "with": dict(parameters.model_extra or {}),
        },
    )


def idempotency_key(tenant: str, run_id: str, run_created_at: str, path: str) -> str:
    """64 hex digits that name what a step is to bring about: the same in each of its attempts.

    Whoever keeps it does the same thing once, also when Lambda, the state machine or the pack's own
    retries ask again. A run whose id retention has freed is another run, by its creation.
    """
    # No part can hold the separator, so that no two steps ever come to one text.
    text = f"{tenant}\n{run_id}\n{run_created_at}\n{path}"
    return hashlib.sha256(text.encode()).hexdigest()
