"""`demo`: brings the local stack up and tells the story of demo.py on it."""

from pathlib import Path
from typing import Annotated, Final

import typer

from taskrunner_cli.commands.local import progress
from taskrunner_cli.demo.context import Stage
from taskrunner_cli.demo.scenario import play
from taskrunner_cli.session import Session, in_session

_EXAMPLES: Final = Path(__file__).resolve().parents[3] / "examples"


@in_session
def demo(
    session: Session,
    *,
    examples: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the example packs are.")
    ] = _EXAMPLES,
) -> None:
    """Run the example packs on the local stack, approve a gate, and check everything."""
    stage = Stage(session, examples)
    # A stack that was named is used as it is; only the project's own is brought up.
    if not session.stack:
        stage.act("the local stack")
        session.world.local.up(progress(session.screen))
    outcome = play(stage)
    if session.screen.is_json:
        session.screen.document(outcome)
