"""Lines that steps have printed: which they are in a log, and how they are shown.

A line has the step that printed it before it: `build | compiling` from standard output, and
`build ! warning: old` from standard error, so that both differ without colours too.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterator
from typing import Final

from rich.text import Text

from taskrunner_cli.api.documents import LogEntry
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.sanitize import output_lines

OUTPUT_EVENT: Final = "step.output"
"""The type of the entries of a log that have output of a step."""

_MARKS: Final = {"stderr": ("!", "yellow")}
_OTHER_MARK: Final = ("|", "default")
_LAST_LINES: Final = 10


def is_output(entry: LogEntry) -> bool:
    """Return whether an entry has output of a step."""
    return entry["eventType"] == OUTPUT_EVENT


def has_words(entry: LogEntry, words: str) -> bool:
    """Return whether *words* are in the event of an entry, its message, or a line of its output."""
    texts = output_lines(entry["message"]) if is_output(entry) else [entry["message"]]
    return any(_is_in(words, text) for text in (entry["eventType"], *texts))


def printed_lines(entry: LogEntry, words: str = "") -> list[Text]:
    """Return the lines that an entry of output has, each with its step before it.

    If *words* are in some of them, only those are returned.
    """
    lines = output_lines(entry["message"])
    lines = [line for line in lines if _is_in(words, line)] or lines
    mark, style = _MARKS.get(_stream_of(entry), _OTHER_MARK)
    step_id = entry.get("stepId", "")
    return [
        Text.assemble(text(step_id, "bold"), (f" {mark} ", "dim"), text(line, style))
        for line in lines
    ]


def _is_in(words: str, text: str) -> bool:
    """Return whether *text* has *words*, in capitals or not."""
    return words.casefold() in text.casefold()


class LastOutput:
    """The last lines that each step has printed, by entries that hold whole lines."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Text]] = defaultdict(lambda: deque(maxlen=_LAST_LINES))

    def add(self, entry: LogEntry) -> None:
        """Take the next entry of the log."""
        if is_output(entry):
            self._lines[entry.get("stepId", "")].extend(printed_lines(entry))

    def of(self, step_ids: Collection[str]) -> Iterator[Text]:
        """Yield the last lines of some steps, in the order of *step_ids*."""
        for step_id in step_ids:
            yield from self._lines.get(step_id, ())


def _stream_of(entry: LogEntry) -> str:
    return entry.get("metadata", {}).get("stream", "")
