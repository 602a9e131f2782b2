"""Turns a response into the step's outputs, and into a file when the body does not fit there.

The outputs have at most 64 KiB, whatever the server sends. Headers have at most 16 KiB as they come
and may double in JSON; the body stands beside them when both fit.

A body that should be JSON is JSON, or the step fails. As text or null it would have no fields, and
a condition that reads one would see null and might let pass what it should stop.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from taskrunner.model import json_path, json_types
from taskrunner.model.canonical_json import size_bytes
from taskrunner.model.json_types import Json, too_deep, unusable

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.executors.builtin.http.exchange import Response
    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import JsonObject

FILE_NAME: Final = "response-body"
MAX_INLINE_BYTES: Final = 32 * 1024
MAX_OUTPUT_BYTES: Final = 64 * 1024

_MAX_BODY_DEPTH: Final = 99
_TOO_DEEP: Final = f"it is nested deeper than {_MAX_BODY_DEPTH} levels"
_WITHOUT_CONTENT: Final = frozenset({204, 205, 304})  # RFC 9110, section 6.4.1
_CHARSET: Final = re.compile(r';\s*charset\s*=\s*"?([A-Za-z0-9._:-]+)"?', re.IGNORECASE)
_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "windows-1252"})
# Servers send the second too; WHATWG's MIME Sniffing calls both JSON.
_JSON_MEDIA_TYPES: Final = frozenset({"application/json", "text/json"})
_TEXT_MEDIA_TYPES: Final = frozenset(
    {"application/xml", "application/yaml", "application/x-www-form-urlencoded"}
)


ResponseType: TypeAlias = Literal["json", "text", "file"]


class BodyError(Exception):
    """The body is not of the type that it should be; the message says why."""


def outputs(
    response: Response,
    body_file: Path,
    work: Work,
    response_type: ResponseType | None,
    *,
    method: str,
) -> JsonObject:
    """Return the step's outputs; a body that is not in them becomes a file of the step.

    Without a *response_type* the response's content type decides. A response to *method* that has
    no content by HTTP's rules is null then.

    Raises:
        BodyError: the body should be JSON, or text because the pack asks for it, and is not.
    """
    has_content = method != "HEAD" and response.status not in _WITHOUT_CONTENT
    if response_type is None and has_content and _is_json(response):
        response_type = "json"
    document: JsonObject = {
        "status": response.status,
        "headers": _joined(response.headers),
        "body": None,
    }
    if response_type == "json":
        document["body"] = _json(response, body_file)
        _require_fit(document)
    elif response_type == "text":
        document["body"] = _text(response, body_file)
        _require_fit(document)
    else:
        if response_type is None and response.size_bytes and _has_text_type(response):
            document["body"] = _text_or_none(response, body_file)
        if not _fits(document):
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
    is_text = _has_text_type(response) or _is_json(response)
    text = (_text_or_none(response, body_file) if is_text else None) or ""
    text = " ".join(text.split())
    printable = "".join(character if character.isprintable() else " " for character in text)
    return f": {printable}" if printable else ""


def _require_fit(document: JsonObject) -> None:
    if not _fits(document):
        raise BodyError(
            f"as JSON it has more than {MAX_INLINE_BYTES} bytes, or the headers leave it no room"
        )


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


def _json(response: Response, body_file: Path) -> Json:
    """Return the body as JSON.

    Raises:
        BodyError: it is not JSON, or has a part that has no exact form here.
    """
    try:
        value = json_types.read(_text(response, body_file))
    except ValueError as error:
        raise BodyError(f"it is not JSON: {error}") from None
    except RecursionError:
        raise BodyError(_TOO_DEEP) from None
    if too_deep(value, _MAX_BODY_DEPTH) is not None:
        raise BodyError(_TOO_DEEP)
    for path, problem in unusable(value, "the server"):
        raise BodyError(f"{json_path.render(('body', *path))}: {problem}")
    return value


def _text_or_none(response: Response, body_file: Path) -> str | None:
    try:
        return _text(response, body_file)
    except BodyError:
        return None


def _text(response: Response, body_file: Path) -> str:
    """Return the body as text.

    Raises:
        BodyError: it is too large, compressed, or not text of a charset that is known here.
    """
    if response.size_bytes > MAX_INLINE_BYTES:
        raise BodyError(f"it has {response.size_bytes} bytes, at most {MAX_INLINE_BYTES}")
    if response.header("content-encoding") not in {None, "", "identity"}:
        raise BodyError("it is compressed (it has a Content-Encoding)")
    match = _CHARSET.search(response.header("content-type") or "")
    charset = "utf-8" if match is None else match[1].lower()
    if charset not in _CHARSETS:
        raise BodyError(f"its charset is none of {', '.join(sorted(_CHARSETS))}")
    try:
        # A byte order mark is not text.
        return body_file.read_bytes().decode("utf-8-sig" if charset.startswith("utf") else charset)
    except UnicodeDecodeError:
        raise BodyError(f"it is not valid {charset}") from None


def _has_text_type(response: Response) -> bool:
    return any(
        media_type.startswith("text/")
        or media_type in _TEXT_MEDIA_TYPES
        or media_type.endswith("+xml")
        for media_type in _media_types(response)
    )


def _is_json(response: Response) -> bool:
    """Return whether a body is JSON by its type, or by one of several types that it has."""
    return any(
        media_type in _JSON_MEDIA_TYPES or media_type.endswith("+json")
        for media_type in _media_types(response)
    )


def _media_types(response: Response) -> list[str]:
    """Return the media types; there should be one, but proxies add headers and join them."""
    values = [value for name, value in response.headers if name == "content-type"]
    parts = [part for value in values for part in value.split(",")]
    return [part.partition(";")[0].strip().lower() for part in parts]
