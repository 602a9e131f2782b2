"""Measures how long each step and block of a run takes, by the times in its log."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from taskrunner_cli.api.documents import FINAL_STEP_STATUSES, LogEntry, RunState
from taskrunner_cli.output.formatting import parse_time
from taskrunner_cli.output.step_output import is_output

_STEP_STARTED: Final = "step.started"
_STEP_COMPLETED: Final = "step.completed"
_START_EVENTS: Final = frozenset({_STEP_STARTED, "gate.awaiting"})


class StepDurations:
    """The durations of one run's steps."""

    def __init__(self) -> None:
        self._started: dict[str, datetime] = {}
        self._last_entry: dict[str, datetime] = {}
        self.running: set[str] = set()
        """The ids of the steps of which the log has an attempt without its end."""
        self.completed: set[str] = set()
        """The ids of the steps that the log says have succeeded."""

    def add(self, entry: LogEntry) -> None:
        """Take note of a log entry's event and time."""
        step_id, time = entry.get("stepId"), parse_time(entry["timestamp"])
        if not step_id or not time:
            return
        if entry["eventType"] == _STEP_STARTED:
            self.running.add(step_id)
        elif not is_output(entry):
            self.running.discard(step_id)
        if entry["eventType"] == _STEP_COMPLETED:
            self.completed.add(step_id)
        if entry["eventType"] in _START_EVENTS:
            self._started.setdefault(step_id, time)
        self._last_entry[step_id] = time

    def at(self, now: datetime, run: RunState) -> dict[str, timedelta]:
        """Return the durations by step id; that of an unfinished step lasts until *now*.

        A block takes from the start of its first step to the end of its last one.
        """
        finished = {
            step["stepId"] for step in run["steps"] if step["status"] in FINAL_STEP_STATUSES
        }
        parents = {step["stepId"]: step.get("parentId", "") for step in run["steps"]}
        starts, ends = dict(self._started), dict(self._last_entry)
        for step_id, started in self._started.items():
            ended = self._last_entry[step_id]
            for block in _blocks_around(step_id, parents):
                starts[block] = min(starts.get(block, started), started)
                ends[block] = max(ends.get(block, ended), ended)
        return {
            step_id: (ends[step_id] if step_id in finished else now) - started
            for step_id, started in starts.items()
        }


def _blocks_around(step_id: str, parents: Mapping[str, str]) -> Iterator[str]:
    """Yield the ids of the blocks around a step, from the inside; each one once.

    A step that the state leaves out names the maps and loops around it: `fan[3]::scan`.
    """
    seen = {step_id}
    while True:
        step_id = parents.get(step_id) or step_id.rpartition("::")[0].rpartition("[")[0]
        if not step_id or step_id in seen:
            return
        seen.add(step_id)
        yield step_id
