"""Prints a command's result and its errors: text for people, or JSON for programs.

In JSON form, standard output holds documents and nothing else: progress and hints are omitted, and
an error is a document on standard error. Whatever the service sent is sanitized first.
"""

import json
import sys
from enum import StrEnum
from typing import Final, NotRequired, TypedDict

from rich.console import Console, RenderableType
from rich.text import Text

from taskrunner_cli.errors import (
    CommandError,
    InvalidPackError,
    RefusedError,
    RefusedPackError,
)
from taskrunner_cli.output.plan_errors import (
    LocatedPlanError,
    located_plan_errors,
    plan_error_lines,
)
from taskrunner_cli.output.sanitize import sanitize_json, sanitize_text

_PIPE_COLUMNS: Final = 200  # a file needs no wrapping, so tables in a pipe keep their rows whole


class OutputFormat(StrEnum):
    """The form of a command's output."""

    TEXT = "text"
    JSON = "json"


class ErrorEnvelope(TypedDict):
    """An error in the shape of the API's own errors, with the addition of *cure*."""

    code: str
    message: str
    cure: NotRequired[str]
    status: NotRequired[int]
    traceId: NotRequired[str]


class ErrorDocument(TypedDict):
    """The document that a failed command prints in JSON form."""

    error: ErrorEnvelope
    errors: NotRequired[list[LocatedPlanError]]


class Screen:
    """Standard output and standard error of one command, in one form."""

    def __init__(self, output: OutputFormat) -> None:
        self.is_json = output is OutputFormat.JSON
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)

    def print_document(self, document: object) -> None:
        """Print the only document of a command in JSON form."""
        text = json.dumps(document, ensure_ascii=False, indent=2)
        sys.stdout.write(sanitize_json(text) + "\n")

    def print_record(self, record: object) -> None:
        """Print a line of NDJSON, and flush it for a program that follows."""
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        sys.stdout.write(sanitize_json(text) + "\n")
        sys.stdout.flush()

    def print_text(self, *parts: RenderableType) -> None:
        """Print each part on lines of its own; print nothing in JSON form."""
        if not self.is_json:
            for part in parts:
                self.out.print(part)

    def print_error(self, error: CommandError) -> None:
        """Print *error* on standard error."""
        if self.is_json:
            text = json.dumps(_error_document(error), ensure_ascii=False)
            sys.stderr.write(sanitize_json(text) + "\n")
            return
        self.err.print(Text.assemble(("error: ", "bold red"), sanitize_text(error.message)))
        if isinstance(error, RefusedPackError | InvalidPackError):
            for problem in error.problems:
                for line in plan_error_lines(problem, error.manifest):
                    self.err.print(line)
        if isinstance(error, RefusedError):
            self.err.print(Text(sanitize_text(_reference(error)), style="dim"))
        if error.cure:
            self.err.print(Text.assemble(("try:   ", "bold cyan"), sanitize_text(error.cure)))


def _error_document(error: CommandError) -> ErrorDocument:
    envelope: ErrorEnvelope = {"code": error.code, "message": error.message}
    if error.cure:
        envelope["cure"] = error.cure
    if isinstance(error, RefusedError):
        envelope["status"] = error.status
        if error.trace_id:
            envelope["traceId"] = error.trace_id
    if isinstance(error, RefusedPackError | InvalidPackError):
        problems = located_plan_errors(error.problems, error.manifest)
        return {"error": envelope, "errors": problems}
    return {"error": envelope}


def _reference(error: RefusedError) -> str:
    """Return the code, the status and the trace id, to quote in a question about *error*."""
    trace = f", trace {error.trace_id}" if error.trace_id else ""
    return f"       {error.code} (HTTP {error.status}{trace})"


def _console(*, stderr: bool) -> Console:
    """Return a console that highlights nothing by itself, and does not wrap in a pipe."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _PIPE_COLUMNS
    return console
