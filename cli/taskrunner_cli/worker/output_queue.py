"""The output that waits for the next heartbeat; several threads use it.

Its size is bounded: the service records the first 64 KiB of an attempt's output, so there is never
more in the queue.
"""

import threading
from collections.abc import Callable
from typing import Final

from taskrunner_cli.api.worker_documents import OutputItem, Stream
from taskrunner_cli.worker.settings import LOG_BYTES

_MAX_CHARACTERS: Final = 4000
_MAX_ITEMS: Final = 4


class OutputQueue:
    """The recorded part of an attempt's output, in items for heartbeats.

    Args:
        on_output: is called when there is something to send.

    """

    def __init__(self, on_output: Callable[[], None] = lambda: None) -> None:
        self.on_output = on_output
        self._lock = threading.Lock()
        self._items: list[OutputItem] = []
        self._taken = 0
        self._sequence = 0
        self._bytes_left = LOG_BYTES
        self.is_cut = False

    def put(self, stream: Stream, text: str) -> None:
        """Append text of a stream, as much of it as the service records."""
        with self._lock:
            kept = _beginning(text, self._bytes_left)
            self.is_cut = self.is_cut or len(kept) < len(text)
            # Nothing is recorded after a cut, even if it is short.
            self._bytes_left = 0 if self.is_cut else self._bytes_left - len(kept.encode())
            rest = kept
            while rest:
                rest = rest[self._append(stream, rest) :]
        if kept:
            self.on_output()

    @property
    def is_empty(self) -> bool:
        """Whether everything has been acknowledged."""
        with self._lock:
            return not self._items

    @property
    def is_last_batch(self) -> bool:
        """Whether what is left fits into one request."""
        with self._lock:
            return len(self._items) <= _MAX_ITEMS

    def take(self) -> list[OutputItem]:
        """Return the oldest items; they stay in the queue until they are acknowledged."""
        with self._lock:
            self._taken = min(len(self._items), _MAX_ITEMS)
            return self._items[: self._taken]

    def acknowledge(self, bytes_left: int | None) -> None:
        """Drop the items that were taken last; *bytes_left* is how much more is recorded."""
        with self._lock:
            del self._items[: self._taken]
            self._taken = 0
            if bytes_left is not None and bytes_left <= 0:
                self.is_cut = self.is_cut or bool(self._items)
                self._items.clear()
                self._bytes_left = 0

    def _append(self, stream: Stream, text: str) -> int:
        """Append the beginning of *text* to the last item or a new one; return its length."""
        last = self._items[-1] if len(self._items) > self._taken else None
        added = ""
        if last is not None and last["stream"] == stream:
            added = _whole_lines(text, _MAX_CHARACTERS - len(last["text"]))
        if last is None or not added:
            self._sequence += 1
            last = OutputItem(sequence=self._sequence, stream=stream, text="")
            self._items.append(last)
            added = _whole_lines(text, _MAX_CHARACTERS) or text[:_MAX_CHARACTERS]
        last["text"] += added
        return len(added)


def _whole_lines(text: str, characters: int) -> str:
    """Return *text* if it has so few characters, else as many lines of it as fit."""
    if len(text) <= characters:
        return text
    return text[: text.rfind("\n", 0, max(0, characters)) + 1]


def _beginning(text: str, size_bytes: int) -> str:
    """Return as many characters of *text* as fit into *size_bytes* of UTF-8."""
    data = text.encode("utf-8", "replace")
    return text if len(data) <= size_bytes else data[:size_bytes].decode("utf-8", "ignore")
