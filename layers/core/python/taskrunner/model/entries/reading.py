"""Read what any entry of a journal says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from taskrunner.model.entries import (
    flow_entries,
    gate_entries,
    job_entries,
    run_entries,
    step_entries,
)
from taskrunner.model.entries.flow_entries import (
    FlowDecided,
    PolicyEvaluated,
    TimeReached,
    ValueKept,
)
from taskrunner.model.entries.gate_entries import DecisionRecorded, GateOpened
from taskrunner.model.entries.job_entries import JobOffered, OutputWritten, WorkerLost
from taskrunner.model.entries.run_entries import (
    CancelRequested,
    RunCreated,
    RunEnded,
    RunStarted,
    SloBreached,
    StepsEnded,
    StepsFailed,
)
from taskrunner.model.entries.step_entries import (
    AttemptDeferred,
    AttemptStarted,
    StepCompleted,
    StepFailed,
    StepSkipped,
)
from taskrunner.model.journal import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskrunner.model.journal import Entry

AboutTheRun: TypeAlias = (
    RunCreated | RunStarted | CancelRequested | RunEnded | SloBreached | StepsFailed | StepsEnded
)
AboutAStep: TypeAlias = (
    AttemptStarted
    | AttemptDeferred
    | StepCompleted
    | StepFailed
    | StepSkipped
    | FlowDecided
    | TimeReached
    | ValueKept
    | PolicyEvaluated
    | GateOpened
    | DecisionRecorded
    | JobOffered
    | WorkerLost
    | OutputWritten
)
Fact: TypeAlias = AboutTheRun | AboutAStep

_READERS: Final[Mapping[Event, Callable[[Entry], Fact]]] = {
    **run_entries.READERS,
    **step_entries.READERS,
    **gate_entries.READERS,
    **job_entries.READERS,
    Event.FLOW_DECIDED: flow_entries.read_decision,
}


def read(entry: Entry) -> Fact:
    """Return the fact that the entry states, whatever its metadata is."""
    # A policy's evaluation has the event of what it comes to: a step's end, or a decision.
    return flow_entries.read_policy(entry) or _READERS[entry.event](entry)
