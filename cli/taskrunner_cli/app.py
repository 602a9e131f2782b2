"""`taskrunner`, the command line of the service: its commands, and its exit codes.

| exit code | meaning |
|---|---|
| 0 | done; a watched run succeeded |
| 1 | the service refused (there is no such run, for example), a watched run did not succeed, a |
|   | pack has errors, or evidence does not hold |
| 2 | the command line is wrong, or names a file that cannot be used |
| 3 | the service or the local stack does not answer, or the command needs a clone |
| 130 | interrupted; the run goes on |
"""

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Final

import typer
from typer.main import get_command

from taskrunner_cli.commands.table import CommandGroup
from taskrunner_cli.errors import CommandError, UsageError
from taskrunner_cli.output.forms import OutputFormat
from taskrunner_cli.world import World

if TYPE_CHECKING:
    from taskrunner_cli.output.screen import Screen

_BROKEN_PIPE: Final = 141  # what a shell reports of a program that SIGPIPE ended

app: Final = typer.Typer(
    name="taskrunner",
    cls=CommandGroup,
    help="Run task packs, watch them, and decide at their gates.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_requested: bool) -> None:  # noqa: FBT001 -- Typer passes it
    if is_requested:
        from importlib import metadata  # noqa: PLC0415 -- 35 ms, for this option only

        typer.echo(f"taskrunner {metadata.version('taskrunner')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Run task packs, watch them, and decide at their gates."""


# `app` itself would print local variables, and with them tokens, of an exception that nobody
# expected. It would also build every command anew for each call.
_root_command: Final = get_command(app)


def main(arguments: Sequence[str] | None = None, world: World | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: the words after `taskrunner`; by default those of the process.
        world: the ports; by default those of the machine.

    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _never_fail_to_print()
    try:
        code = _root_command(
            words, standalone_mode=False, prog_name="taskrunner", obj=world or World()
        )
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough, like `head`. Python would fail again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except CommandError as error:
        _screen(words).print_error(error)
        return error.exit_code
    except typer.TyperException as error:
        # A group without a command has printed its help already, and has no message.
        if message := error.format_message():
            message = message.replace("Value error, ", "")  # the words of the library for types
            _screen(words).print_error(UsageError(message, cure=_help_command(error)))
        return error.exit_code
    return code if isinstance(code, int) else 0


def _never_fail_to_print() -> None:
    """Print a question mark for a character that the terminal's encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def _screen(words: Sequence[str]) -> "Screen":
    from taskrunner_cli.output.screen import Screen  # noqa: PLC0415 -- Rich, for errors only

    return Screen(_output_format(words))


def _output_format(words: Sequence[str]) -> OutputFormat:
    """Return the requested format without parsing the words, because parsing may have failed."""
    for word, next_word in pairwise([*words, ""]):
        if word in {"--output=json", "-ojson"} or (
            word in {"-o", "--output"} and next_word == "json"
        ):
            return OutputFormat.JSON
    return OutputFormat.TABLE


def _help_command(error: typer.TyperException) -> str:
    """Return the command that shows the help about the words in *error*."""
    command = getattr(getattr(error, "ctx", None), "command_path", "taskrunner")
    return f"{command} --help"
