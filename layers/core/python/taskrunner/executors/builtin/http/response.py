"""Turns a response into the step's outputs, and into a file when the body does not fit there.

The outputs have at most 64 KiB, whatever the server sends. Headers have at most 16 KiB as they come
and may double in JSON; the body stands beside them when both fit.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Final

from taskrunner.model.canonical_json import size_bytes
from taskrunner.model.json_types import Json, normal, too_deep, unusable

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.executors.builtin.http.exchange import Response
    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import JsonObject

FILE_NAME: Final = "response-body"
MAX_INLINE_BYTES: Final = 32 * 1024
MAX_OUTPUT_BYTES: Final = 64 * 1024

_MAX_BODY_DEPTH: Final = 99
_CHARSET: Final = re.compile(r';\s*charset\s*=\s*"?([A-Za-z0-9._:-]+)"?', re.IGNORECASE)
_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "windows-1252"})
_TEXT_MEDIA_TYPES: Final = frozenset(
    {"application/xml", "application/yaml", "application/x-www-form-urlencoded"}
)


def outputs(response: Response, body_file: Path, work: Work) -> JsonObject:
    """Return the step's outputs; a body that does not fit becomes a file of the step."""
    document: JsonObject = {
        "status": response.status,
        "headers": _joined(response.headers),
        "body": _body(response, body_file),
    }
    if document["body"] is not None and not _fits(document):
        document["body"] = None
    if document["body"] is None:
        keep(body_file, work)
    return document


def keep(body_file: Path, work: Work) -> None:
    """Move a body into the step's `/output`, unless it is empty."""
    if body_file.stat().st_size:
        shutil.move(body_file, work.output / FILE_NAME)


def excerpt(response: Response, body_file: Path) -> str:
    """Return a body that is text, to be appended to a message; else the empty text.

    It is not cut here: a message is searched for secrets first and cut when it is recorded, because
    part of a secret would not be found.
    """
    text = " ".join((_text(response, body_file) or "").split())
    printable = "".join(character if character.isprintable() else " " for character in text)
    return f": {printable}" if printable else ""


def _fits(document: JsonObject) -> bool:
    """Return whether the body may stand in the outputs, beside the rest of them."""
    return (
        size_bytes(document["body"]) <= MAX_INLINE_BYTES
        and size_bytes(document) <= MAX_OUTPUT_BYTES
    )


def _joined(headers: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return the headers by name, with repeated ones joined by commas (RFC 9110, section 5.3).

    Cookies contain commas, so these are joined by line breaks.
    """
    joined: dict[str, str] = {}
    for name, value in headers:
        separator = "\n" if name == "set-cookie" else ", "
        joined[name] = f"{joined[name]}{separator}{value}" if name in joined else value
    return joined


def _body(response: Response, body_file: Path) -> Json:
    """Return the body as JSON or text, or None when it is neither or too large."""
    text = _text(response, body_file)
    if text is None or not _is_json(_media_type(response)):
        return text
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text
    is_too_deep = too_deep(value, _MAX_BODY_DEPTH) is not None
    return text if is_too_deep or any(unusable(value)) else normal(value)


def _text(response: Response, body_file: Path) -> str | None:
    media_type = _media_type(response)
    is_text = media_type.startswith("text/") or media_type in _TEXT_MEDIA_TYPES
    is_text = is_text or media_type.endswith("+xml") or _is_json(media_type)
    is_encoded = response.header("content-encoding") not in {None, "", "identity"}
    if not is_text or is_encoded or not 0 < response.size_bytes <= MAX_INLINE_BYTES:
        return None
    match = _CHARSET.search(response.header("content-type") or "")
    charset = "utf-8" if match is None else match[1].lower()
    if charset not in _CHARSETS:
        return None
    try:
        # A byte order mark is not text.
        return body_file.read_bytes().decode("utf-8-sig" if charset.startswith("utf") else charset)
    except UnicodeDecodeError:
        return None


def _media_type(response: Response) -> str:
    return (response.header("content-type") or "").partition(";")[0].strip().lower()


def _is_json(media_type: str) -> bool:
    return media_type == "application/json" or media_type.endswith("+json")


def _refuse_constant(constant: str) -> Json:
    """Refuse NaN and Infinity, which Python's parser takes for JSON."""
    raise ValueError(constant)
