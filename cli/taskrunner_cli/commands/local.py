"""`local up`, `down` and `status`: the service on this machine. No secret of it is ever shown."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Group, RenderableType

from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.screen import Form, Screen
from taskrunner_cli.session import OutputOption
from taskrunner_cli.world import World

if TYPE_CHECKING:
    from taskrunner_cli.local import Stack, Status

app: Final = typer.Typer(help="The service on this machine, in an emulator.", no_args_is_help=True)


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
    output: OutputOption = Form.TEXT,
) -> None:
    """Bring the local stack up; quick when it is up already."""
    screen = Screen(output)
    stack = ctx.ensure_object(World).local.up(progress(screen), port)
    if screen.is_json:
        screen.document(_document(stack))
    screen.say(text("the local stack is up", "bold green"), _view(stack))


@app.command()
def down(ctx: typer.Context, *, output: OutputOption = Form.TEXT) -> None:
    """End the local stack and forget its state."""
    screen = Screen(output)
    ended = ctx.ensure_object(World).local.down(progress(screen))
    if screen.is_json:
        screen.document({"ended": ended})
    screen.say("the local stack has ended" if ended else "there was no local stack")


@app.command()
def status(ctx: typer.Context, *, output: OutputOption = Form.TEXT) -> None:
    """Say what is up; exit 3 when nothing that answers is."""
    screen = Screen(output)
    found = ctx.ensure_object(World).local.status()
    usable = found.running and found.healthy and found.stack is not None
    if screen.is_json:
        screen.document(_status_document(found))
    screen.say(_status_view(found))
    if not usable:
        raise typer.Exit(3)


def progress(screen: Screen) -> Callable[[str], None]:
    """Return what tells people how far a long command is."""
    return lambda words: screen.say(text(f"  {words} …", "dim"))


def _document(stack: "Stack") -> dict[str, Any]:
    """What may be known of a stack: its clients by name and reach, never by secret."""
    return {
        "apiUrl": stack.api_url,
        "tokenUrl": stack.token_url,
        "consoleUrl": stack.console_url,
        "clients": {
            name: {"scope": client.scope, "tenant": client.tenant}
            for name, client in stack.clients.items()
        },
    }


def _status_document(found: "Status") -> dict[str, Any]:
    return {
        "running": found.running,
        "healthy": found.healthy,
        "current": found.current,
        "pid": found.pid,
        "port": found.port,
        "log": found.log,
        "stack": _document(found.stack) if found.stack else None,
    }


def _view(stack: "Stack") -> RenderableType:
    lines = [text(f"  API      {stack.api_url}"), text(f"  tokens   {stack.token_url}")]
    if stack.console_url:
        lines.append(text(f"  console  {stack.console_url}"))
    return Group(*lines, text(f"  callers  {', '.join(stack.clients)}"))


def _status_view(found: "Status") -> RenderableType:
    if not found.running:
        return Group(text("the local stack is down", "yellow"), text("try: taskrunner local up"))
    where = f"process {found.pid}, port {found.port}"
    if not found.healthy:
        return text(f"the emulator runs ({where}) but does not answer; its log: {found.log}", "red")
    if not found.stack:
        return text(f"the emulator is up ({where}), but nothing is deployed in it", "yellow")
    fresh = "as the sources say" if found.current else "older than the sources: local up renews it"
    return Group(
        text(f"the local stack is up ({where}), {fresh}", "green"),
        _view(found.stack),
        text(f"  log      {found.log}"),
    )
