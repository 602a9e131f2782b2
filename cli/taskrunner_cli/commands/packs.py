"""`simulate`, `run` and `rerun`: plans a pack, runs it, and runs it again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from taskrunner_cli.api.requests import NewRun, Rerun
from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.commands.options import InputOptions, PackArgument, RunArgument, StreamOption
from taskrunner_cli.commands.runs import print_end, watch_run
from taskrunner_cli.errors import PackFile, RefusedError, RefusedPackError
from taskrunner_cli.output.runs import run_view
from taskrunner_cli.output.simulation import simulation_view
from taskrunner_cli.pack_files import read_pack
from taskrunner_cli.session import Session

if TYPE_CHECKING:
    from taskrunner_cli.api.answers import Answer
    from taskrunner_cli.api.documents import RunState

_NO_ROUTE: Final = frozenset({403, 404, 405})


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """The options of a new run, and whether the command follows it."""

    run_id: Annotated[
        str, typer.Option(metavar="ID", help="The run's id (default: the service makes one).")
    ] = ""
    expect_plan_hash: Annotated[
        str, typer.Option(metavar="HASH", help="Run only the plan that `simulate` showed.")
    ] = ""
    idempotency_key: Annotated[
        str, typer.Option(metavar="KEY", help="Repeating a request with its KEY makes one run.")
    ] = ""
    watch: Annotated[
        bool, typer.Option("--watch/--detach", help="Follow the run until it ends, or exit.")
    ] = True
    stream: StreamOption = None


@in_session
def simulate(session: Session, pack: PackArgument, *, inputs: InputOptions) -> None:
    """Show the plan of a pack, step by step; nothing is executed."""
    file = read_pack(pack)
    values = inputs.values()
    with quoting(file):
        simulation = session.client.simulate(file.text, values)
    session.print_result(simulation.document, simulation_view(simulation.view))


@in_session
def run(session: Session, pack: PackArgument, *, inputs: InputOptions, start: StartOptions) -> None:
    """Run a pack and follow it; the exit code is 0 only if the run succeeds."""
    file = read_pack(pack)
    new_run = NewRun(
        manifest=file.text,
        inputs=inputs.values(),
        run_id=start.run_id,
        expect_plan_hash=start.expect_plan_hash,
        idempotency_key=start.idempotency_key,
    )
    with quoting(file):
        answer = session.client.create(new_run)
    _follow(session, answer, start)


@in_session
def rerun(session: Session, run: RunArgument, *, inputs: InputOptions, start: StartOptions) -> None:
    """Run the pack of a run again, with its inputs or with others in their place."""
    again = Rerun(
        inputs=inputs.values(),
        run_id=start.run_id,
        expect_plan_hash=start.expect_plan_hash,
        idempotency_key=start.idempotency_key,
    )
    try:
        answer = session.client.rerun(run, again)
    except RefusedError as error:
        if error.status in _NO_ROUTE and not error.cure:
            error.cure = "check the id; a service of version 0.1 cannot run it again"
        raise
    _follow(session, answer, start)


def _follow(session: Session, answer: "Answer[RunState]", start: StartOptions) -> None:
    for warning in answer.view.get("warnings", []):
        session.screen.print_warning(warning.get("message") or warning.get("code", "unknown"))
    if start.watch:
        run_id = answer.view["runId"]
        print_end(session, watch_run(session, run_id, is_known=True, streams=start.stream))
    else:
        session.print_result(answer.document, run_view(answer.view))


@contextmanager
def quoting(pack: PackFile) -> Iterator[None]:
    """Give plan errors the pack's file, so that the places that they name are shown."""
    try:
        yield
    except RefusedPackError as error:
        error.pack = pack
        raise
