"""Chooses the entries of a log by their step, level, words and time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from taskrunner_cli.api.documents import LogEntry
from taskrunner_cli.output.formatting import parse_time
from taskrunner_cli.output.step_output import has_words

LEVELS: Final = ("debug", "info", "warn", "error")


@dataclass(frozen=True, slots=True)
class LogFilter:
    """The conditions that all must hold.

    Args:
        step: the id of a step or an iteration, such as `hosts[3]`; empty for all. The steps in a
            step's iterations, and in an iteration, count as its own.
        least_level: the position of the lowest level in LEVELS; an unknown level counts as info.
        failed_steps: the ids of the steps whose entries are wanted; None for all.
        words: a part of the event or the message, or of a line of output, in capitals or not; empty
            for all.
        since: the earliest time of an entry; an entry without a time is wanted always.

    """

    step: str = ""
    least_level: int = 0
    failed_steps: frozenset[str] | None = None
    words: str = ""
    since: datetime | None = None

    def accepts(self, entry: LogEntry) -> bool:
        """Return whether the entry is one of those wanted."""
        step_id, level = entry.get("stepId", ""), entry["level"]
        importance = LEVELS.index(level if level in LEVELS else "info")
        return (
            importance >= self.least_level
            and self._is_of_step(step_id)
            and (self.failed_steps is None or step_id in self.failed_steps)
            and has_words(entry, self.words)
            and not self._is_too_early(entry)
        )

    def _is_of_step(self, step_id: str) -> bool:
        inside = f"{self.step}[", f"{self.step}::"
        return not self.step or step_id == self.step or step_id.startswith(inside)

    def _is_too_early(self, entry: LogEntry) -> bool:
        time = parse_time(entry["timestamp"])
        return self.since is not None and time is not None and time < self.since
