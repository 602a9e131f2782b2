"""`demo`: starts the local stack and runs the demo on it."""

from pathlib import Path
from typing import Annotated

import typer

from taskrunner_cli.clone import find_clone
from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.commands.local import progress_printer
from taskrunner_cli.session import Session


@in_session
def demo(
    session: Session,
    *,
    examples: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The example packs (default: those of the clone)."),
    ] = None,
) -> None:
    """Run the example packs on the local stack, approve a gate, and check everything."""
    from taskrunner_cli.demo.context import Demo  # noqa: PLC0415 -- brings httpx
    from taskrunner_cli.demo.scenario import run_demo  # noqa: PLC0415

    demo = Demo(session, examples or find_clone() / "examples")
    # A stack that --stack names is used as it is.
    if not session.choice.stack:
        demo.start_part("the local stack")
        session.world.local.up(progress_printer(session.screen))
    result = run_demo(demo)
    if session.screen.is_json:
        session.screen.print_document(result)
