"""Plan errors with the pack's lines that they name, for people and for programs."""

import re
from collections.abc import Sequence
from typing import Final, NotRequired, cast

from rich.text import Text

from taskrunner_cli.errors import PlanError
from taskrunner_cli.output.sanitize import sanitize_text

_LINE_NUMBER: Final = re.compile(r"\bline (\d+)\b")


class LocatedPlanError(PlanError):
    """A plan error with the number and the text of the line that it names."""

    line: NotRequired[int]
    text: NotRequired[str]


def plan_error_lines(problem: PlanError, manifest: str | None) -> list[Text]:
    """Return a plan error as lines of text: the error, and the line that it names."""
    path, message = sanitize_text(str(problem["path"])), sanitize_text(str(problem["message"]))
    lines = [Text.assemble(("  ✗ ", "red"), (path, "bold"), "  ", message)]
    if located := _named_line(message, manifest):
        number, source = located
        quoted = (sanitize_text(source), "yellow")
        lines.append(Text.assemble((f"    {number:>4} │ ", "dim"), quoted))
    return lines


def located_plan_errors(
    problems: Sequence[PlanError], manifest: str | None
) -> list[LocatedPlanError]:
    """Return plan errors as documents, each with the line that it names."""
    return [_located(problem, manifest) for problem in problems]


def _located(problem: PlanError, manifest: str | None) -> LocatedPlanError:
    located = _named_line(str(problem["message"]), manifest)
    document = cast("LocatedPlanError", dict(problem))  # with members that are new to this version
    if located:
        document["line"], document["text"] = located
    return document


def _named_line(message: str, manifest: str | None) -> tuple[int, str] | None:
    """Return number and text of the line that *message* names; None if *manifest* lacks it."""
    match = _LINE_NUMBER.search(message)
    if not match or manifest is None:
        return None
    number, lines = int(match[1]), manifest.splitlines()
    return (number, lines[number - 1]) if 0 < number <= len(lines) else None
