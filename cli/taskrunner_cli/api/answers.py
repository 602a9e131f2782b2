"""Reads the API's successful answers as the documents that they should hold."""

import json
from typing import TypeVar, cast

import httpx

from taskrunner_cli.api.documents import Artifact, LogEntry
from taskrunner_cli.errors import RefusedError, UnreachableError

_Document = TypeVar("_Document")


def read_document(response: httpx.Response, kind: type[_Document]) -> _Document:
    """Return the answer as a document of *kind*, a TypedDict; its required members are checked.

    Raises:
        RefusedError: the answer is not a JSON object, or lacks a member.

    """
    document = _parse_json(response)
    required: frozenset[str] = getattr(kind, "__required_keys__", frozenset())
    if not isinstance(document, dict) or not required <= document.keys():
        raise unexpected_answer(response, f"a document with {', '.join(sorted(required))}")
    return cast("_Document", document)


def read_artifacts(response: httpx.Response) -> list[Artifact]:
    """Return the answer as a list of artifacts.

    Raises:
        RefusedError: the answer is not a JSON array.

    """
    document = _parse_json(response)
    if not isinstance(document, list):
        raise unexpected_answer(response, "a list of artifacts")
    return cast("list[Artifact]", document)


def read_log(response: httpx.Response) -> list[LogEntry]:
    """Return the answer's lines of NDJSON as log entries.

    Raises:
        UnreachableError: a line is not JSON, because the connection broke off.

    """
    # Only \n ends a line: JSON text may contain the other characters that `splitlines` splits at.
    return [_read_entry(line) for line in response.text.split("\n") if line.strip()]


def unexpected_answer(response: httpx.Response, expected: str) -> RefusedError:
    """Return the error for an answer without what is *expected* of it."""
    request = response.request
    return RefusedError(
        f"{request.method} {request.url.path} answered HTTP {response.status_code}"
        f" without {expected}",
        status=response.status_code,
        code="unexpected_answer",
        cure="check that the address is that of a TaskRunner API",
    )


def _parse_json(response: httpx.Response) -> object:
    """Return the answer's JSON, or None if it has none."""
    try:
        document: object = response.json()
    except (ValueError, RecursionError):
        return None
    return document


def _read_entry(line: str) -> LogEntry:
    try:
        return cast("LogEntry", json.loads(line))
    except ValueError as error:
        raise UnreachableError(
            "the log broke off in the middle of a line",
            cure="run the command again",
            code="broken",
        ) from error
