"""The two ways a command speaks: to a person, or to a program that reads its standard output.

In JSON form standard output carries documents and nothing else; progress and hints are left out,
and errors go to standard error as a document of their own. Whatever the service sends is made
harmless before it reaches a terminal: a log line must not be able to move the cursor.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.text import Text

from taskrunner_cli.errors import BadPackError, CommandError, InvalidPackError, RefusedError
from taskrunner_cli.pack_files import offending_line

_PIPE_COLUMNS: Final = 200  # nobody wraps a file: tables that go into a pipe keep their lines


class Form(StrEnum):
    """What a command prints."""

    TEXT = "text"
    JSON = "json"


class Screen:
    """Standard output and standard error of one command, in one form."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)

    @property
    def is_json(self) -> bool:
        """Whether a program is reading."""
        return self.form is Form.JSON

    def document(self, document: object) -> None:
        """Print the one document of a command in JSON form."""
        sys.stdout.write(_spelt(json.dumps(document, ensure_ascii=False, indent=2)) + "\n")

    def record(self, record: object) -> None:
        """Print one line of NDJSON, and at once: somebody may be following."""
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        sys.stdout.write(_spelt(text) + "\n")
        sys.stdout.flush()

    def say(self, *what: RenderableType) -> None:
        """Print for people, each thing on lines of its own; a program hears nothing."""
        for thing in what if not self.is_json else ():
            self.out.print(thing)

    def fail(self, error: CommandError) -> None:
        """Print *error* on standard error."""
        if self.is_json:
            text = json.dumps(error_document(error), ensure_ascii=False)
            sys.stderr.write(_spelt(text) + "\n")
            return
        self.err.print(Text.assemble(("error: ", "bold red"), harmless(error.message)))
        if isinstance(error, InvalidPackError | BadPackError):
            for problem in error.problems:
                self._problem(problem, error.manifest)
        if isinstance(error, RefusedError):
            self.err.print(Text(harmless(_reference(error)), style="dim"))
        if error.cure:
            self.err.print(Text.assemble(("try:   ", "bold cyan"), harmless(error.cure)))

    def _problem(self, problem: Mapping[str, Any], manifest: str | None) -> None:
        path, message = harmless(str(problem["path"])), harmless(str(problem["message"]))
        self.err.print(Text.assemble(("  ✗ ", "red"), (path, "bold"), "  ", message))
        if line := offending_line(message, manifest):
            number, text = line
            self.err.print(
                Text.assemble((f"    {number:>4} │ ", "dim"), (harmless(text), "yellow"))
            )


def harmless(text: str) -> str:
    """Return *text* with control characters shown instead of obeyed; tabs and line ends stay."""
    return "".join(
        c if c in "\t\n" or (c.isprintable() or c == "\u00a0") else f"\\x{ord(c):02x}" for c in text
    )


def _spelt(document: str) -> str:
    """Return the JSON *document* with an escape for each character that a terminal may obey.

    JSON's own writer escapes the oldest of them, and none of what came later: the second set of
    control characters, those that turn the direction, and half characters that are none in UTF-8.
    """
    return "".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in document)


def error_document(error: CommandError) -> dict[str, Any]:
    """Return *error* in the shape of the API's own errors: an envelope, plan errors beside it."""
    envelope: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.cure:
        envelope["cure"] = error.cure
    if isinstance(error, RefusedError):
        envelope |= {"status": error.status}
        envelope |= {"traceId": error.trace_id} if error.trace_id else {}
    if not isinstance(error, InvalidPackError | BadPackError):
        return {"error": envelope}
    return {"error": envelope, "errors": _problems(error.problems, error.manifest)}


def _problems(problems: Sequence[Mapping[str, Any]], manifest: str | None) -> list[dict[str, Any]]:
    """The plan errors, each with the number and text of its line when the message names one."""
    listed = []
    for problem in problems:
        line = offending_line(str(problem["message"]), manifest)
        listed.append({**problem, **({"line": line[0], "text": line[1]} if line else {})})
    return listed


def _reference(error: RefusedError) -> str:
    """What to quote when asking somebody about *error*."""
    trace = f", trace {error.trace_id}" if error.trace_id else ""
    return f"       {error.code} (HTTP {error.status}{trace})"


def _console(*, stderr: bool) -> Console:
    """A console that colours nothing by guessing and does not wrap what goes into a pipe."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _PIPE_COLUMNS
    return console
