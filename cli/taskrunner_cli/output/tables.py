"""The two shapes of every view: a table of rows, and a list of facts.

In a pipe each row is one whole line. On a terminal long text wraps within its column, and ids stay
in one piece, also those in a list: where a table is too narrow for that, each row becomes a list of
facts instead.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from taskrunner_cli.output.formatting import text, wrap_words

PIPE_COLUMNS: Final = 1_000_000
"""The width of a console that is not a terminal; nothing wraps at it."""

_TEXT_COLUMNS: Final = frozenset({"", "detail", "from", "message", "you"})
"""The columns of text, which wraps, and whose longest words fold."""

_WORD_COLUMNS: Final = frozenset(
    {
        "cannot be reached without it",
        "created",
        "ended",
        "expires",
        "grants",
        "open since",
        "pack",
        "passes by",
        "requester",
        "uses",
    }
)
"""The columns of dates, names and ids, which wrap between words only."""

_NARROWEST: Final = 10  # a column that wraps still has a date in one piece
_GAP: Final = 2
_INDENTED_PART: Final = 8  # of the width, one in so many columns may be empty before a list


class Facts:
    """A list of names and values."""

    def __init__(self, rows: Mapping[str, str] | None = None, *, indent: int = 0) -> None:
        self._indent = indent
        self._rows: list[tuple[Text, Text]] = []
        for name, value in (rows or {}).items():
            self.add_row(name, text(value))

    def add_row(self, name: str, value: Text | str) -> None:
        """Add a fact; its name may come from the service."""
        self._rows.append((text(name, "dim"), _cell(value)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the list as wide as *options* allow; Rich calls this."""
        name_width = max((name.cell_len for name, _ in self._rows), default=0)
        value_width = max(options.max_width - self._indent - name_width - _GAP, _NARROWEST)
        for name, value in self._rows:
            if options.overflow == "fold":
                values = list(value.wrap(console, value_width, overflow="fold"))
            else:
                values = wrap_words(value, value_width)
            rows = zip_longest([name], values, fillvalue=Text())
            yield from _lines(rows, [name_width, 0], indent=self._indent)


class ResultTable:
    """A table with a header; the columns of ids never wrap."""

    def __init__(self, *columns: str) -> None:
        self._columns = columns
        self._rows: list[list[Text]] = []
        self._guides: list[str] = []

    def add_row(self, *cells: Text | str, guide: str = "") -> None:
        """Add a row with a cell for each column.

        A table draws *guide*, the lines of a tree, before the first cell. In a list the whole row
        is indented instead.
        """
        self._rows.append([_cell(cell) for cell in cells])
        self._guides.append(guide)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table as wide as *options* allow; Rich calls this."""
        header = [Text(column, style="dim") for column in self._columns]
        rows = [header, *map(_guided, self._guides, self._rows)]
        if options.max_width >= PIPE_COLUMNS:
            rows = [[_in_one_line(cell) for cell in row] for row in rows]
        widths = _fitting_widths(self._columns, rows, options.max_width)
        if widths is None:
            yield from self._as_facts(console, options)
            return
        for row in rows:
            columns = [
                cell.wrap(console, max(width, 1), overflow="fold")
                for cell, width in zip(row, widths, strict=True)
            ]
            yield from _lines(zip_longest(*columns, fillvalue=Text()), widths)

    def _as_facts(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw each row as a list of facts, without its empty cells."""
        deepest = options.max_width // _INDENTED_PART
        for number, (guide, row) in enumerate(zip(self._guides, self._rows, strict=True)):
            indent = min(len(guide), deepest)
            facts = Facts(indent=indent)
            for name, cell in zip(self._columns, row, strict=True):
                if cell.plain.strip():
                    facts.add_row(name, cell)
            if number:
                yield Text()
            yield from facts.__rich_console__(console, options)


def _guided(guide: str, row: Sequence[Text]) -> list[Text]:
    """Return a row whose first cell has *guide* before it."""
    return [Text(guide, style="dim").append_text(row[0]), *row[1:]] if guide else list(row)


def _fitting_widths(
    columns: Sequence[str], rows: Sequence[Sequence[Text]], available: int
) -> list[int] | None:
    """Return the columns' widths within *available*; None if the ids alone take too much."""
    columns_of_cells = list(zip(*rows, strict=True))
    widths = [max(map(_width, cells)) for cells in columns_of_cells]
    narrowest = [
        min(width, _narrowest(name, cells))
        for name, cells, width in zip(columns, columns_of_cells, widths, strict=True)
    ]
    excess = sum(widths) + _GAP * (len(widths) - 1) - available
    while excess > 0:
        shrinkable = [place for place, width in enumerate(widths) if width > narrowest[place]]
        if not shrinkable:
            return None
        widths[max(shrinkable, key=lambda place: widths[place])] -= 1
        excess -= 1
    return widths


def _narrowest(column: str, cells: Iterable[Text]) -> int:
    """Return the width below which a column of *cells* would cut what must stay in one piece."""
    if column in _TEXT_COLUMNS:
        return _NARROWEST
    if column in _WORD_COLUMNS:
        words = (word for cell in cells for word in cell.plain.split())
        return max((_NARROWEST, *map(cell_len, words)))
    return max(map(_width, cells))


def _width(cell: Text) -> int:
    return max((line.cell_len for line in cell.split("\n")), default=0)


def _lines(
    rows: Iterable[Sequence[Text]], widths: Sequence[int], *, indent: int = 0
) -> Iterable[Text]:
    """Return each row as a line, without blanks at its end."""
    for row in rows:
        line = Text(" " * indent, no_wrap=True, overflow="ignore")
        for cell, width in zip(row, widths, strict=True):
            line.append_text(cell)
            line.append(" " * (width - cell.cell_len + _GAP))
        line.rstrip()
        yield line


def _cell(value: Text | str) -> Text:
    cell = value if isinstance(value, Text) else text(value)
    cell.expand_tabs(8)
    return cell


def _in_one_line(cell: Text) -> Text:
    return Text(" ".join(cell.plain.split("\n")), style=cell.style)
