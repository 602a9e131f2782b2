"""Reads the API's successful answers as the documents that they should hold.

Every answer's types are checked here, at all depths, so that no view has to.
"""

import json
from dataclasses import dataclass
from typing import Generic, TypedDict, TypeVar

import httpx

from taskrunner_cli.api.documents import LogEntry
from taskrunner_cli.api.http_client import unexpected_answer
from taskrunner_cli.api.shapes import MisfitError, fit
from taskrunner_cli.errors import RefusedError, UnreachableError
from taskrunner_cli.json_text import JsonError, parse_json
from taskrunner_cli.json_types import JsonValue

_Document = TypeVar("_Document")


class _LogEntryParts(TypedDict, total=False):
    """The members of a log entry, each of which a line may lack."""

    timestamp: str
    level: str
    eventType: str
    message: str
    stepId: str
    metadata: dict[str, str]
    cursor: str


@dataclass(frozen=True, slots=True)
class Answer(Generic[_Document]):
    """A document of the API, for programs and for people.

    Args:
        document: the document as the service sent it.
        view: the part of it that has the API's types; it has every member that is required.
        misfits: the reason for each part that *view* leaves out.

    """

    document: JsonValue
    view: _Document
    misfits: tuple[str, ...] = ()


def read_document(response: httpx.Response, kind: type[_Document]) -> Answer[_Document]:
    """Return the answer as a document of *kind*, a TypedDict or a list of one.

    Raises:
        RefusedError: the answer is not JSON, or a required member is missing or has another type.

    """
    try:
        document = parse_json(response.content)
        fitted = fit(document, kind)
    except (JsonError, MisfitError) as error:
        reason = "" if type(error) is JsonError else f": {error}"
        raise unexpected_answer(response, f"without a document of the API{reason}") from error
    return Answer(document, fitted.view, fitted.misfits)


def read_log(response: httpx.Response) -> list[Answer[LogEntry]]:
    r"""Return the answer's lines of NDJSON as log entries.

    Only `\n` ends a line: JSON text may contain the other characters that `splitlines` splits at.

    Raises:
        UnreachableError: the last line is incomplete, because the connection broke off.
        RefusedError: another line is not JSON.

    """
    *lines, last = response.content.split(b"\n")
    entries = [_read_entry(response, line) for line in lines if line.strip()]
    if not last.strip():
        return entries
    try:
        return [*entries, _read_entry(response, last)]
    except RefusedError as error:
        if not last.lstrip().startswith(b"{"):
            raise
        raise UnreachableError(
            "the log broke off in the middle of a line",
            cure="run the command again",
            code="broken",
        ) from error


def _read_entry(response: httpx.Response, line: bytes) -> Answer[LogEntry]:
    """Return a line of the log; what an entry needs and a line lacks is taken from the whole line.

    So nothing of a log stays hidden, even if a part of it has a form that nobody expected.
    """
    try:
        document = parse_json(line)
    except JsonError as error:
        raise unexpected_answer(response, "without a log in NDJSON") from error
    parts = fit(document, _LogEntryParts).view if isinstance(document, dict) else _LogEntryParts()
    view: LogEntry = {
        "timestamp": "",
        "level": "info",
        "eventType": "",
        "message": json.dumps(document, ensure_ascii=False),
        **parts,
    }
    return Answer(document, view)
