"""Find secrets in texts, JSON and files, in every spelling that they commonly come to stand in.

A secret is looked for as it is and as base64, hex, URL, JSON, Python and HTML write it, some of
them one in another, and as it is passed on by who folds case or spaces, normalises or mistakes the
encoding: all of them plain byte strings that `bytes.find` looks for, one after another. That costs
a pass over the data for each spelling, and each pass runs at gigabytes a second: 500 MiB take 1 s
for a password, 5 s for one full of signs, and 11 s for a private key of 27 lines
(bench/redaction.py).

Not found is what no spelling shows: a secret that was compressed, encrypted, cut into pieces or
turned around. So nothing may be cut before it was searched.
"""

from __future__ import annotations

import base64
import html
import json
import re
from contextlib import suppress
from itertools import chain, count
from typing import TYPE_CHECKING, Final, Literal
from unicodedata import normalize
from urllib.parse import quote, quote_plus

from taskrunner.errors import SecretError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from taskrunner.model.json_types import Json, JsonMapping, JsonObject

MASK: Final = "***"
# What is shorter stands in innocent text by chance, so that nothing would be left of it.
MIN_CHARACTERS: Final = 8
# Of a secret of several lines each line counts by itself, when it is as long as this.
_LINE_CHARACTERS: Final = 16
_WINDOW_BYTES: Final = 1024 * 1024
_FRAME_OF_A_KEY: Final = re.compile(r"-----(BEGIN|END) [^-]*-----")
# Where MIME and PEM break lines.
_BASE64_WIDTHS: Final = (76, 64)
# How Unicode can write one text in two ways (Unicode Standard Annex 15).
_FORMS: Final[tuple[Literal["NFC", "NFD"], ...]] = ("NFC", "NFD")
# What those leave as it is who write addresses: Python, forms, and a browser's two functions.
_SAFE_IN_ADDRESSES: Final = ("", "/", "*", "!'()*~", "!'()*~;,/?:@&=+$#")


class Redactor:
    """Knows some secrets, by name and value; without any it does nothing, and that at once."""

    def __init__(self, values: Mapping[str, str]) -> None:
        """Work out every spelling.

        Raises:
            SecretError: a value has fewer than MIN_CHARACTERS characters.
        """
        found = {name: _spellings(usable(name, value)) for name, value in values.items()}
        every = set().union(*found.values())
        self._spellings: Final = sorted(every, key=len, reverse=True)
        # What holds another spelling is found by that one, so a search need not look for both.
        self._shortest: Final = [
            (spelling, name)
            for name, spellings in found.items()
            for spelling in _minimal(spellings)
        ]
        self._longest = max(map(len, every), default=0)

    @property
    def is_idle(self) -> bool:
        """Whether it knows no secret at all."""
        return not self._spellings

    def text(self, text: str) -> str:
        """*text* with `***` in the place of every secret in it."""
        if not self._spellings:
            return text
        data = text.encode("utf-8", "surrogatepass")
        while spans := self._spans(data):  # what is left may come together to another secret
            data = _masked(data, spans)
        return data.decode("utf-8", "surrogatepass")

    def json(self, value: Json) -> Json:
        """*value* with every text, key and number redacted that holds a secret."""
        if not self._spellings:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.json(child) for child in value]
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            shown = json.dumps(value)
            told = self.text(shown)
            return value if told == shown else told
        return value

    def _object(self, value: JsonMapping) -> JsonObject:
        redacted: JsonObject = {}
        taken = set(value)
        for key, child in value.items():
            told = self.text(key)
            if told != key:
                told = _free(told, taken)
                taken.add(told)
            redacted[told] = self.json(child)
        return redacted

    def find(self, chunks: Iterable[bytes]) -> str | None:
        """The name of the first secret found in a stream of bytes; None when it holds none.

        Keeps some MiB of it in memory at most, and finds what stands across two chunks.
        """
        if not self._shortest:
            return None
        overlap = max(len(spelling) for spelling, _ in self._shortest) - 1
        for window in _windows(chunks, overlap):
            for spelling, name in self._shortest:
                if spelling in window:
                    return name
        return None

    def _spans(self, data: bytes) -> list[tuple[int, int]]:
        """Where secrets stand in *data*, in order; what touches or overlaps is one."""
        found = sorted(
            (start, start + len(spelling))
            for spelling in self._spellings
            for start in _places(spelling, data)
        )
        merged: list[tuple[int, int]] = []
        for start, end in found:
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged


