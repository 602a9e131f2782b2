"""`runs`, `show`, `logs` and `cancel`: what is done with a run."""

from typing import Annotated

import typer

from taskrunner_cli.api.documents import RunState
from taskrunner_cli.api.watch import Watch, ended
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.live_run import display_for, follow, gate_hints
from taskrunner_cli.output.runs import log_line, run_list, run_view
from taskrunner_cli.session import CursorOption, LimitOption, RunArgument, Session, in_session


@in_session
def runs(session: Session, *, limit: LimitOption = 20, cursor: CursorOption = None) -> None:
    """List the tenant's runs, newest first."""
    page = session.client.runs(limit, cursor)
    session.answer(page, run_list(page["runs"]))
    session.mention_more(page.get("nextCursor"))


@in_session
def show(
    session: Session,
    run: RunArgument,
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay until the run ends.")] = False,
) -> None:
    """Show a run and its steps."""
    if watch:
        conclude(session, watch_run(session, run))
        return
    state = session.client.run(run)
    session.answer(state, run_view(state))
    for hint in gate_hints(state):
        session.screen.say(hint)


@in_session
def logs(
    session: Session,
    run: RunArgument,
    *,
    follow_: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new lines until the run ends.")
    ] = False,
    cursor: CursorOption = None,
) -> None:
    """Print a run's log, a line an entry; in JSON form as NDJSON."""
    watch = Watch(session.client, run, session.world.clock, cursor)
    if not follow_:
        for entry in watch.news():
            session.record(entry, log_line(entry))
        return
    for glimpse in watch.until(ended):
        for entry in glimpse.news:
            session.record(entry, log_line(entry))


@in_session
def cancel(session: Session, run: RunArgument) -> None:
    """Cancel a run, at once and for good; an ended run stays as it is."""
    answer = session.client.cancel(run)
    session.answer(answer, text(f"run {run} is {answer['status']}"))


def watch_run(session: Session, run_id: str) -> RunState:
    """Show a run until it ends and return how it ended."""
    clock = session.world.clock
    watch = Watch(session.client, run_id, clock)
    try:
        return follow(watch.until(ended), display_for(session.screen, clock, watch.spans))
    except KeyboardInterrupt:
        again = f"the run goes on; see it again: taskrunner show {run_id} --watch"
        session.screen.say(text(again, "dim"))
        raise


def conclude(session: Session, run: RunState) -> None:
    """Print a watched run's end; exit 1 unless it succeeded.

    Raises:
        typer.Exit: it did not succeed; what there is to say is on the screen already.

    """
    session.answer(run, run_view(run) if not session.screen.out.is_terminal else "")
    if run["status"] != "succeeded":
        raise typer.Exit(1)
