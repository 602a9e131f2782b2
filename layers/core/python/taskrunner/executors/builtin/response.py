"""What of an answer over HTTP a step puts out, and what becomes a file.

A step's outputs have 64 KiB, whoever answers. Names of headers are at most 16 KiB as they come and
may double; a body stands beside them when both fit, and is a file otherwise.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Final

from taskrunner.model.json_types import Json, too_deep, unusable

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.executors.builtin.exchange import Answer
    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import JsonObject

FILE_NAME: Final = "response-body"
MAX_INLINE_BYTES: Final = 32 * 1024
MAX_OUTPUT_BYTES: Final = 64 * 1024

_MAX_DEPTH: Final = 99  # of the body, which is part of the outputs
_CHARSET: Final = re.compile(r';\s*charset\s*=\s*"?([A-Za-z0-9._:-]+)"?', re.IGNORECASE)
_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "windows-1252"})
_TEXTS: Final = frozenset(
    {"application/xml", "application/yaml", "application/x-www-form-urlencoded"}
)


def outputs(answer: Answer, received: Path, work: Work) -> JsonObject:
    """What the step puts out; a body that has no place there is kept as a file."""
    put_out: JsonObject = {
        "status": answer.status,
        "headers": _joined(answer.headers),
        "body": _value(answer, received),
    }
    if put_out["body"] is not None and not _fits(put_out):
        put_out["body"] = None
    if put_out["body"] is None:
        keep(received, work)
    return put_out


def _fits(put_out: JsonObject) -> bool:
    """Whether the body may stand in the outputs, which name everything else in any case."""
    body, whole = (
        len(json.dumps(value, ensure_ascii=False).encode()) for value in (put_out["body"], put_out)
    )
    return body <= MAX_INLINE_BYTES and whole <= MAX_OUTPUT_BYTES


def keep(received: Path, work: Work) -> None:
    """Make an artifact of a body, unless there is none."""
    if received.stat().st_size:
        shutil.move(received, work.output / FILE_NAME)


def _joined(headers: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Headers by name; several of one name are one list, but for cookies, which have commas."""
    joined: dict[str, str] = {}
    for name, value in headers:
        separator = "\n" if name == "set-cookie" else ", "
        joined[name] = f"{joined[name]}{separator}{value}" if name in joined else value
    return joined


def _value(answer: Answer, received: Path) -> Json:
    """The body as JSON or as text, or None when it is neither, or too large to be put out."""
    text = _text(answer, received)
    if text is None or not _is_json(_media_type(answer)):
        return text
    try:
        value = json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return text
    is_deep = too_deep(value, _MAX_DEPTH) is not None
    return text if is_deep or any(unusable(value)) else value


def _text(answer: Answer, received: Path) -> str | None:
    media_type = _media_type(answer)
    is_text = media_type.startswith("text/") or media_type in _TEXTS
    is_text = is_text or media_type.endswith("+xml") or _is_json(media_type)
    encoded = answer.header("content-encoding") not in {None, "", "identity"}
    if not is_text or encoded or not 0 < answer.size_bytes <= MAX_INLINE_BYTES:
        return None
    match = _CHARSET.search(answer.header("content-type") or "")
    charset = "utf-8" if match is None else match[1].lower()
    if charset not in _CHARSETS:
        return None
    try:
        return received.read_bytes().decode("utf-8-sig" if charset.startswith("utf") else charset)
    except UnicodeDecodeError:
        return None


def _media_type(answer: Answer) -> str:
    return (answer.header("content-type") or "").partition(";")[0].strip().lower()


def _is_json(media_type: str) -> bool:
    return media_type == "application/json" or media_type.endswith("+json")


def _no_json(constant: str) -> Json:
    raise ValueError(constant)


def excerpt(answer: Answer, received: Path) -> str:
    """The body, to stand behind a message; nothing when it is no text.

    A message is cut when it is recorded, after it was searched for secrets. Here it may not be: in
    half a secret nobody finds the whole.
    """
    text = " ".join((_text(answer, received) or "").split())
    shown = "".join(one if one.isprintable() else " " for one in text)
    return f": {shown}" if shown else ""
