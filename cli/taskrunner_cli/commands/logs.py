"""`logs`: prints the log of a run, whole or filtered."""

from collections import deque
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from taskrunner_cli.api.documents import LogEntry
from taskrunner_cli.api.run_filters import parse_moment
from taskrunner_cli.commands.completion import complete_step
from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.commands.options import CursorOption, RunArgument
from taskrunner_cli.errors import UsageError
from taskrunner_cli.output.log_filter import LEVELS, LogFilter
from taskrunner_cli.output.runs import log_line
from taskrunner_cli.output.whole_lines import WholeLines
from taskrunner_cli.session import Session

if TYPE_CHECKING:
    from taskrunner_cli.api.answers import Answer


_LARGEST_TAIL: Final = 1000  # that the API reads at once
_FIRST_EVENT: Final = "run.created"


class Level(StrEnum):
    """The levels of a log, from the least to the most important."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


StepOption = Annotated[
    str,
    typer.Option(
        metavar="STEP",
        help="Only the entries of this step, and of the steps inside its iterations.",
        autocompletion=complete_step,
    ),
]
LevelOption = Annotated[Level, typer.Option(help="Only entries of this level or above.")]
GrepOption = Annotated[
    str,
    typer.Option(
        metavar="TEXT",
        help="Only entries, and lines of output, with this text, in capitals or not.",
    ),
]
SinceOption = Annotated[
    str,
    typer.Option(
        metavar="TIME", help="Only entries from then on: a time, or 10m for 10 minutes ago."
    ),
]
TailOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Only the last N of these, and new ones.")
]
FailedOption = Annotated[bool, typer.Option("--failed", help="Only the entries of failed steps.")]


@in_session
def logs(  # noqa: PLR0913 -- one parameter per option
    session: Session,
    run: RunArgument,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new entries until the run ends.")
    ] = False,
    step: StepOption = "",
    level: LevelOption = Level.DEBUG,
    failed: FailedOption = False,
    grep: GrepOption = "",
    since: SinceOption = "",
    tail: TailOption = None,
    cursor: CursorOption = None,
) -> None:
    """Print a run's log, a line for each entry; in JSON form as NDJSON."""
    if failed and follow:
        raise UsageError(
            "--failed cannot follow a log: only the end of a step says whether it failed",
            cure="omit --follow, or follow with --level error",
        )
    failed_steps = _failed_steps(session, run) if failed else None
    earliest = parse_moment(since, "--since", session.world.clock.now())
    log_filter = LogFilter(step, LEVELS.index(level), failed_steps, grep, earliest)
    log = _Log(session, log_filter)
    if tail is not None:
        cursor, last = _read_tail(session, run, log, tail, cursor)
        log.print(last)
    try:
        if tail is None or follow:
            for entry in _entries(session, run, cursor, follow=follow):
                log.print(log.wanted(entry))
    finally:
        log.print(log.rest())
    if not log.printed:
        steps = f"; its steps: taskrunner show {run} --all" if step else ""
        session.screen.print_notice(f"the log has no such entries{steps}")


class _Record(NamedTuple):
    """An entry of a log as the service sent it, and as it is shown."""

    document: object
    view: LogEntry


class _Log:
    """The wanted entries of a log: for people with output in whole lines, else as they came."""

    def __init__(self, session: Session, log_filter: LogFilter) -> None:
        self._session = session
        self._filter = log_filter
        self._lines = WholeLines()
        self.printed = 0

    @property
    def is_filtered(self) -> bool:
        """Whether some entries are not wanted."""
        return self._filter != LogFilter()

    @property
    def unfinished(self) -> list[LogEntry]:
        """The wanted ones of the lines that have not ended."""
        return [view for view in self._lines.unfinished if self._filter.accepts(view)]

    def wanted(self, entry: "Answer[LogEntry]") -> Iterator[_Record]:
        """Yield the wanted ones of the entries that the next *entry* completes."""
        is_json = self._session.screen.is_json
        for view in [entry.view] if is_json else self._lines.add(entry.view):
            if self._filter.accepts(view):
                yield _Record(entry.document, view)

    def rest(self) -> Iterator[_Record]:
        """Yield the wanted ones of the lines that have not ended."""
        for view in filter(self._filter.accepts, self._lines.rest()):
            yield _Record(view, view)

    def begin_again(self) -> None:
        """Forget the entries so far, because they are read again."""
        self._lines = WholeLines()

    def print(self, records: Iterable[_Record]) -> None:
        """Print *records*."""
        for record in records:
            self._session.print_record(record.document, log_line(record.view, self._filter.words))
            self.printed += 1


def _read_tail(
    session: Session, run: str, log: _Log, count: int, cursor: str | None
) -> tuple[str | None, Iterable[_Record]]:
    """Return the cursor after all entries that were read, and the last *count* that are wanted.

    They are searched for in the end of the log, and in all of it only if that has too few. A line
    of output that has not ended counts, but does not come before it ends.
    """
    last: deque[_Record] = deque(maxlen=count)
    end = None
    if cursor is None and count <= _LARGEST_TAIL:
        end = session.client.log_end(run, _LARGEST_TAIL if log.is_filtered else count)
    if end is not None and end.entries and end.cursor:
        wanted = [record for entry in end.entries for record in log.wanted(entry)]
        is_whole = end.entries[0].view["eventType"] == _FIRST_EVENT
        if is_whole or len(wanted) + len(log.unfinished) >= count:
            last.extend(wanted)
            cursor = end.cursor
        else:
            log.begin_again()
    for page in session.client.log_pages(run, cursor):
        cursor = page.cursor
        last.extend(record for entry in page.entries for record in log.wanted(entry))
    unfinished = len(log.unfinished)
    return cursor, list(last)[max(0, len(last) + unfinished - count) :]


def _entries(
    session: Session, run: str, cursor: str | None, *, follow: bool
) -> Iterator["Answer[LogEntry]"]:
    """Yield each entry of a log after *cursor*."""
    from taskrunner_cli.api.watch import Watch, has_ended  # noqa: PLC0415 -- brings httpx

    if not follow:
        for page in session.client.log_pages(run, cursor):
            yield from page.entries
        return
    watch = Watch(
        session.client, run, session.world.clock, session.screen.print_notice, cursor=cursor
    )
    for update in watch.until(has_ended):
        yield from update.new_entries


def _failed_steps(session: Session, run: str) -> frozenset[str]:
    steps = session.client.run(run).view["steps"]
    return frozenset(step["stepId"] for step in steps if step["status"] == "Failed")
