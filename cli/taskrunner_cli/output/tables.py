"""Builds the two shapes of every view: a table with a header, and a list of facts."""

from collections.abc import Mapping
from typing import Final

from rich.table import Table

from taskrunner_cli.output.formatting import text

_WRAPPED_COLUMNS: Final = frozenset({"detail", "message", "from"})


def new_table(*columns: str) -> Table:
    """Return a table with *columns*; only those with long text wrap."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column not in _WRAPPED_COLUMNS)
    return table


def new_facts() -> Table:
    """Return an empty list of facts, a table of names and values."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    return table


def facts(rows: Mapping[str, str]) -> Table:
    """Return *rows* as a list of facts."""
    table = new_facts()
    for name, value in rows.items():
        table.add_row(name, text(value))
    return table
