"""`runs`, `show`, `watch` and `cancel`: lists runs, and shows, follows or cancels one."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from taskrunner_cli.api.approval_scopes import ApprovalScopes
from taskrunner_cli.api.documents import FINAL_RUN_STATUSES, RunState, Step
from taskrunner_cli.api.run_filters import RunFilters, parse_moment
from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.commands.options import CursorOption, LimitOption, RunArgument, StreamOption
from taskrunner_cli.errors import CommandError, UsageError
from taskrunner_cli.output.decisions import Decisions
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.live_run import display_for, show_updates
from taskrunner_cli.output.runs import RunHistory, gate_hints, run_list, run_view
from taskrunner_cli.output.step_durations import StepDurations
from taskrunner_cli.session import Session

if TYPE_CHECKING:
    from taskrunner_cli.api.watch import RunUpdate


class Status(StrEnum):
    """The statuses of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


_MOMENT: Final = "a date, an RFC 3339 time, or 24h for 24 hours ago."


@in_session
def runs(  # noqa: PLR0913 -- one parameter per option
    session: Session,
    *,
    status: Annotated[Status | None, typer.Option(help="Only runs with this status.")] = None,
    pack: Annotated[str, typer.Option(metavar="NAME", help="Only runs of this pack.")] = "",
    version: Annotated[
        str, typer.Option(metavar="VERSION", help="Only runs of this version of --pack.")
    ] = "",
    created_after: Annotated[
        str, typer.Option(metavar="TIME", help=f"Only runs from then on: {_MOMENT}")
    ] = "",
    created_before: Annotated[
        str, typer.Option(metavar="TIME", help=f"Only runs before: {_MOMENT}")
    ] = "",
    requested_by: Annotated[
        str, typer.Option(metavar="SUBJECT", help="Only runs that this caller created.")
    ] = "",
    approval: Annotated[
        str, typer.Option(metavar="ID", help="Only runs that wait for this approval.")
    ] = "",
    limit: LimitOption = 20,
    cursor: CursorOption = None,
) -> None:
    """List the tenant's runs, newest first."""
    if version and not pack:
        raise UsageError("--version needs --pack", cure="--pack NAME --version 1.0.0")
    now = session.world.clock.now()
    filters = RunFilters(
        status=status or "",
        pack=pack,
        version=version,
        requested_by=requested_by,
        approval=approval,
        created_after=parse_moment(created_after, "--created-after", now),
        created_before=parse_moment(created_before, "--created-before", now),
    )
    page = session.client.runs(limit, cursor, filters.query())
    listed = [run for run in page.view["runs"] if not filters.contradicts(run)]
    if len(listed) < len(page.view["runs"]):
        session.screen.print_notice(
            "the service does not filter runs: of those that it listed, some are not shown here;"
            " --output json prints them all"
        )
    session.print_result(page.document, run_list(listed, is_filtered=bool(filters.query())))
    session.print_next_cursor(page.view.get("nextCursor"))


@in_session
def show(
    session: Session,
    run: RunArgument,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow the run, as `watch` does.")
    ] = False,
    all_: Annotated[
        bool, typer.Option("--all", "-a", help="List the steps in all iterations.")
    ] = False,
    stream: StreamOption = None,
) -> None:
    """Show a run and its steps."""
    if watch:
        print_end(session, watch_run(session, run, streams=stream), lists_all=all_)
        return
    answer = session.client.run(run)
    if session.screen.is_json:
        session.screen.print_document(answer.document)
        return
    state = _with_omitted_steps(session, answer.view) if all_ else answer.view
    history = _read_history(session, state)
    session.screen.print_text(run_view(state, history, lists_all=all_))
    by_gate = ApprovalScopes(session.client).decided_by_gate(state)
    session.screen.print_commands(*gate_hints(state, session.hint_options, by_gate))


@in_session
def watch(
    session: Session,
    run: RunArgument,
    *,
    all_: Annotated[
        bool, typer.Option("--all", "-a", help="List the steps in all iterations at the end.")
    ] = False,
    stream: StreamOption = None,
) -> None:
    """Follow a run until it ends; the exit code is 0 only if the run succeeds."""
    print_end(session, watch_run(session, run, streams=stream), lists_all=all_)


