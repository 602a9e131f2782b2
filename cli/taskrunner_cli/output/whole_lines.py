"""Joins the entries of a log whose output is parts of one line.

A line that takes long, such as a progress bar, comes in several entries. It counts when it ends:
with its line end, with the next entry about its step that is not output, or with the log. So the
same log gives the same lines, whenever its entries were read.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from taskrunner_cli.api.documents import STATUS_OF_LAST_EVENT, LogEntry
from taskrunner_cli.output.step_output import is_output


class _Stream(NamedTuple):
    """A stream of an attempt; an attempt's standard output and error are lines apart."""

    step_id: str
    attempt: str
    name: str


class WholeLines:
    """The output that a log has shown so far, of which each stream may have an unfinished line."""

    def __init__(self) -> None:
        self._unfinished: dict[_Stream, LogEntry] = {}

    def add(self, entry: LogEntry) -> Iterator[LogEntry]:
        """Yield the entries that the next *entry* of the log completes: whole lines of output."""
        if not is_output(entry):
            step_id = entry.get("stepId")
            is_last = entry["eventType"] in STATUS_OF_LAST_EVENT
            yield from self._end(
                [stream for stream in self._unfinished if is_last or stream.step_id == step_id]
            )
            yield entry
            return
        stream = _stream_of(entry)
        earlier = self._unfinished.pop(stream, None)
        message = (earlier["message"] if earlier else "") + entry["message"]
        lines, end, rest = message.rpartition("\n")
        if rest:
            self._unfinished[stream] = {**entry, "message": _visible(rest)}
        if end:
            yield {**entry, "message": lines + end}

    def rest(self) -> Iterator[LogEntry]:
        """Yield the unfinished lines, which end here."""
        yield from self._end(list(self._unfinished))

    @property
    def unfinished(self) -> list[LogEntry]:
        """The unfinished lines, as they are now."""
        return list(self._unfinished.values())

    def _end(self, streams: Iterable[_Stream]) -> Iterator[LogEntry]:
        for stream in streams:
            yield self._unfinished.pop(stream)


def whole_lines(entries: Iterable[LogEntry]) -> Iterator[LogEntry]:
    """Yield *entries*, which are a log up to its end, with their output in whole lines."""
    lines = WholeLines()
    for entry in entries:
        yield from lines.add(entry)
    yield from lines.rest()


def _stream_of(entry: LogEntry) -> _Stream:
    metadata = entry.get("metadata", {})
    return _Stream(entry.get("stepId", ""), metadata.get("attempt", ""), metadata.get("stream", ""))


def _visible(line: str) -> str:
    """Return the part of an unfinished *line* that was not written over.

    A carriage return at its end writes nothing over yet.
    """
    text = line.rstrip("\r")
    return text.rpartition("\r")[2] + line[len(text) :][:1]
