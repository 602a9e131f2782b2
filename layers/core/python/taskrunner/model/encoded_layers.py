"""Reads the base64 and hex in some data, however it is wrapped or escaped, and one level deeper.

The digits of a text are the characters of base64 in it, without everything that stands between
them, and with `+` and `/` for the `-` and `_` of base64 for URLs. So digits that a decoder reads
one after the other stand side by side, whatever the length of the lines and the signs around them.
Hex digits are digits too.

A text around may end in digits that complete an encoding: `3` before the percent-encoded `0%3A` is
also the hex `303A`, in lines of two digits. Such digits are part of what is found.

The layers of some data are its own digits, and the digits of what it gives when it is decoded as
base64 or hex. Whether some text is encoded cannot be seen, so all of it is decoded, from every
digit on at which a group of digits may begin.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, unhexlify
from functools import cache, cached_property
from itertools import compress
from math import gcd
from string import ascii_letters, digits, hexdigits
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The shortest secret, 8 bytes, has 11 digits in base64, and 13 bytes with an escape among them.
# Encoded twice it has 15 digits or 22 in hex. Lines have 16. A text without a piece of such a size
# need not be unescaped or decoded, and most binary data has none.
_MIN_DIGITS: Final = 11
_MIN_ESCAPED_BYTES: Final = 13
_MIN_DECODED_DIGITS: Final = 15

_BASE64: Final = f"{ascii_letters}{digits}+/-_".encode()
_ONE_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")
_FILLER: Final = b"\0"
_ESCAPED_DIGITS: Final = (b"+", b"/")
_ESCAPE_SIGNS: Final = _FILLER + b"\\%&#;"


def _except(signs: bytes) -> bytes:
    return bytes(set(range(256)) - set(signs))


class _Pieces:
    """Finds out whether a text has a piece of some size that consists of some signs."""

    def __init__(self, signs: bytes, size_bytes: int) -> None:
        self._kinds = bytes(ord("p" if byte in signs else " ") for byte in range(256))
        self._piece = b"p" * size_bytes

    def are_in(self, text: bytes) -> bool:
        return self._piece in text.translate(self._kinds)


class _Encoding(NamedTuple):
    """A way to write *bits* bits of data as one digit; the digits of a group give whole bytes."""

    bits: int
    group: int
    zero: bytes
    not_digits: bytes
    pieces: _Pieces
    decode: Callable[[bytes], bytes]

    def decoded(self, written: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield what digits say if their text began at any of them, with how far it is shifted.

        The shift is in bits: so many bits of the text's last byte are not in the last one here.
        """
        # Shifting is five times faster than decoding again from the second digit on.
        text = self.decode(written + self.zero * (-len(written) % self.group))
        number = int.from_bytes(text, "big")
        for shift in range(0, 8, gcd(8, self.bits)):
            yield shift, (number >> shift).to_bytes(len(text), "big")

    def digits_of_bytes(self, start: int, end: int, shift: int) -> tuple[int, int]:
        """Return which digits encode the bytes from *start* to *end*, as a range."""
        first_bit = max(0, start * 8 - shift)
        return first_bit // self.bits, -(-(end * 8 - shift) // self.bits)


_ENCODINGS: Final = tuple(
    _Encoding(
        bits,
        group,
        zero,
        _except(signs),
        _Pieces(signs + _ESCAPE_SIGNS, _MIN_DECODED_DIGITS),
        decode,
    )
    for bits, group, zero, signs, decode in (
        (6, 4, b"A", _BASE64, a2b_base64),
        (4, 2, b"0", hexdigits.encode(), unhexlify),
    )
)
_ENCODED: Final = _Pieces(_BASE64, _MIN_DIGITS)
_ESCAPED: Final = _Pieces(_BASE64 + _ESCAPE_SIGNS, _MIN_ESCAPED_BYTES)
_NOT_BASE64: Final = _except(_BASE64)


def digits_of(text: bytes) -> bytes:
    """Return the digits of *text*."""
    return text.translate(_ONE_ALPHABET, _NOT_BASE64)


# Returns where in the data a part of a text stands; both by the offsets of start and end.
_Origin: TypeAlias = "Callable[[int, int], tuple[int, int]]"


