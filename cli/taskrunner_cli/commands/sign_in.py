"""`login`, `logout` and `profiles`: signs people in, and keeps the places where they did."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from taskrunner_cli.api.addresses import check_address
from taskrunner_cli.api.config import Config, ProfileEntry, read_config, write_config
from taskrunner_cli.api.saved_tokens import SavedToken, saved_tokens
from taskrunner_cli.commands.completion import complete_profile
from taskrunner_cli.commands.options import OutputOption
from taskrunner_cli.errors import UsageError
from taskrunner_cli.output.formatting import date_time, text
from taskrunner_cli.output.forms import OutputFormat
from taskrunner_cli.output.profiles import ProfileDocument, profile_list
from taskrunner_cli.output.screen import Screen
from taskrunner_cli.ports.browser import show_page
from taskrunner_cli.world import World

if TYPE_CHECKING:
    from taskrunner_cli.api.sign_in import SignIn
    from taskrunner_cli.api.tokens import Token

_DEFAULT_NAME: Final = "default"
_SIGN_IN_S: Final = 300.0

NameOption = Annotated[
    str,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Name of the profile (env TASKRUNNER_PROFILE; default: that of the config file).",
        autocompletion=complete_profile,
    ),
]
ApiUrlOption = Annotated[
    str, typer.Option(metavar="URL", help="The API's address, for a new profile.")
]
AuthorizeUrlOption = Annotated[
    str, typer.Option(metavar="URL", help="Where people sign in (default: as the API says).")
]
TokenUrlOption = Annotated[
    str, typer.Option(metavar="URL", help="Where codes become tokens (default: as the API says).")
]
ClientIdOption = Annotated[
    str, typer.Option(metavar="ID", help="The public client (default: as the API says).")
]
ScopeOption = Annotated[str, typer.Option(metavar="SCOPES", help="The scopes to ask for.")]
TenantOption = Annotated[
    str, typer.Option(metavar="TENANT", help="The tenant that commands use by default.")
]
BrowserOption = Annotated[
    bool,
    typer.Option(
        "--browser/--no-browser",
        help="Open a browser here, or sign in anywhere and paste the address it ends at.",
    ),
]


def login(  # noqa: PLR0913 -- one parameter per option
    ctx: typer.Context,
    *,
    profile: NameOption = "",
    api_url: ApiUrlOption = "",
    authorize_url: AuthorizeUrlOption = "",
    token_url: TokenUrlOption = "",
    client_id: ClientIdOption = "",
    scope: ScopeOption = "",
    tenant: TenantOption = "",
    browser: BrowserOption = True,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Sign in to a deployment, and keep the token and what renews it."""
    world, screen = ctx.ensure_object(World), Screen(output)
    config = read_config(world.environ)
    name = _name(profile, config, world)
    if api_url:
        check_address("--api-url", api_url, is_base=True)
    if authorize_url:
        check_address("--authorize-url", authorize_url)
    if token_url:
        check_address("--token-url", token_url)
    given = {
        "api_url": api_url.rstrip("/"),
        "authorize_url": authorize_url,
        "token_url": token_url,
        "client_id": client_id,
        "scope": scope,
        "tenant": tenant,
    }
    entry = _entry(config, name, {key: value for key, value in given.items() if value})
    token = _sign_in(world, screen, entry, opens_browser=browser)
    write_config(config.with_profile(name, entry), world.environ)
    # A token without a lifetime counts as expired at once, so that none is used for longer.
    expires_at = world.clock.now() + timedelta(seconds=token.lifetime_s)
    saved = SavedToken(entry["api_url"], token.value, expires_at, token.refresh_value)
    place = saved_tokens(world.environ).save(name, saved)
    if screen.is_json:
        document = {"profile": name, "expiresAt": expires_at.isoformat()}
        screen.print_document(document | {"isRenewed": bool(token.refresh_value)})
    shown = date_time(expires_at.isoformat())
    renewal = ", and then renewed" if token.refresh_value else ""
    message = f"signed in with profile {name} until {shown}{renewal}; the token is in {place}"
    screen.print_text(text(message))


