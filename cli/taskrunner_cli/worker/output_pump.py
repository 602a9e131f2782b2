"""Reads a job's streams to their ends, so that the job never waits for its reader.

The text goes redacted into the queue of the heartbeats and into a file, both bounded. Further
output is read and dropped.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from taskrunner_cli.api.worker_documents import Stream
from taskrunner_cli.redaction import Redactor
from taskrunner_cli.worker.output_queue import OutputQueue
from taskrunner_cli.worker.output_stream import RedactedStream
from taskrunner_cli.worker.settings import KEPT_OUTPUT_BYTES

_CHUNK_BYTES: Final = 1 << 16
_STREAMS: Final[tuple[Stream, Stream]] = ("stdout", "stderr")


class KeptOutput:
    """The file of the whole output, up to a size, which ends with a note if there was more."""

    def __init__(self, path: Path, limit_bytes: int = KEPT_OUTPUT_BYTES) -> None:
        self.path: Final = path
        self._lock = threading.Lock()
        self._file = path.open("wb")
        self._left_bytes = limit_bytes
        self._is_full = False
        self._limit_bytes = limit_bytes

    @property
    def is_full(self) -> bool:
        """Whether further output is dropped."""
        return self._is_full

    def write(self, text: str) -> None:
        """Append *text*."""
        with self._lock:
            data = text.encode("utf-8", "replace")
            if self._is_full or not data:
                return
            try:
                self._append(data)
            except OSError:  # the disk is full; the job's end matters more than its output
                self._is_full = True

    def close(self) -> None:
        """Finish the file."""
        with self._lock, suppress(OSError):
            self._is_full = True
            self._file.close()

    def _append(self, data: bytes) -> None:
        self._file.write(data[: self._left_bytes])
        if len(data) > self._left_bytes:
            note = f"\n[the output was cut after {self._limit_bytes} bytes]\n"
            self._file.write(note.encode())
            self._is_full = True
        self._left_bytes -= len(data)


class OutputPump:
    """Two threads that read the streams of one job."""

    def __init__(self, redactor: Redactor, queue: OutputQueue, kept: KeptOutput) -> None:
        self._redactor = redactor
        self._queue = queue
        self._kept = kept
        self._threads: list[threading.Thread] = []

    def start(self) -> tuple[int, int]:
        """Start reading, and return the file descriptors for the job's output and errors."""
        pipes = [os.pipe() for _ in _STREAMS]
        for stream, (read_end, _) in zip(_STREAMS, pipes, strict=True):
            thread = threading.Thread(target=self._read, args=(stream, read_end), daemon=True)
            thread.start()
            self._threads.append(thread)
        (_, output), (_, errors) = pipes
        return output, errors

    def finish(self, timeout_s: float) -> bool:
        """Wait for the ends of both streams; return whether they came."""
        for thread in self._threads:
            thread.join(timeout_s)
        return not any(thread.is_alive() for thread in self._threads)

    def _read(self, name: Stream, descriptor: int) -> None:
        stream = RedactedStream(self._redactor)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            while data := file.read(_CHUNK_BYTES):
                if not self._kept.is_full:
                    self._pass_on(name, stream.feed(data))
        self._pass_on(name, stream.close())

    def _pass_on(self, name: Stream, text: str) -> None:
        if text:
            self._queue.put(name, text)
            self._kept.write(text)
