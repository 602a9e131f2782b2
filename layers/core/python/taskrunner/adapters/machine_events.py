"""The events that a pack's state machine calls functions with.

* `place` says where the execution is: `run` is `{tenant, id}`, and `path` is the prefix of step
  paths. Its `timeout` and `next` may be an error that led back to the state.
* `step` is the step's id, and `retry` how often Step Functions has called run_step for the state
  before.
* `ended` is the id of a block that has ended before the step, and is to be checked.

Machines of earlier releases, whose runs may still be in progress, say `{tenant, run, step, path}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from taskrunner.model.run import StepReference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.model.json_types import JsonObject

# The `ask` of the state before `finally`.
FINALLY: Final = "finally"
_TIMEOUT: Final = "States.Timeout"


def step_reference(event: Mapping[str, Any]) -> StepReference:
    """Return the step that a machine has come to."""
    if "tenant" in event:
        return StepReference(event["tenant"], event["run"], event["step"], event["path"])
    place = event["place"]
    tenant, run_id = run_of(event)
    return StepReference(tenant, run_id, event["step"], place["path"])


def run_of(event: Mapping[str, Any]) -> tuple[str, str]:
    """Return tenant and id of the run of an event, or of the input of an execution."""
    run = event["run"] if "run" in event else event["place"]["run"]
    return run["tenant"], run["id"]


def gate_event(gate: StepReference, token: str, *, has_timed_out: bool) -> JsonObject:
    """Return the event by which a machine that waits with *token* comes to a gate."""
    run = {"tenant": gate.tenant, "id": gate.run_id}
    place: JsonObject = {"run": run, "path": gate.prefix}
    if has_timed_out:
        place["timeout"] = {"Error": _TIMEOUT}
    return {"place": place, "step": gate.step_id, "token": token}


def is_retry(event: Mapping[str, Any]) -> bool:
    """Return whether the state may have called the function before, and retries it."""
    # A machine may be of a release that did not say it.
    return event.get("retry") != 0


def has_timed_out(event: Mapping[str, Any]) -> bool:
    """Return whether the state has waited for all of its time."""
    error = event.get("place", {}).get("timeout")
    return bool(error) and error["Error"] == _TIMEOUT


def has_failed(event: Mapping[str, Any]) -> bool:
    """Return whether a failure inside a loop, or of its last turn, led back to the loop."""
    return isinstance(event.get("place", {}).get("next"), dict)


def failure(event: Mapping[str, Any]) -> str | None:
    """Return the name of the error that ended the steps before `finally`; None if none did."""
    error = event["place"].get("failure")
    return None if error is None else str(error["Error"])


def path_prefix(execution_input: Mapping[str, Any]) -> str:
    """Return the path prefix that an execution starts with; only a run's own has an empty one."""
    place = execution_input.get("place", execution_input)
    prefix: str = place["path"]
    return prefix