def logout(
    ctx: typer.Context, *, profile: NameOption = "", output: OutputOption = OutputFormat.TABLE
) -> None:
    """Delete the token of a profile from this machine."""
    world, screen = ctx.ensure_object(World), Screen(output)
    name = _name(profile, read_config(world.environ), world)
    was_signed_in = saved_tokens(world.environ).forget(name)
    if screen.is_json:
        screen.print_document({"profile": name, "wasSignedIn": was_signed_in})
    said = "signed out of" if was_signed_in else "nobody was signed in with"
    screen.print_text(text(f"{said} profile {name}; the browser may still be signed in"))


def profiles(ctx: typer.Context, *, output: OutputOption = OutputFormat.TABLE) -> None:
    """List the profiles, and until when somebody is signed in with each."""
    world, screen = ctx.ensure_object(World), Screen(output)
    config, tokens = read_config(world.environ), saved_tokens(world.environ)
    documents: list[ProfileDocument] = []
    for name, entry in config.profiles.items():
        token = tokens.load(name)
        is_of_api = token is not None and token.api_url == entry["api_url"]
        is_usable = token is not None and token.is_usable(entry["api_url"], world.clock.now())
        documents.append(
            {
                "name": name,
                "apiUrl": entry["api_url"],
                "isDefault": name == config.default,
                "signedInUntil": token.expires_at.isoformat() if token and is_usable else None,
                "isRenewed": is_of_api and bool(token and token.refresh_value),
            }
        )
    if screen.is_json:
        screen.print_document({"profiles": documents})
    else:
        screen.print_text(profile_list(documents))


def _name(option: str, config: Config, world: World) -> str:
    return option or world.environ.get("TASKRUNNER_PROFILE", "") or config.default or _DEFAULT_NAME


def _entry(config: Config, name: str, given: dict[str, str]) -> ProfileEntry:
    """Return the profile to sign in with: the given values, over those that are known."""
    from taskrunner_cli.api.sign_in import discover  # noqa: PLC0415 -- brings httpx

    known = config.profiles.get(name)
    api_url = given.get("api_url") or (known["api_url"] if known else "")
    if not api_url:
        raise UsageError(
            f"there is no profile {name!r}, and no --api-url to make one",
            cure=f"taskrunner login --profile {name} --api-url URL",
        )
    if {"authorize_url", "token_url", "client_id"} <= given.keys():
        found = ProfileEntry(
            api_url=api_url,
            authorize_url=given["authorize_url"],
            token_url=given["token_url"],
            client_id=given["client_id"],
        )
    else:
        found = known if known and known["api_url"] == api_url else discover(api_url)
    merged: ProfileEntry = {**found, **given}  # type: ignore[typeddict-item] # texts by its names
    return merged


def _sign_in(world: World, screen: Screen, entry: ProfileEntry, *, opens_browser: bool) -> "Token":
    """Let somebody sign in, and return the token."""
    from taskrunner_cli.api.loopback import Loopback  # noqa: PLC0415 -- for this command only
    from taskrunner_cli.api.sign_in import LOOPBACK_PORTS, begin_sign_in  # noqa: PLC0415

    if not opens_browser:
        sign_in = begin_sign_in(entry, LOOPBACK_PORTS[0], world.randomness)
        return sign_in.redeem(_pasted_code(screen, sign_in))
    loopback = Loopback(LOOPBACK_PORTS)
    try:
        sign_in = begin_sign_in(entry, loopback.port, world.randomness)
        if not show_page(world.browser, sign_in.address()):
            screen.print_notice("no browser was found")
            return sign_in.redeem(_pasted_code(screen, sign_in))
        screen.print_notice("waiting for the browser; to sign in elsewhere: --no-browser")
        code = loopback.wait(sign_in.code_of, _SIGN_IN_S)
    finally:
        loopback.close()
    return sign_in.redeem(code)


def _pasted_code(screen: Screen, sign_in: "SignIn") -> str:
    """Return the code in the address that somebody pastes after signing in elsewhere."""
    if not screen.can_ask:
        raise UsageError(
            "without a terminal nobody can sign in",
            cure="a program uses the credentials of a client: TASKRUNNER_CLIENT_ID and _SECRET",
        )
    screen.print_commands(
        text("open this address in any browser and sign in:"),
        text(sign_in.address(), "cyan"),
        text("The page it ends at cannot be loaded; copy its address and paste it here."),
    )
    return sign_in.code_of(screen.ask("address:"))
