"""`open`: shows the console, or a run on it, in the web browser."""

from typing import Annotated
from urllib.parse import quote

import typer

from taskrunner_cli.commands.completion import complete_run
from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.errors import UsageError
from taskrunner_cli.output.formatting import text
from taskrunner_cli.ports.browser import show_page
from taskrunner_cli.session import Session


@in_session
def open_(
    session: Session,
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="Id of a run.", autocompletion=complete_run),
    ] = None,
    *,
    print_: Annotated[
        bool, typer.Option("--print", help="Print the address, and open nothing.")
    ] = False,
) -> None:
    """Open the console, or a run on it, in the web browser."""
    profile = session.profile
    if not profile.console_url:
        raise UsageError(
            f"the stack at {profile.api_url} has no console", cure="bring it up to date: make up"
        )
    url = profile.console_url + (f"#/runs/{quote(run, safe='', errors='replace')}" if run else "")
    if not print_ and not session.screen.is_json and not show_page(session.world.browser, url):
        session.screen.print_notice("no browser was found; open this address yourself:")
    session.print_result({"url": url}, text(url))
