"""`outputs`: shows one step of a run with its attempts and its outputs."""

from typing import Annotated

import typer

from taskrunner_cli.commands.completion import complete_step
from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.commands.options import RunArgument
from taskrunner_cli.output.step_detail import step_view
from taskrunner_cli.session import Session

StepArgument = Annotated[
    str,
    typer.Argument(
        metavar="STEP",
        help="Id of a step, as `show` prints it.",
        autocompletion=complete_step,
    ),
]


@in_session
def outputs(session: Session, run: RunArgument, step: StepArgument) -> None:
    """Show the outputs of a step, its attempts with their times, and its error."""
    answer = session.client.step(run, step)
    session.print_result(answer.document, step_view(answer.view))