def usable(name: str, value: str) -> str:
    """*value* when it can be redacted reliably; the space around it does not count.

    Raises:
        SecretError: it is empty or too short.
    """
    size = len(value.strip())
    if size < MIN_CHARACTERS:
        short = f"has {size} characters, at least {MIN_CHARACTERS} are needed"
        raise SecretError(f"the secret '{name}' {short if size else 'is empty'}")
    return value


def _places(spelling: bytes, data: bytes) -> Iterator[int]:
    at = data.find(spelling)
    while at >= 0:
        yield at
        at = data.find(spelling, at + 1)


def _masked(data: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    parts, position = [], 0
    for start, end in spans:
        parts += [data[position:start], MASK.encode()]
        position = end
    return b"".join([*parts, data[position:]])


def _free(key: str, taken: Container[str]) -> str:
    """*key*, or the same with a number when it is another's."""
    numbered = (f"{key}-{number}" for number in count(2))
    return next(one for one in chain((key,), numbered) if one not in taken)


def _windows(chunks: Iterable[bytes], overlap: int) -> Iterator[bytes]:
    """The stream in pieces of a good size; each begins with the last *overlap* bytes of another."""
    pending: list[bytes] = []
    size = 0
    for chunk in chunks:
        pending.append(chunk)
        size += len(chunk)
        if size >= _WINDOW_BYTES + overlap:
            window = b"".join(pending)
            yield window
            tail = window[len(window) - overlap :]
            pending, size = [tail], len(tail)
    if size:
        yield b"".join(pending)


def _minimal(spellings: Iterable[bytes]) -> list[bytes]:
    """Those of *spellings* that hold no other."""
    kept: list[bytes] = []
    for spelling in sorted(spellings, key=len):
        if not any(other in spelling for other in kept):
            kept.append(spelling)
    return kept


def _spellings(value: str) -> set[bytes]:
    """Every way in which *value*, or a part that is a secret by itself, may be written."""
    stored = {value.strip(), *_texts_of_a_document(value.strip())}
    wholes = stored | {normalize(form, one) for one in stored for form in _FORMS}
    parts = set(chain.from_iterable(map(_parts, wholes)))
    return {
        spelling
        for spelling in chain(
            chain.from_iterable(map(_written, parts)),
            chain.from_iterable(map(_passed_on, wholes)),
        )
        if len(spelling) >= MIN_CHARACTERS
    }


def _parts(value: str) -> set[str]:
    """*value*, with other ends of lines too, and each of its lines that is long enough."""
    lines = [line.strip() for line in value.splitlines()]
    parts = {
        line
        for line in lines
        if len(line) >= _LINE_CHARACTERS and not _FRAME_OF_A_KEY.fullmatch(line)
    }
    # Lines may end otherwise where the secret is used.
    return parts | {value, "\n".join(lines), "\r\n".join(lines)}


def _texts_of_a_document(value: str) -> Iterator[str]:
    """The texts and long numbers in *value*, when it is a JSON object or list.

    Whoever reads it hands them on by themselves; an answer over HTTP is read by us.
    """
    try:
        document = json.loads(value) if value[:1] in {"{", "["} else None
    except (ValueError, RecursionError):
        return
    ahead: list[Json] = [document]
    while ahead:
        node = ahead.pop()
        if isinstance(node, dict):
            ahead += node.values()
        elif isinstance(node, list):
            ahead += node
        elif node is not None and not isinstance(node, bool):
            text = (node if isinstance(node, str) else json.dumps(node)).strip()
            if len(text) >= MIN_CHARACTERS:
                yield text


def _written(part: str) -> Iterator[bytes]:
    yield from map(_bytes, _in_text(part))
    yield from _in_bits(_bytes(part))
    for escaped in {json.dumps(part, ensure_ascii=plain)[1:-1] for plain in (True, False)}:
        yield from _in_bits(_bytes(escaped))


def _passed_on(whole: str) -> Iterator[bytes]:
    """What becomes of a secret on its way through hosts, headers, messages and functions."""
    printable = "".join(one if one.isprintable() else " " for one in whole)
    for text in (whole, " ".join(whole.split()), printable):
        yield from map(_bytes, (text, text.lower(), text.upper()))
    if whole.isascii() and whole.isdigit():  # to_number()
        yield whole.lstrip("0").encode()
    for charset in ("latin-1", "cp1252"):
        with suppress(UnicodeDecodeError):
            yield _bytes(_bytes(whole).decode(charset))
    for charset in ("utf-16-le", "utf-16-be", "latin-1", "cp1252"):
        with suppress(UnicodeEncodeError):
            yield whole.encode(charset)
    wide = base64.b64encode(_bytes(whole))
    for width in _BASE64_WIDTHS:
        lines = [wide[at : at + width] for at in range(0, len(wide), width)]
        yield from (end.join(lines) for end in (b"\n", b"\r\n", b" ", b"\\n"))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _in_text(value: str) -> Iterator[str]:
    yield value
    yield from _in_addresses(_bytes(value))
    for plain in (True, False):
        escaped = json.dumps(value, ensure_ascii=plain)[1:-1]
        yield json.dumps(escaped, ensure_ascii=plain)[1:-1]
        for slashed in (escaped, escaped.replace("/", "\\/"), _for_pages(escaped)):
            yield slashed
            yield re.sub(r"\\u[0-9a-f]{4}", lambda found: "\\u" + found[0][2:].upper(), slashed)
    for write in (repr, ascii):
        yield write(value)[1:-1]
        # Which quotes are escaped depends on what else stands there.
        yield write(value + "\"'")[1:-4]
    for quotes in (False, True):
        escaped = html.escape(value, quote=quotes)
        yield escaped
        yield escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
        yield escaped.replace("&#x27;", "&#39;")
        yield escaped.replace("&#x27;", "&apos;")


def _in_addresses(value: bytes) -> Iterator[str]:
    for safe in _SAFE_IN_ADDRESSES:
        for write in (quote, quote_plus):
            escaped = write(value, safe=safe)
            # An address may hold another; a form's has no tilde.
            for text in (escaped, quote(escaped, safe=""), escaped.replace("~", "%7E")):
                yield text
                yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text)


def _for_pages(escaped: str) -> str:
    """JSON that may stand in HTML, as Go writes it and others."""
    for sign in "<>&":
        escaped = escaped.replace(sign, f"\\u{ord(sign):04x}")
    return escaped


def _in_bits(data: bytes) -> Iterator[bytes]:
    yield data.hex().encode()
    yield data.hex().upper().encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        alone = encode(data)
        yield from _carried(alone)
        yield alone.rstrip(b"=")
        for before in range(3):
            # Of a character that holds bits of a neighbour nothing is known: 6 bits make one.
            first = (before * 8 + 5) // 6
            last = (before + len(data)) * 8 // 6
            yield from _carried(encode(bytes(before) + data)[first:last])


def _carried(encoded: bytes) -> Iterator[bytes]:
    """Base64 by itself, in an address, and in JSON with its slashes escaped."""
    yield encoded
    escaped = quote(encoded, safe="")
    yield escaped.encode()
    yield escaped.replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d").encode()
    yield encoded.replace(b"/", b"\\/")


__all__ = ["MASK", "MIN_CHARACTERS", "Redactor", "usable"]
