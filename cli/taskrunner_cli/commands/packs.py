"""`simulate` and `run`: plans a pack, and runs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from taskrunner_cli.api.requests import NewRun
from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.commands.options import InputOption, InputsOption, PackArgument
from taskrunner_cli.commands.runs import print_end, watch_run
from taskrunner_cli.errors import PackFile, RefusedPackError
from taskrunner_cli.output.runs import run_view
from taskrunner_cli.output.simulation import simulation_view
from taskrunner_cli.pack_files import gather_inputs, read_pack
from taskrunner_cli.session import Session


@in_session
def simulate(
    session: Session, pack: PackArgument, *, input_: InputOption = None, inputs: InputsOption = None
) -> None:
    """Show the plan of a pack, step by step; nothing is executed."""
    file = read_pack(pack)
    values = gather_inputs(input_ or (), inputs)
    with _quoting(file):
        simulation = session.client.simulate(file.text, values)
    session.print_result(simulation.document, simulation_view(simulation.view))


@in_session
def run(  # noqa: PLR0913 -- one parameter per option
    session: Session,
    pack: PackArgument,
    *,
    input_: InputOption = None,
    inputs: InputsOption = None,
    run_id: Annotated[
        str, typer.Option(metavar="ID", help="The run's id (default: the service makes one).")
    ] = "",
    expect_plan_hash: Annotated[
        str, typer.Option(metavar="HASH", help="Run only the plan that `simulate` showed.")
    ] = "",
    idempotency_key: Annotated[
        str, typer.Option(metavar="KEY", help="Repeating a request with its KEY makes one run.")
    ] = "",
    watch: Annotated[
        bool, typer.Option("--watch/--detach", help="Follow the run until it ends, or exit.")
    ] = True,
) -> None:
    """Run a pack and follow it; the exit code is 0 only if the run succeeds."""
    file = read_pack(pack)
    new_run = NewRun(
        manifest=file.text,
        inputs=gather_inputs(input_ or (), inputs),
        run_id=run_id,
        expect_plan_hash=expect_plan_hash,
        idempotency_key=idempotency_key,
    )
    with _quoting(file):
        answer = session.client.create(new_run)
    if watch:
        print_end(session, watch_run(session, answer.view["runId"], is_known=True))
    else:
        session.print_result(answer.document, run_view(answer.view))


@contextmanager
def _quoting(pack: PackFile) -> Iterator[None]:
    """Give plan errors the pack's file, so that the places that they name are shown."""
    try:
        yield
    except RefusedPackError as error:
        error.pack = pack
        raise
