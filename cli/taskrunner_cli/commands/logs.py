"""`logs`: prints the log of a run, whole or filtered."""

from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from taskrunner_cli.api.documents import LogEntry
from taskrunner_cli.api.run_filters import parse_moment
from taskrunner_cli.commands.completion import complete_step
from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.commands.options import CursorOption, RunArgument
from taskrunner_cli.errors import UsageError
from taskrunner_cli.output.log_filter import LEVELS, LogFilter
from taskrunner_cli.output.runs import log_line
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
    printed = 0
    if tail is not None:
        cursor, printed = _print_tail(session, run, log_filter, tail, cursor)
    if tail is None or follow:
        for document, entry in _entries(session, run, cursor, follow=follow):
            if log_filter.accepts(entry):
                session.print_record(document, log_line(entry, grep))
                printed += 1
    if not printed:
        steps = f"; its steps: taskrunner show {run} --all" if step else ""
        session.screen.print_notice(f"the log has no such entries{steps}")


def _print_tail(
    session: Session, run: str, log_filter: LogFilter, count: int, cursor: str | None
) -> tuple[str | None, int]:
    """Print the last *count* entries that are wanted.

    Return the cursor after all entries that were read, and how many were printed.

    They are searched for in the end of the log, and in all of it only if that has too few.
    """
    last: deque[Answer[LogEntry]] = deque(maxlen=count)
    end = None
    if cursor is None and count <= _LARGEST_TAIL:
        is_filtered = log_filter != LogFilter()
        end = session.client.log_end(run, _LARGEST_TAIL if is_filtered else count)
    if end is not None and end.entries and end.cursor:
        wanted = [entry for entry in end.entries if log_filter.accepts(entry.view)]
        if len(wanted) >= count or end.entries[0].view["eventType"] == _FIRST_EVENT:
            last.extend(wanted)
            cursor = end.cursor
    for page in session.client.log_pages(run, cursor):
        cursor = page.cursor
        last.extend(entry for entry in page.entries if log_filter.accepts(entry.view))
    for entry in last:
        session.print_record(entry.document, log_line(entry.view, log_filter.words))
    return cursor, len(last)


def _entries(
    session: Session, run: str, cursor: str | None, *, follow: bool
) -> Iterator[tuple[object, LogEntry]]:
    """Yield each entry of a log as the service sent it, and as it is shown."""
    from taskrunner_cli.api.watch import Watch, has_ended  # noqa: PLC0415 -- brings httpx

    if not follow:
        for page in session.client.log_pages(run, cursor):
            for entry in page.entries:
                yield entry.document, entry.view
        return
    watch = Watch(
        session.client, run, session.world.clock, session.screen.print_notice, cursor=cursor
    )
    for update in watch.until(has_ended):
        for entry in update.new_entries:
            yield entry.document, entry.view


def _failed_steps(session: Session, run: str) -> frozenset[str]:
    steps = session.client.run(run).view["steps"]
    return frozenset(step["stepId"] for step in steps if step["status"] == "Failed")
