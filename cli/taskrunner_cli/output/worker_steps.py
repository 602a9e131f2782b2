"""The words about steps that run elsewhere: on workers, and in state machines that they call."""

from collections.abc import Iterable
from typing import Final

from taskrunner_cli.api.documents import FINAL_STEP_STATUSES, Step

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
    """Return why a step waits for a worker, or the worker or execution that runs or failed it."""
    if step.get("statusReason") == WAITING_FOR_WORKER:
        return wait_message(step) or f"pool {step.get('pool', '')}".strip()
    if step["status"] not in {"Running", "Failed"}:
        return ""
    if "worker" in step:
        return f"on {step['worker']}"
    name = step.get("executionArn", "").rpartition(":")[2]  # the whole is wider than most terminals
    return f"execution {name}" if name else ""


def execution_of(step: Step) -> str:
    """Return where the execution is that a step has called; nothing if it has called none."""
    return step.get("executionUrl") or step.get("executionArn", "")


def loss_of(step: Step) -> str:
    """Return which worker was lost with an attempt that is not over."""
    is_over = step["status"] in FINAL_STEP_STATUSES
    return "" if is_over else step.get("lastLoss", {}).get("message", "")
