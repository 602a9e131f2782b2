"""Prints a command's result and its errors: text for people, or JSON for programs.

In JSON form, standard output holds documents and nothing else: progress and hints are omitted, and
an error is a document on standard error. All text of the service is sanitized first.
"""

import codecs
import json
import sys
from typing import NotRequired, TextIO, TypedDict

from rich.console import Console, RenderableType
from rich.text import Text

from taskrunner_cli.errors import (
    CommandError,
    InvalidPackError,
    RefusedError,
    RefusedPackError,
)
from taskrunner_cli.output.formatting import wrap_words
from taskrunner_cli.output.forms import OutputFormat
from taskrunner_cli.output.plan_errors import (
    LocatedPlanError,
    located_plan_errors,
    plan_error_lines,
)
from taskrunner_cli.output.sanitize import sanitize_json, sanitize_text
from taskrunner_cli.output.tables import PIPE_COLUMNS


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

    @property
    def is_live(self) -> bool:
        """Whether a view may change in place: on a terminal, in text form."""
        is_terminal = self.out.width < PIPE_COLUMNS and not self.out.is_dumb_terminal
        return is_terminal and not self.is_json

    @property
    def can_ask(self) -> bool:
        """Whether somebody can answer a question: on a terminal, in text form."""
        return self.is_live and sys.stdin.isatty()

    def ask(self, question: str) -> str:
        """Ask a question and return the answer; empty if there is none."""
        self.out.print(Text(sanitize_text(question), style="bold"), end=" ", soft_wrap=True)
        return sys.stdin.readline().strip()

    def print_document(self, document: object) -> None:
        """Print the only document of a command in JSON form."""
        _write_json(document, sys.stdout, indent=2)

    def print_record(self, record: object) -> None:
        """Print a line of NDJSON, and flush it for a program that follows."""
        _write_json(record, sys.stdout, separators=(",", ":"))
        sys.stdout.flush()

    def print_text(self, *parts: RenderableType) -> None:
        """Print each part on lines of its own; print nothing in JSON form."""
        if not self.is_json:
            for part in parts:
                if isinstance(part, Text):
                    _print_words(self.out, part)
                else:
                    self.out.print(part, crop=False)

    def print_commands(self, *commands: RenderableType) -> None:
        """Print lines to copy, which only the terminal wraps; print nothing in JSON form."""
        if not self.is_json:
            for command in commands:
                self.out.print(command, soft_wrap=True)

    def print_source(self, source: str) -> None:
        """Print text for another program as it is, except for characters a terminal obeys."""
        sys.stdout.write(sanitize_text(source))

    def print_notice(self, notice: str) -> None:
        """Print why the command waits, or what it cannot show, on standard error.

        In JSON form, a program may read standard error, so only a person at a terminal sees it.
        """
        if self._shows_notices:
            self._print_lines(Text(sanitize_text(notice), style="dim"))

    @property
    def _shows_notices(self) -> bool:
        return not self.is_json or self.err.width < PIPE_COLUMNS

    def print_warning(self, warning: str) -> None:
        """Print what the service warns of, on standard error, where `print_notice` would."""
        if self._shows_notices:
            self._print_lines(Text.assemble(("warning: ", "bold yellow"), sanitize_text(warning)))

    def print_error(self, error: CommandError) -> None:
        """Print *error* on standard error."""
        if self.is_json:
            _write_json(_error_document(error), sys.stderr)
            return
        self._print_lines(Text.assemble(("error: ", "bold red"), sanitize_text(error.message)))
        if isinstance(error, RefusedPackError | InvalidPackError):
            for problem in error.problems:
                self._print_lines(*plan_error_lines(problem, error.pack, self.err.width))
        if isinstance(error, RefusedError):
            self._print_lines(Text(sanitize_text(_reference(error)), style="dim"))
        if error.cure:
            self._print_lines(Text.assemble(("try:   ", "bold cyan"), sanitize_text(error.cure)))

    def _print_lines(self, *lines: Text) -> None:
        """Print on standard error."""
        for line in lines:
            _print_words(self.err, line)


def _error_document(error: CommandError) -> ErrorDocument:
    envelope: ErrorEnvelope = {"code": error.code, "message": error.message}
    if error.cure:
        envelope["cure"] = error.cure
    if isinstance(error, RefusedError):
        envelope["status"] = error.status
        if error.trace_id:
            envelope["traceId"] = error.trace_id
    if isinstance(error, RefusedPackError | InvalidPackError):
        problems = located_plan_errors(error.problems, error.pack)
        return {"error": envelope, "errors": problems}
    return {"error": envelope}


def _reference(error: RefusedError) -> str:
    """Return the code, the status and the trace id, to quote in a question about *error*."""
    trace = f", trace {error.trace_id}" if error.trace_id else ""
    return f"       {error.code} (HTTP {error.status}{trace})"


def _write_json(
    document: object,
    stream: TextIO,
    *,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
) -> None:
    """Write *document* and a line end, in ASCII if the stream has another encoding than UTF-8."""
    is_utf8 = codecs.lookup(stream.encoding or "utf-8").name == "utf-8"
    text = json.dumps(document, ensure_ascii=not is_utf8, indent=indent, separators=separators)
    stream.write(sanitize_json(text) + "\n")


def _print_words(console: Console, line: Text) -> None:
    """Print *line*, wrapped between words; a word that is wider than the console stays whole."""
    for part in wrap_words(line, console.width):
        console.print(part, soft_wrap=True)


def _console(*, stderr: bool) -> Console:
    """Return a console that highlights nothing by itself, and does not wrap in a pipe."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.file.isatty():  # FORCE_COLOR makes `is_terminal` true in a pipe as well
        console.width = PIPE_COLUMNS
    return console
