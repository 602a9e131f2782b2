"""The spellings in which a secret is found: what the redactor guarantees.

The redactor looks for the secret as a whole, without the space around it; for each of its lines
with at least 16 characters, as a PEM key has them; and, when it is a JSON document, for each text
and number in it with at least 8. Each of these, called a part here, is found as these programs
write it:

    text      UTF-8, with either line end, in the Unicode forms NFC and NFD
    URL       percent-encoded as RFC 3986, browsers, forms and Python do, once or twice
    JSON      escaped as Python, PHP, Java and Go do, also inside another JSON text
    Python    repr() and ascii(), also of its bytes
    markup    escaped for HTML or XML

The secret as a whole and the texts of a JSON document are also found

    folded    in lower or upper case; with white space folded; with unprintable characters replaced
    recoded   as UTF-16, Latin-1 or Windows-1252, and as UTF-8 that was read as one of the latter
    numeric   without leading zeros, when it consists of digits

All of these are found in base64, of either alphabet and at any place in a longer text, and in hex
of either case:

    a part    as UTF-8, or escaped for JSON
    a whole   as UTF-16, or percent-encoded as RFC 3986 says
    a PEM     the bytes between its frames

and so is a part that itself consists of at least 16 characters of base64, such as the body of a PEM
or a line of it. This holds

    wrapped   in lines of any length, with anything but digits of base64 between them; for escaped
              line ends and for two levels, in lines of at least 16 characters
    escaped   with line ends, `+`, `/` and `=` as JSON, Python, URLs (once or twice), HTML and XML
              escape them; as UTF-16
    twice     as base64 or hex of a text that contains base64 or hex, each wrapped and escaped

No other spelling is found, so a secret that was compressed, encrypted, cut or reversed is not.
"""

from __future__ import annotations

import base64
import html
import json
import re
from binascii import Error as Base64Error
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from unicodedata import normalize
from urllib.parse import quote, quote_plus

from taskrunner.model.encoded_layers import digits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from taskrunner.model.json_types import Json

# A shorter text stands in innocent text by chance, and masking it would leave nothing readable.
MIN_CHARACTERS: Final = 8
_MIN_LINE_CHARACTERS: Final = 16
_MIN_DIGITS: Final = 16
_PEM_FRAME: Final = re.compile(r"-----(BEGIN|END) [^-]*-----")
_PEM: Final = re.compile(r"-----BEGIN ([^-]*)-----(.*?)-----END \1-----", re.DOTALL)
_BASE64_TEXT: Final = re.compile(r"[A-Za-z0-9+/_=\s-]+", re.ASCII)
_BASE64_LINE: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_PERCENT_ESCAPE: Final = re.compile("%[0-9A-F]{2}")
_JSON_ESCAPE: Final = re.compile(r"\\u[0-9a-f]{4}")
_UNICODE_FORMS: Final[tuple[Literal["NFC", "NFD"], ...]] = ("NFC", "NFD")
_SINGLE_BYTE_CHARSETS: Final = ("latin-1", "cp1252")
_UTF_16: Final = ("utf-16-le", "utf-16-be")

_PERCENT_ENCODERS: Final[tuple[Callable[[bytes], str], ...]] = (
    lambda data: quote(data, safe=""),  # RFC 3986, section 2.3
    lambda data: quote(data, safe="/"),  # Python's default
    lambda data: quote(data, safe="!'()*"),  # encodeURIComponent
    lambda data: quote(data, safe="!'()*;,/?:@&=+$#"),  # encodeURI
    lambda data: quote_plus(data, safe=""),  # Python's forms
    lambda data: quote_plus(data, safe="*").replace("~", "%7E"),  # forms of browsers and Java
)
_MARKUP_ENCODERS: Final[tuple[Callable[[str], str], ...]] = (
    lambda text: html.escape(text, quote=False),
    html.escape,
    lambda text: html.escape(text).replace("&#x27;", "&#39;"),  # Jinja
    lambda text: html.escape(text).replace("&#x27;", "&apos;"),  # XML
    lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),  # Go
)


class Spellings(NamedTuple):
    """The spellings of a secret: *texts* as they stand in data, *digits* in a layer of it.

    The layers are those of `encoded_layers.py`.
    """

    texts: frozenset[bytes]
    digits: frozenset[bytes]


def spellings(secret: str) -> Spellings:
    """Return every spelling of *secret* that is found, each with at least MIN_CHARACTERS bytes."""
    stored = {secret.strip(), *_document_texts(secret.strip())}
    wholes = stored | {normalize(form, text) for text in stored for form in _UNICODE_FORMS}
    parts = set(chain.from_iterable(map(_parts, wholes)))
    pems = set(chain.from_iterable(map(_pem_bodies, wholes)))
    encoded = {
        *chain.from_iterable(map(_encoded_forms, parts)),
        *(quote(_utf8(whole), safe="").encode() for whole in wholes),
        *(whole.encode(charset, "surrogatepass") for whole in wholes for charset in _UTF_16),
        *chain.from_iterable(map(_decoded, pems)),
    }
    return Spellings(
        texts=_long_enough(
            *chain.from_iterable(map(_text_spellings, parts)),
            *chain.from_iterable(map(_alterations, wholes)),
            *chain.from_iterable(map(_decoded, pems)),
        ),
        digits=_long_enough(
            *chain.from_iterable(map(_hex_and_base64, encoded)),
            *_digits_of_base64(parts | pems),
        ),
    )


