"""Measures how long each step of a run takes, by the times in its log."""

from datetime import datetime, timedelta
from typing import Final

from taskrunner_cli.api.documents import FINAL_STEP_STATUSES, LogEntry, RunState
from taskrunner_cli.output.formatting import parse_time

_START_EVENTS: Final = frozenset({"step.started", "gate.awaiting"})


class StepDurations:
    """The durations of one run's steps."""

    def __init__(self) -> None:
        self._started: dict[str, datetime] = {}
        self._last_entry: dict[str, datetime] = {}

    def add(self, entry: LogEntry) -> None:
        """Take note of a log entry's time."""
        step_id, time = entry.get("stepId"), parse_time(entry["timestamp"])
        if not step_id or not time:
            return
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
