"""Plan errors with the places in the pack that they are about, for people and for programs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NotRequired, cast

from rich.cells import cell_len
from rich.text import Text

from taskrunner_cli.errors import PackFile, PlanError
from taskrunner_cli.output.sanitize import sanitize_text

_LINE_NUMBER: Final = re.compile(r"^line (\d{1,9}): ")
_LINE_BREAK: Final = re.compile(
    "\r\n|[\r\n\x85\u2028\u2029]"
)  # those of YAML 1.1, as PyYAML counts
_GUTTER: Final = 11  # the columns before a quoted line
_NARROWEST_QUOTE: Final = 20
_WIDEST_QUOTE: Final = 160  # also in a pipe, because a pack may be one long line of JSON
_INPUTS: Final = "$.inputs"


class LocatedPlanError(PlanError):
    """A plan error with its place: the file, the line and column from 1, and the line's text."""

    file: NotRequired[str]
    line: NotRequired[int]
    column: NotRequired[int]
    text: NotRequired[str]


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in a pack: the line and column, from 1, and the line's text."""

    line: int
    column: int
    text: str


def plan_error_lines(problem: PlanError, pack: PackFile | None, width: int) -> list[Text]:
    """Return a plan error as lines of text: its place, its message, and the quoted line.

    A quoted line that does not fit into *width*, that of the terminal, is cut around its place.
    """
    path, message = sanitize_text(problem["path"]), sanitize_text(problem["message"])
    place = _find_place(problem, pack)
    if place is None or pack is None:
        return [Text.assemble(("  ✗ ", "red"), (path, "bold"), "  ", message)]
    position = f"{sanitize_text(pack.name)}:{place.line}:{place.column}"
    heading = Text.assemble(("  ✗ ", "red"), (position, "bold"), "  ", (path, "dim"))
    heading.no_wrap, heading.overflow = True, "ignore"
    reason = Text.assemble("    ", _LINE_NUMBER.sub("", message))
    return [heading, reason, *_quote(place, width - _GUTTER)]


def located_plan_errors(
    problems: Sequence[PlanError], pack: PackFile | None
) -> list[LocatedPlanError]:
    """Return plan errors as documents, each with its place."""
    return [_located(problem, pack) for problem in problems]


def _located(problem: PlanError, pack: PackFile | None) -> LocatedPlanError:
    document = cast("LocatedPlanError", dict(problem))  # with members that are new to this version
    place = _find_place(problem, pack)
    if place is not None and pack is not None:
        document["file"], document["text"] = pack.name, place.text
        document["line"], document["column"] = place.line, place.column
    return document


def _find_place(problem: PlanError, pack: PackFile | None) -> _Place | None:
    """Return the place of a problem in its pack; None if it is about something else.

    The message's line is the compiler's word. The path's own place has the column, and the line if
    the message has none.
    """
    if pack is None or problem["path"].startswith(_INPUTS):
        return None
    # The compiler takes a third of a second to import, and only an error of a pack needs it here.
    from taskrunner.compiler.manifest.source import locate  # noqa: PLC0415

    named = _LINE_NUMBER.match(problem["message"])
    found = locate(pack.text, problem["path"])
    if named is None and (found is None or found == locate(pack.text, "$")):
        return None
    lines = _LINE_BREAK.split(pack.text)
    number = int(named[1]) if named else (found or (0, 0))[0]
    if not 0 < number <= len(lines):
        return None
    text = lines[number - 1]
    if found is not None and found[0] == number:
        return _Place(number, found[1], text)
    return _Place(number, len(text) - len(text.lstrip()) + 1, text)


def _quote(place: _Place, width: int) -> list[Text]:
    """Return the line of a place, and a caret below its column."""
    before, behind = place.text[: place.column - 1], place.text[place.column - 1 :]
    room = min(max(width, _NARROWEST_QUOTE), _WIDEST_QUOTE)
    if cell_len(place.text) > room:
        before = _end_of(before, room // 2)
        behind = _start_of(behind, room - cell_len(before))
    before, behind = (sanitize_text(part).expandtabs(4) for part in (before, behind))
    caret = " " * cell_len(before) + "^"
    lines = [(f"{place.line:>8}", before + behind, "yellow"), (" " * 8, caret, "bold red")]
    return [
        Text.assemble((f"{number} │ ", "dim"), (quoted, style), no_wrap=True, overflow="ignore")
        for number, quoted, style in lines
    ]


def _end_of(text: str, width: int) -> str:
    return text if cell_len(text) <= width else "…" + text[len(text) - width + 1 :]


def _start_of(text: str, width: int) -> str:
    return text if cell_len(text) <= width else text[: width - 1] + "…"
