"""Redacts a stream while it arrives, also a secret that is split over several writes."""

import codecs
from typing import Final

from taskrunner_cli.redaction import Redactor


class RedactedStream:
    """One of a job's two streams.

    The end of the data is held back, because it may be the beginning of a secret: as many bytes as
    the longest spelling of a secret has. Without secrets nothing is held back.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor: Final = redactor
        self._decoder: Final = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = b""

    def feed(self, data: bytes) -> str:
        """Return the text that *data* completes; it may be empty."""
        self._pending += data
        settled = self._redactor.settled_bytes(self._pending)
        complete, self._pending = self._pending[:settled], self._pending[settled:]
        return self._decoder.decode(self._redactor.data(complete))

    def close(self) -> str:
        """Return the rest of the text."""
        rest, self._pending = self._pending, b""
        return self._decoder.decode(self._redactor.data(rest), final=True)
