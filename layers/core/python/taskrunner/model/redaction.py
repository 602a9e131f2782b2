"""Finds secrets in texts, JSON and files, in every spelling of `secret_spellings.py`.

Every spelling is a byte string, and `bytes.find` looks for one after the other, in the data and in
what the data gives when it is decoded. That costs a pass for each spelling, at gigabytes a second:
100 MiB take 0.7 to 2.6 s for a password, 1.7 to 4 s for one with many special characters, and 1 to
5 s for a private key of 27 lines (bench/redaction.py). That is 11 to 64 times SHA-256 of the same
data: the most is for a private key that is looked for in base64.

Part of a secret is not found, so nothing may be cut before it was searched.
"""

from __future__ import annotations

import json
import re
from itertools import chain, count, takewhile
from typing import TYPE_CHECKING, Final

from taskrunner.errors import SecretError
from taskrunner.model.encoded_layers import layers
from taskrunner.model.secret_spellings import MIN_CHARACTERS, spellings

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from taskrunner.model.json_types import Json, JsonMapping, JsonObject

__all__ = ["MASK", "MIN_CHARACTERS", "Redactor", "usable"]

MASK: Final = "***"
_WINDOW_BYTES: Final = 1024 * 1024
# Digits that are encoded once more, escaped, and in lines with others between them.
_MAX_BYTES_PER_DIGIT: Final = 8
# The possible ends of base64: `=`, also escaped for URLs, JSON or markup.
_PADDING: Final = re.compile(rb"(?:=|%(?:25)?3[Dd]|\\+u003[Dd]|&#(?:61|x3[Dd]);){1,2}")


class Redactor:
    """Finds and masks the secrets that it was given; without secrets it returns immediately."""

    def __init__(self, values: Mapping[str, str]) -> None:
        """Compute every spelling of *values*, which are by name.

        Raises:
            SecretError: a value has fewer than MIN_CHARACTERS characters.
        """
        by_name = {name: spellings(usable(name, value)) for name, value in values.items()}
        self._texts: Final = _shortest_first(
            (name, spelling) for name, found in by_name.items() for spelling in found.texts
        )
        self._digits: Final = _shortest_first(
            (name, spelling) for name, found in by_name.items() for spelling in found.digits
        )

    @property
    def is_idle(self) -> bool:
        """True if it has no secret to find."""
        return not self._texts

    def text(self, text: str) -> str:
        """Return *text* with `***` in the place of every secret."""
        if self.is_idle:
            return text
        return self.data(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def data(self, data: bytes) -> bytes:
        """Return *data* with `***` in the place of every secret."""
        if self.is_idle:
            return data
        while spans := self._spans(data):  # what is left on both sides may form another secret
            data = _masked(data, spans)
        return data

    def settled_bytes(self, data: bytes) -> int:
        """Return how many bytes at the beginning of *data* can be redacted before more is known.

        The rest may be the beginning of a secret that goes on in what follows. No secret of *data*
        stands across this place.
        """
        if self.is_idle:
            return len(data)
        place = max(len(data) - self._overlap_bytes(), 0)
        return next((start for start, end in self._spans(data) if start < place < end), place)

    def json(self, value: Json) -> Json:
        """Return *value* with every text, key and number redacted that contains a secret."""
        if self.is_idle:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.json(child) for child in value]
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            text = json.dumps(value)
            redacted = self.text(text)
            return value if redacted == text else redacted
        return value

    def _object(self, value: JsonMapping) -> JsonObject:
        redacted: JsonObject = {}
        keys = set(value)
        for key, child in value.items():
            redacted_key = self.text(key)
            if redacted_key != key:
                redacted_key = _unused(redacted_key, keys)
                keys.add(redacted_key)
            redacted[redacted_key] = self.json(child)
        return redacted

    def find(self, chunks: Iterable[bytes]) -> str | None:
        """Return the name of a secret in a stream of bytes, or None when it contains none.

        At most some MiB of the stream are in memory at a time, and a secret across two chunks is
        found.
        """
        if self.is_idle:
            return None
        for window in _windows(chunks, self._overlap_bytes()):
            for spelling, name in self._texts.items():
                if spelling in window:
                    return name
            for layer in layers(window):
                for digits, name in self._digits.items():
                    if digits in layer.digits:
                        return name
        return None

    def _overlap_bytes(self) -> int:
        longest_text = max(map(len, self._texts))
        longest_digits = max(map(len, self._digits))
        return max(longest_text, longest_digits * _MAX_BYTES_PER_DIGIT)

    def _spans(self, data: bytes) -> list[tuple[int, int]]:
        """Return where secrets stand in *data*, in order, with touching ones joined."""
        spans = sorted(chain(self._text_spans(data), self._digit_spans(data)))
        joined: list[tuple[int, int]] = []
        for start, end in spans:
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return joined

    def _text_spans(self, data: bytes) -> Iterator[tuple[int, int]]:
        for spelling in _that_fit(self._texts, data):
            for start in _starts(spelling, data):
                yield start, start + len(spelling)

    def _digit_spans(self, data: bytes) -> Iterator[tuple[int, int]]:
        for layer in layers(data):
            for digits in _that_fit(self._digits, layer.digits):
                for first in _starts(digits, layer.digits):
                    start, end = layer.origin(first, first + len(digits))
                    padding = _PADDING.match(data, end)
                    yield start, end if padding is None else padding.end()


def usable(name: str, value: str) -> str:
    """Return *value* if it can be redacted reliably; space around it does not count.

    Raises:
        SecretError: it is empty, or has fewer than MIN_CHARACTERS characters.
    """
    size = len(value.strip())
    if size < MIN_CHARACTERS:
        problem = f"has {size} characters, and at least {MIN_CHARACTERS} are needed"
        raise SecretError(f"the secret '{name}' {problem if size else 'is empty'}")
    return value


def _shortest_first(found: Iterable[tuple[str, bytes]]) -> dict[bytes, str]:
    """Return the names of secrets by spelling, the shortest spelling first."""
    names = {spelling: name for name, spelling in found}
    return {spelling: names[spelling] for spelling in sorted(names, key=len)}


def _that_fit(spellings: Iterable[bytes], data: bytes) -> Iterator[bytes]:
    """Yield the *spellings*, the shortest first, that are not longer than *data*."""
    return takewhile(lambda spelling: len(spelling) <= len(data), spellings)


def _starts(spelling: bytes, data: bytes) -> Iterator[int]:
    start = data.find(spelling)
    while start >= 0:
        yield start
        start = data.find(spelling, start + 1)


def _masked(data: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    pieces, position = [], 0
    for start, end in spans:
        pieces += [data[position:start], MASK.encode()]
        position = end
    return b"".join([*pieces, data[position:]])


def _unused(key: str, keys: Container[str]) -> str:
    """Return *key*, or *key* with the first number that makes it different from all *keys*."""
    numbered = (f"{key}-{number}" for number in count(2))
    return next(candidate for candidate in chain((key,), numbered) if candidate not in keys)


def _windows(chunks: Iterable[bytes], overlap_bytes: int) -> Iterator[bytes]:
    """Yield the stream in windows of about 1 MiB; each begins with the end of the one before."""
    pending: list[bytes] = []
    size_bytes = 0
    for chunk in chunks:
        pending.append(chunk)
        size_bytes += len(chunk)
        if size_bytes >= _WINDOW_BYTES + overlap_bytes:
            window = b"".join(pending)
            yield window
            tail = window[len(window) - overlap_bytes :]
            pending, size_bytes = [tail], len(tail)
    if size_bytes:
        yield b"".join(pending)
