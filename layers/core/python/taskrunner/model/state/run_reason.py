"""The reason of a run's end, by the entries of the write that ended it, or of its wait.

A list of runs shows it. It is recorded with the run's end, so a list reads no journal. A list
reads the last entries of an unended run, for its status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from taskrunner.model.entries.gate_entries import GateOpened
from taskrunner.model.entries.reading import AboutAStep, read
from taskrunner.model.entries.run_entries import CancelRequested, RunEnded
from taskrunner.model.plan import StepKind
from taskrunner.model.run import Reason, RunStatus, StepState, StepStatus
from taskrunner.model.state import transitions
from taskrunner.model.wording import shortened, who

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonObject

# The run's item is read and written with each change of it, so it has no room for long messages.
_MAX_CHARACTERS: Final = 300


def run_reason(entries: Sequence[Entry], failed_step: str | None) -> JsonObject | None:
    """Return the API's RunStatusReason of a run that *entries* end; None if it has succeeded.

    *failed_step* is the path of the step that failed the run, and None if no step did. Its state is
    the one that *entries* give it, as in the state of the run.
    """
    end = read(entries[-1])
    if not isinstance(end, RunEnded) or end.status is RunStatus.SUCCEEDED:
        return None
    if end.status is RunStatus.CANCELLED:
        return {"reason": Reason.CANCELLED.value, "message": _cancelled_by(entries)}
    step = None if failed_step is None else _state_of(failed_step, entries)
    if step is None or step.status is not StepStatus.FAILED:
        return {"message": entries[-1].message}
    return failure_reason(step)


def failure_reason(step: StepState) -> JsonObject:
    """Return the API's RunStatusReason of a run that the failure of *step* fails."""
    view: JsonObject = {"stepId": step.path}
    if step.reason is not None:
        view["reason"] = step.reason.value
    if step.error_message:
        view["message"] = shortened(step.error_message, _MAX_CHARACTERS)
    return view


def waiting_reason(tail: Sequence[Entry]) -> JsonObject | None:
    """Return the API's RunStatusReason of a run that waits, by its journal's last entries.

    It is about the gate of the newest entry that says that one waits.
    """
    for entry in reversed(tail):
        fact = read(entry)
        if isinstance(fact, GateOpened):
            state = _state_of(entry.step_path or "", [entry])
            view: JsonObject = {"stepId": entry.step_path, "message": entry.message}
            return view if state.reason is None else view | {"reason": state.reason.value}
    return None


def _state_of(path: str, entries: Sequence[Entry]) -> StepState:
    """The state of the step at *path* by *entries* alone."""
    state = StepState(
        path=path,
        template_id=path,
        parent_path=None,
        kind=StepKind.RUN,
        enabled=True,
        continue_on_error=False,
    )
    for entry in entries:
        fact = read(entry)
        if entry.step_path == path and isinstance(fact, get_args(AboutAStep)):
            state = transitions.after(state, fact, entry.occurred_at) or state
    return state


def _cancelled_by(entries: Sequence[Entry]) -> str:
    facts = map(read, entries)
    request = next((fact for fact in facts if isinstance(fact, CancelRequested)), None)
    if request is None or request.requested_by is None:
        return "Cancelled."
    return f"Cancelled by {who(request.requested_by, request.name)}."
