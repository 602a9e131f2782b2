"""`simulate` and `run`: what is done with a pack."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from taskrunner_cli.api.client import NewRun
from taskrunner_cli.commands.runs import conclude, watch_run
from taskrunner_cli.errors import InvalidPackError
from taskrunner_cli.output.runs import run_view, simulation_view
from taskrunner_cli.pack_files import gather_inputs, read_text
from taskrunner_cli.session import Session, in_session

PackArgument = Annotated[
    str, typer.Argument(metavar="PACK", help="A pack's file; - is standard input.")
]
InputOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input", "-i", metavar="NAME=VALUE", help="One input; JSON if it is, else text."
    ),
]
InputsOption = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="A JSON object of inputs; --input adds to it and wins."),
]


@in_session
def simulate(
    session: Session, pack: PackArgument, *, input_: InputOption = None, inputs: InputsOption = None
) -> None:
    """Say what a pack would do, step by step; nothing is executed."""
    manifest = read_text(pack, "pack")
    values = gather_inputs(input_ or (), inputs)
    with _errors_in(manifest):
        simulation = session.client.simulate(manifest, values)
    session.answer(simulation, simulation_view(simulation))


@in_session
def run(  # noqa: PLR0913 -- one parameter per option
    session: Session,
    pack: PackArgument,
    *,
    input_: InputOption = None,
    inputs: InputsOption = None,
    run_id: Annotated[
        str, typer.Option(metavar="ID", help="The run's id; made by the service when absent.")
    ] = "",
    expect_plan_hash: Annotated[
        str, typer.Option(metavar="HASH", help="Refuse to run any other plan, as simulated.")
    ] = "",
    idempotency_key: Annotated[
        str, typer.Option(metavar="KEY", help="The same key and request make one run, not two.")
    ] = "",
    watch: Annotated[
        bool, typer.Option("--watch/--detach", help="Stay until the run ends, or leave at once.")
    ] = True,
) -> None:
    """Run a pack and show how it goes; exit 0 only if it succeeds."""
    new = NewRun(
        manifest=read_text(pack, "pack"),
        inputs=gather_inputs(input_ or (), inputs),
        run_id=run_id,
        expect_plan_hash=expect_plan_hash,
        idempotency_key=idempotency_key,
    )
    with _errors_in(new.manifest):
        created = session.client.create(new)
    if watch:
        conclude(session, watch_run(session, created["runId"]))
    else:
        session.answer(created, run_view(created))


@contextmanager
def _errors_in(manifest: str) -> Iterator[None]:
    """Let plan errors show the lines of *manifest* that they speak of."""
    try:
        yield
    except InvalidPackError as error:
        error.manifest = manifest
        raise