class Layer:
    """The digits of a text that stands in some data, perhaps encoded."""

    def __init__(self, text: bytes, origin: _Origin, *, is_unescaped: bool = False) -> None:
        """Read *text*, which stands in the data where *origin* says."""
        self._text = text
        self._origin = origin
        self._is_unescaped = is_unescaped
        self.digits: Final = digits_of(text)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Return where in the data the digits from *start* to *end* stand, by its offsets."""
        first, last = self._positions[start], self._positions[end - 1] + 1
        if self._is_unescaped and self._text[first : first + 1] in _ESCAPED_DIGITS:
            while self._text[first - 1 : first] == _FILLER:  # the sign is the end of an escape
                first -= 1
        return self._origin(first, last)

    @cached_property
    def _positions(self) -> list[int]:
        return _positions(self._text, _NOT_BASE64)

    def inner(self) -> Iterator[Layer]:
        """Yield the layers of what the digits give when they are decoded."""
        for encoding in _ENCODINGS:
            if not encoding.pieces.are_in(self._text):
                continue
            for shift, text in encoding.decoded(self.digits.translate(None, encoding.not_digits)):
                if _ENCODED.are_in(text):
                    yield from _layers(text, self._origin_of_decoded(encoding, shift))

    def _origin_of_decoded(self, encoding: _Encoding, shift: int) -> _Origin:
        @cache
        def positions() -> list[int]:
            return _positions(self._text, encoding.not_digits)

        def origin(start: int, end: int) -> tuple[int, int]:
            first, after = encoding.digits_of_bytes(start, end, shift)
            last = min(after, len(positions())) - 1  # a text is completed before it is decoded
            return self._origin(positions()[first], positions()[last] + 1)

        return origin


def _positions(text: bytes, not_digits: bytes) -> list[int]:
    """Return the offset in *text* of each of its digits."""
    is_digit = text.translate(bytes(byte not in not_digits for byte in range(256)))
    return list(compress(range(len(text)), is_digit))


def layers(data: bytes) -> Iterator[Layer]:
    """Yield every layer of *data*."""
    outer = _layers(data, lambda start, end: (start, end))
    yield from outer
    yield from outer[-1].inner()


def _layers(text: bytes, origin: _Origin) -> list[Layer]:
    """Return the digits of *text*, and then of what its escapes mean if there are any.

    A backslash need not escape the digit that follows, so both are looked at.
    """
    unescaped = _unescaped(text) if _ESCAPED.are_in(text) else text
    if unescaped == text:
        return [Layer(text, origin)]
    return [Layer(text, origin), Layer(unescaped, origin, is_unescaped=True)]


# --- escapes ----------------------------------------------------------------------------------


def _replacements(form: str, codes: dict[str, str]) -> dict[bytes, bytes]:
    """Return what to write for each escape of that *form*, in as many bytes, so nothing moves."""
    return {
        (escape := form.format(code).encode()): (
            sign.encode().rjust(len(escape), _FILLER) if sign else b" " * len(escape)
        )
        for code, sign in codes.items()
    }


_HEX_CODES: Final = {"09": "", "0A": "", "0D": "", "20": "", "2B": "+", "2F": "/"}
_LOWER_CODES: Final = {code.lower(): sign for code, sign in _HEX_CODES.items()}
_REFERENCES: Final = {
    "9": "",
    "10": "",
    "13": "",
    "xA": "",
    "x9": "",
    "xD": "",
    "43": "+",
    "x2B": "+",
    "x2F": "/",
}
# Escapes of Python and JSON, of URLs (once or twice) and of markup, each with a pattern that finds
# fast whether there are any.
_ESCAPES: Final = (
    (re.compile(rb"\\/"), {b"\\/": _FILLER + b"/"}),
    (re.compile(rb"\\[nrt]"), _replacements("\\{}", dict.fromkeys("nrt", ""))),
    (re.compile(rb"\\u002[Bb]"), _replacements("\\u00{}", {"2B": "+", "2b": "+"})),
    (
        re.compile(rb"%(?:25)?(?:0[9ADad]|2[0BFbf])"),
        {b"%25": _FILLER * 2 + b"%"} | _replacements("%{}", _HEX_CODES | _LOWER_CODES),
    ),
    (re.compile(rb"&#(?:9|1[03]|43|x[9AD2])"), _replacements("&#{};", _REFERENCES)),
)


def _unescaped(text: bytes) -> bytes:
    """Return *text* with `+`, `/` and white space in the place of their escapes."""
    for pattern, replacements in _ESCAPES:
        if pattern.search(text):
            for escape, replacement in replacements.items():
                text = text.replace(escape, replacement)
    return text
