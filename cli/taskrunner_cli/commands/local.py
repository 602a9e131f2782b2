"""`local up`, `local down` and `local status`: starts, stops and shows the local stack."""

from collections.abc import Callable
from typing import Annotated, Final

import typer

from taskrunner_cli.commands.options import OutputOption
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.forms import OutputFormat
from taskrunner_cli.output.local_stack import (
    stack_document,
    stack_view,
    status_document,
    status_view,
)
from taskrunner_cli.output.screen import Screen
from taskrunner_cli.world import World

app: Final = typer.Typer(
    help="The service on this machine, in an emulator; needs a clone.", no_args_is_help=True
)


@app.command()
def up(
    ctx: typer.Context,
    *,
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            metavar="PORT",
            help="The emulator's port (env TASKRUNNER_PORT, default 4566).",
        ),
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Start the local stack, or bring it up to date."""
    screen = Screen(output)
    stack = ctx.ensure_object(World).local.up(progress_printer(screen), port)
    if screen.is_json:
        screen.print_document(stack_document(stack))
    screen.print_text(text("the local stack is running", "bold green"), stack_view(stack))


@app.command()
def down(ctx: typer.Context, *, output: OutputOption = OutputFormat.TABLE) -> None:
    """Stop the local stack and delete its state."""
    screen = Screen(output)
    was_running = ctx.ensure_object(World).local.down(progress_printer(screen))
    if screen.is_json:
        screen.print_document({"ended": was_running})
    screen.print_text(
        "the local stack has stopped" if was_running else "the local stack was not running"
    )


@app.command()
def status(ctx: typer.Context, *, output: OutputOption = OutputFormat.TABLE) -> None:
    """Show the state of the local stack; the exit code is 3 if it does not answer."""
    screen = Screen(output)
    state = ctx.ensure_object(World).local.status()
    if screen.is_json:
        screen.print_document(status_document(state))
    screen.print_text(status_view(state))
    if not (state.running and state.healthy and state.stack is not None):
        raise typer.Exit(3)


def progress_printer(screen: Screen) -> Callable[[str], None]:
    """Return a function that prints the next step of a long command."""
    return lambda step: screen.print_text(text(f"  {step} …", "dim"))
