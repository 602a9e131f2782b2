"""One step with its attempts, its error and its outputs, as the API shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model import api_view, worker_view
from taskrunner.model.plan import PolicyGate, RunStep
from taskrunner.model.run import StepStatus
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import StepState, WorkerLoss
    from taskrunner.model.step_attempts import Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class StepHistory:
    """The attempts of a step, and the losses of workers among them; *started_at* is the first time.

    *links* are the API's members about executions that attempts have called, by name.
    """

    attempts: Sequence[Attempt]
    losses: Sequence[WorkerLoss]
    started_at: str | None
    links: Mapping[str, JsonObject]


def step_detail(
    plan: Plan, state: StepState, history: StepHistory, outputs: Json, members: JsonObject
) -> JsonObject:
    """Return the API's RunStepResponse; *outputs* is None when there are none, or too large.

    *members* are those that the run's record does not have.
    """
    is_failed = state.status is StepStatus.FAILED and state.reason is not None
    error = {"reason": str(state.reason), "message": state.error_message} if is_failed else None
    step = plan.step(state.template_id)
    view: JsonObject = {
        "retries": api_view.retries(step) if isinstance(step, RunStep | PolicyGate) else None,
        "startedAt": history.started_at,
        "endedAt": state.last_transition_at if state.has_ended else None,
        "error": None if error is None else api_view.without_none(error),
        "outputs": outputs,
        "attemptHistory": [_attempt(attempt, history.links) for attempt in history.attempts],
        "losses": [worker_view.worker_loss(loss) for loss in history.losses] or None,
    }
    branch = plan.branches().get(state.template_id)
    return api_view.step(plan, step, state, branch) | members | api_view.without_none(view)


def _attempt(attempt: Attempt, links: Mapping[str, JsonObject]) -> JsonObject:
    view = api_view.without_none(
        {
            "attempt": attempt.number,
            "status": attempt.status.value,
            "worker": attempt.worker,
            "startedAt": attempt.started_at,
            "endedAt": attempt.ended_at,
            "reason": None if attempt.reason is None else attempt.reason.value,
            "message": attempt.message,
            "nextAttemptAt": attempt.next_attempt_at,
        }
    )
    return view | links.get(attempt.execution or "", {})