def _long_enough(*found: bytes) -> frozenset[bytes]:
    return frozenset(spelling for spelling in found if len(spelling) >= MIN_CHARACTERS)


def _document_texts(secret: str) -> Iterator[str]:
    """Yield the texts and numbers of a secret that is a JSON object or list.

    A program that reads such a secret passes them on one by one.
    """
    try:
        document = json.loads(secret) if secret[:1] in {"{", "["} else None
    except (ValueError, RecursionError):
        return
    nodes: list[Json] = [document]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node
        elif node is not None and not isinstance(node, bool):
            text = (node if isinstance(node, str) else json.dumps(node)).strip()
            if len(text) >= MIN_CHARACTERS:
                yield text


def _parts(whole: str) -> set[str]:
    """Return *whole* with each kind of line end, and each of its long lines."""
    lines = [line.strip() for line in whole.splitlines()]
    long_lines = {
        line
        for line in lines
        if len(line) >= _MIN_LINE_CHARACTERS and not _PEM_FRAME.fullmatch(line)
    }
    return long_lines | {whole, "\n".join(lines), "\r\n".join(lines)}


def _pem_bodies(whole: str) -> Iterator[str]:
    """Yield the base64 in each frame of a PEM (RFC 7468), without headers and line ends."""
    for _, framed in _PEM.findall(whole):
        lines = [line.strip() for line in framed.splitlines() if ":" not in line]
        yield "".join(lines)


def _decoded(pem_body: str) -> Iterator[bytes]:
    with suppress(Base64Error, ValueError):
        yield base64.b64decode(pem_body, validate=True)


def _text_spellings(part: str) -> Iterator[bytes]:
    if _BASE64_LINE.fullmatch(part):
        return  # its digits are the same in all of these
    for texts in (_percent_encoded(part), _json_escaped(part), _python_escaped(part)):
        yield from map(_utf8, texts)
    yield _utf8(part)
    yield from (_utf8(encode(part)) for encode in _MARKUP_ENCODERS)


def _alterations(whole: str) -> Iterator[bytes]:
    printable = "".join(character if character.isprintable() else " " for character in whole)
    for text in (whole, " ".join(whole.split()), printable):
        yield from map(_utf8, (text, text.lower(), text.upper()))
    if whole.isascii() and whole.isdigit():  # as the expression function to_number() writes it
        yield whole.lstrip("0").encode()
    for charset in (*_UTF_16, *_SINGLE_BYTE_CHARSETS):
        with suppress(UnicodeEncodeError):
            yield whole.encode(charset)
    for charset in _SINGLE_BYTE_CHARSETS:
        with suppress(UnicodeDecodeError):
            yield _utf8(_utf8(whole).decode(charset))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _percent_encoded(part: str) -> Iterator[str]:
    for once in {encode(_utf8(part)) for encode in _PERCENT_ENCODERS}:
        for text in (once, quote(once, safe="")):  # a URL may contain another
            yield text
            yield _PERCENT_ESCAPE.sub(lambda match: match[0].lower(), text)


def _json_escaped(part: str) -> Iterator[str]:
    for ensure_ascii in (True, False):
        escaped = json.dumps(part, ensure_ascii=ensure_ascii)[1:-1]
        yield json.dumps(escaped, ensure_ascii=ensure_ascii)[1:-1]
        for text in {escaped, escaped.replace("/", "\\/"), _json_for_html(escaped)}:
            yield text
            yield _JSON_ESCAPE.sub(lambda match: "\\u" + match[0][2:].upper(), text)


def _json_for_html(escaped: str) -> str:
    """Return JSON that may stand in HTML, as Go writes it."""
    for sign in "<>&":
        escaped = escaped.replace(sign, f"\\u{ord(sign):04x}")
    return escaped


def _python_escaped(part: str) -> Iterator[str]:
    for written, marks in ((repr, 1), (ascii, 1), (_repr_of_bytes, 2)):
        yield written(part)[marks:-1]
        # Which quotes are escaped depends on the quotes in the text around.
        yield written(part + "\"'")[marks:-4]


def _repr_of_bytes(part: str) -> str:
    return repr(_utf8(part))


# --- digits -----------------------------------------------------------------------------------


def _encoded_forms(part: str) -> Iterator[bytes]:
    """Yield the forms of *part* that are found in base64 and hex."""
    yield _utf8(part)
    yield _utf8(json.dumps(part)[1:-1])
    yield _utf8(json.dumps(part, ensure_ascii=False)[1:-1])


def _hex_and_base64(data: bytes) -> Iterator[bytes]:
    """Yield the digits of *data* at every place in a longer text, and where the text ends."""
    yield data.hex().encode()
    yield data.hex().upper().encode()
    yield base64.b64encode(data).rstrip(b"=")
    for bytes_before in range(3):
        # A digit holds 6 bits. Those that also hold bits of a neighbour are unknown.
        first = (bytes_before * 8 + 5) // 6
        last = (bytes_before + len(data)) * 8 // 6
        yield base64.b64encode(bytes(bytes_before) + data)[first:last]


def _digits_of_base64(texts: Iterable[str]) -> Iterator[bytes]:
    """Yield the digits of each text that is base64 itself, to find it in lines of other lengths."""
    for text in texts:
        digits = digits_of(_utf8(text))
        if len(digits) >= _MIN_DIGITS and _BASE64_TEXT.fullmatch(text):
            yield digits
