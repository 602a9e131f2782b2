"""`taskrunner`: the command line of the service, and the one place where its exit codes are made.

| exit code | meaning |
|---|---|
| 0 | done; a watched run succeeded |
| 1 | refused by the service, a watched run did not succeed, or evidence does not hold |
| 2 | the command was not understood, or names something that is not there |
| 3 | the service or the local stack cannot be reached |
| 130 | interrupted; a run goes on by itself |
"""

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import typer

from taskrunner_cli.commands import (
    approvals,
    artifacts,
    demo,
    evidence,
    gates,
    local,
    packs,
    runs,
)
from taskrunner_cli.errors import CommandError, UsageMistakeError
from taskrunner_cli.output.screen import Form, Screen
from taskrunner_cli.world import World

_RUNNING: Final = "Packs and runs"
_DECIDING: Final = "Approvals"
_PROVING: Final = "Evidence"
_TRYING: Final = "On this machine"

app: Final = typer.Typer(
    name="taskrunner",
    help="Run task packs, watch them, and decide at their gates.",
    no_args_is_help=True,
    # Rich tracebacks print local variables, and with them tokens.
    pretty_exceptions_enable=False,
)
app.add_typer(local.app, name="local", rich_help_panel=_TRYING)
app.add_typer(evidence.app, name="evidence", rich_help_panel=_PROVING)
for _command, _panel in (
    (demo.demo, _TRYING),
    (packs.simulate, _RUNNING),
    (packs.run, _RUNNING),
    (gates.gates, _RUNNING),
    (runs.runs, _RUNNING),
    (runs.show, _RUNNING),
    (runs.logs, _RUNNING),
    (artifacts.artifacts, _RUNNING),
    (runs.cancel, _RUNNING),
    (approvals.approvals, _DECIDING),
    (approvals.approve, _DECIDING),
    (approvals.reject, _DECIDING),
):
    app.command(rich_help_panel=_panel)(_command)


def main(arguments: Sequence[str] | None = None, world: World | None = None) -> int:
    """Carry out a command line and return its exit code.

    Args:
        arguments: what follows `taskrunner`; the process's own when absent.
        world: environment, clock and local stack; the machine's own when absent.

    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    screen = Screen(_form(typed))
    try:
        code = app(typed, standalone_mode=False, prog_name="taskrunner", obj=world or World())
    except CommandError as error:
        screen.fail(error)
        return error.exit_code
    except typer.TyperException as error:
        # A group without a command has printed its help already, and has no message.
        if message := error.format_message():
            screen.fail(UsageMistakeError(message, cure=_help(error)))
        return error.exit_code
    return code if isinstance(code, int) else 0


def _form(typed: Sequence[str]) -> Form:
    """The form that was asked for, found without parsing: parsing is what may have failed."""
    for word, following in pairwise([*typed, ""]):
        if word in {"--output=json", "-ojson"} or (
            word in {"-o", "--output"} and following == "json"
        ):
            return Form.JSON
    return Form.TEXT


def _help(error: typer.TyperException) -> str:
    """How to ask for help about the command that was not understood."""
    path = getattr(getattr(error, "ctx", None), "command_path", "taskrunner")
    return f"{path} --help"
