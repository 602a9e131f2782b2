"""`runs`, `show`, `logs` and `cancel`: lists runs, and shows, follows or cancels one."""

from typing import Annotated

import typer

from taskrunner_cli.api.documents import RunState
from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.commands.options import CursorOption, LimitOption, RunArgument
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.live_run import display_for, show_updates
from taskrunner_cli.output.runs import gate_hints, log_line, run_list, run_view
from taskrunner_cli.output.step_durations import StepDurations
from taskrunner_cli.session import Session


@in_session
def runs(session: Session, *, limit: LimitOption = 20, cursor: CursorOption = None) -> None:
    """List the tenant's runs, newest first."""
    page = session.client.runs(limit, cursor)
    session.print_result(page, run_list(page["runs"]))
    session.print_next_cursor(page.get("nextCursor"))


@in_session
def show(
    session: Session,
    run: RunArgument,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow the run until it ends.")
    ] = False,
) -> None:
    """Show a run and its steps."""
    if watch:
        print_end(session, watch_run(session, run))
        return
    state = session.client.run(run)
    session.print_result(state, run_view(state))
    session.screen.print_text(*gate_hints(state))


@in_session
def logs(
    session: Session,
    run: RunArgument,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new entries until the run ends.")
    ] = False,
    cursor: CursorOption = None,
) -> None:
    """Print a run's log, a line for each entry; in JSON form as NDJSON."""
    from taskrunner_cli.api.watch import Watch, has_ended  # noqa: PLC0415 -- brings httpx

    watch = Watch(session.client, run, session.world.clock, cursor)
    if not follow:
        for entry in watch.new_entries():
            session.print_record(entry, log_line(entry))
        return
    for update in watch.until(has_ended):
        for entry in update.new_entries:
            session.print_record(entry, log_line(entry))


@in_session
def cancel(session: Session, run: RunArgument) -> None:
    """Cancel a run, immediately and for good; a run that has ended does not change."""
    answer = session.client.cancel(run)
    session.print_result(answer, text(f"run {run} is {answer['status']}"))


def watch_run(session: Session, run_id: str) -> RunState:
    """Show a run until it ends and return its last state."""
    from taskrunner_cli.api.watch import Watch, has_ended  # noqa: PLC0415 -- brings httpx

    watch = Watch(session.client, run_id, session.world.clock)
    display = display_for(session.screen, session.world.clock, StepDurations())
    try:
        return show_updates(watch.until(has_ended), display)
    except KeyboardInterrupt:
        hint = f"the run goes on; to follow it again: taskrunner show {run_id} --watch"
        session.screen.print_text(text(hint, "dim"))
        raise


def print_end(session: Session, run: RunState) -> None:
    """Print the last state of a watched run.

    Raises:
        typer.Exit: the run did not succeed; exit code 1.

    """
    # A live table has the last state on the terminal already.
    session.print_result(run, run_view(run) if not session.screen.out.is_terminal else "")
    if run["status"] != "succeeded":
        raise typer.Exit(1)
