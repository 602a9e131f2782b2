"""The words about steps that run elsewhere: on workers, and in state machines that they call."""

from collections.abc import Iterable
from typing import Final

from taskrunner_cli.api.documents import FINAL_STEP_STATUSES, Step, StepAttempt

WAITING_FOR_WORKER: Final = "waiting-for-worker"
"""The reason of a step that no worker has taken yet."""
_NOT_ASKED_YET: Final = "not-asked-yet"
_MOST_WAITS: Final = 5


def wait_message(step: Step) -> str:
    """Return why a step waits for a worker; nothing if it does not wait for one."""
    return step.get("workerWait", {}).get("message", "")


def has_known_cause(step: Step) -> bool:
    """Return whether time alone does not show soon why a step waits."""
    return step.get("workerWait", {}).get("cause") != _NOT_ASKED_YET


def first_for_each_wait(steps: Iterable[Step]) -> set[str]:
    """Return the ids of the first steps that wait for workers, one for each reason to wait."""
    first: dict[str, str] = {}
    for step in steps:
        if message := wait_message(step):
            first.setdefault(message, step["stepId"])
    return set(list(first.values())[:_MOST_WAITS])


def place_of(step: Step) -> str:
    """Return why a step waits for a worker, or what runs or failed it; and the lost worker before.

    Once the step is over, the lost worker is of the past.
    """
    loss = "" if step["status"] in FINAL_STEP_STATUSES else step.get("lastLoss", {}).get("message")
    place = _present_place(step)
    return f"{place} ({loss})" if loss else place


def _present_place(step: Step) -> str:
    if step.get("statusReason") == WAITING_FOR_WORKER:
        return wait_message(step) or f"pool {step.get('pool', '')}".strip()
    return ran_on(step) if step["status"] in {"Running", "Failed"} else ""


def ran_on(step: Step | StepAttempt) -> str:
    """Return the worker that runs or ran a step or an attempt, or the execution that it is."""
    if "worker" in step:
        return f"on {step['worker']}"
    name = step.get("executionArn", "").rpartition(":")[2]  # the whole is wider than most terminals
    return f"execution {name}" if name else ""


def execution_of(step: Step) -> str:
    """Return where the execution is that a step has called; nothing if it has called none."""
    return step.get("executionUrl") or step.get("executionArn", "")
