"""The bars of downloads, on a terminal only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from taskrunner_cli.output.sanitize import sanitize_text
from taskrunner_cli.output.screen import Screen

if TYPE_CHECKING:
    from rich.progress import Progress

Advance: TypeAlias = Callable[[int], None]
"""A function that takes the number of bytes that have arrived since its last call."""


class DownloadBars:
    """The bars of one command; without *progress* nothing is drawn."""

    def __init__(self, progress: "Progress | None" = None) -> None:
        self._progress = progress

    @contextmanager
    def bar(self, name: str, size_bytes: int | None) -> Iterator[Advance]:
        """Show the bar of a file while it is downloaded; yield the function that moves it."""
        progress = self._progress
        if progress is None:
            yield lambda _: None
            return
        task = progress.add_task(sanitize_text(name), total=size_bytes)
        yield lambda arrived: progress.advance(task, arrived)


@contextmanager
def downloads(screen: Screen) -> Iterator[DownloadBars]:
    """Yield the bars of a command; they vanish at its end, because the result lists the files."""
    if not screen.is_live:
        yield DownloadBars()
        return
    from rich.progress import (  # noqa: PLC0415 -- for one command on a terminal
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
    )

    columns = TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn()
    with Progress(*columns, console=screen.out, transient=True) as progress:
        yield DownloadBars(progress)