@in_session
def cancel(session: Session, run: RunArgument) -> None:
    """Cancel a run, immediately and permanently; a run that has ended does not change."""
    answer = session.client.cancel(run)
    if session.screen.is_json:
        session.screen.print_document(answer.document)
        return
    # `status` is `cancelled` for every run, also for one that had ended before.
    status = answer.view.get("runStatus") or _read_status(session, run)
    if status in FINAL_RUN_STATUSES - {"cancelled"}:
        message = f"run {run} is {status}: it had ended before, so nothing was cancelled"
    else:
        message = f"run {run} is cancelled"
    session.screen.print_text(text(message))


def watch_run(
    session: Session, run_id: str, *, is_known: bool = False, streams: bool | None = None
) -> "RunUpdate":
    """Show a run until it ends and return its last state.

    Args:
        session: the command's session.
        run_id: the run.
        is_known: whether the service has answered about this run before.
        streams: whether all that steps print is shown; None: in a pipe only.

    """
    from taskrunner_cli.api.watch import Watch, has_ended  # noqa: PLC0415 -- brings httpx

    watch = Watch(
        session.client,
        run_id,
        session.world.clock,
        session.screen.print_notice,
        is_known=is_known,
    )
    display = display_for(
        session.screen,
        session.world.clock,
        StepDurations(),
        session.hint_options,
        streams=streams,
    )
    try:
        return show_updates(watch.until(has_ended), display)
    except KeyboardInterrupt:
        hint = f"the run goes on; to follow it again: taskrunner watch {run_id}"
        session.screen.print_commands(text(hint, "dim"))
        raise


def print_end(session: Session, last: "RunUpdate", *, lists_all: bool = False) -> None:
    """Print the last state of a watched run.

    Raises:
        typer.Exit: the run did not succeed; exit code 1.

    """
    if session.screen.is_json:
        session.screen.print_document(last.document)
    elif lists_all or not session.screen.is_live:  # a live table has printed it already
        state = _with_omitted_steps(session, last.run) if lists_all else last.run
        history = _read_history(session, state)
        session.screen.print_text(run_view(state, history, lists_all=lists_all))
    if last.run.get("status") != "succeeded":
        raise typer.Exit(1)


def _read_status(session: Session, run_id: str) -> str | None:
    """Return a run's status; None if it cannot be read, which does not undo a cancellation."""
    try:
        return session.client.run(run_id).view.get("status")
    except CommandError as error:
        session.screen.print_notice(f"the state of the run cannot be read: {error.message}")
        return None


def _with_omitted_steps(session: Session, run: RunState) -> RunState:
    """Return a run with the steps of large blocks, which the service sends page by page only."""
    if not any("childrenOmitted" in step for step in run["steps"]):
        return run
    known: dict[str, list[Step]] = {}
    for step in run["steps"]:
        known.setdefault(step.get("parentId", ""), []).append(step)
    steps: list[Step] = []
    rest = known.get("", [])[::-1]
    while rest:
        step = rest.pop()
        steps.append(step)
        if "childrenOmitted" in step:
            children = list(session.client.children(run["runId"], step["stepId"]))
        else:
            children = known.get(step["stepId"], [])
        rest += children[::-1]
    complete: RunState = {**run, "steps": steps}
    complete.pop("stepsOmitted", None)
    return complete


def _read_history(session: Session, run: RunState) -> RunHistory:
    """Return how long the steps of a run took and who decided, which only its log says.

    A log that cannot be read hides no state.
    """
    durations, decisions = StepDurations(), Decisions()
    if not any(map(_has_begun, run["steps"])) and not _is_cancelled(run):
        return RunHistory(decisions)
    try:
        for page in session.client.log_pages(run["runId"]):
            for entry in page.entries:
                durations.add(entry.view)
            decisions.add(entry.view for entry in page.entries)
    except CommandError as error:
        session.screen.print_notice(
            f"the log with the decisions and times cannot be read: {error.message}"
        )
        return RunHistory(decisions)
    return RunHistory(decisions, durations.at(session.world.clock.now(), run))


def _has_begun(step: Step) -> bool:
    """Return whether a step has a history: one that waits again after an attempt has one too."""
    return step["status"] != "Pending" or bool(step.get("attempts"))


def _is_cancelled(run: RunState) -> bool:
    return run.get("status") == "cancelled"
