"""Measures how long each step of a run takes, by the times in its log."""

from datetime import datetime, timedelta
from typing import Final

from taskrunner_cli.api.documents import FINAL_STEP_STATUSES, LogEntry, RunState
from taskrunner_cli.output.formatting import parse_time

_STEP_STARTED: Final = "step.started"
_START_EVENTS: Final = frozenset({_STEP_STARTED, "gate.awaiting"})


class StepDurations:
    """The durations of one run's steps."""

    def __init__(self) -> None:
        self._started: dict[str, datetime] = {}
        self._last_entry: dict[str, datetime] = {}
        self.running: set[str] = set()
        """The ids of the steps of which the log has an attempt without its end."""

    def add(self, entry: LogEntry) -> None:
        """Take note of a log entry's event and time."""
        step_id, time = entry.get("stepId"), parse_time(entry["timestamp"])
        if not step_id or not time:
            return
        if entry["eventType"] == _STEP_STARTED:
            self.running.add(step_id)
        else:
            self.running.discard(step_id)
        if entry["eventType"] in _START_EVENTS:
            self._started.setdefault(step_id, time)
        self._last_entry[step_id] = time

    def at(self, now: datetime, run: RunState) -> dict[str, timedelta]:
        """Return the durations by step id; that of an unfinished step lasts until *now*."""
        finished = {
            step["stepId"] for step in run["steps"] if step["status"] in FINAL_STEP_STATUSES
        }
        return {
            step_id: (self._last_entry[step_id] if step_id in finished else now) - started
            for step_id, started in self._started.items()
        }
