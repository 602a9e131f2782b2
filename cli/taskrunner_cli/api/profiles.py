"""Finds the API's address and the caller: in `.local/stack.json`, the environment, or the config.

The client's secret has no option, because every user of a machine can see its command lines, and
no repr shows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

from taskrunner_cli.api.addresses import check_address
from taskrunner_cli.api.shapes import MisfitError, fit
from taskrunner_cli.errors import RefusedError, UnreachableError, UsageError
from taskrunner_cli.json_text import JsonError, parse_json

if TYPE_CHECKING:
    from taskrunner_cli.api.saved_tokens import SavedToken, SavedTokens

STACK_FILE: Final = Path(".local/stack.json")
DEFAULT_CALLER: Final = "operator"
WORKER_SCOPE: Final = "taskrunner/worker"
"""The scope of clients that take jobs."""
_RENEW: Final = "create it again: taskrunner local down, then taskrunner local up"
_DEPLOYMENT_VARIABLES: Final = (
    "TASKRUNNER_API_URL",
    "TASKRUNNER_TOKEN_URL",
    "TASKRUNNER_CLIENT_ID",
    "TASKRUNNER_CLIENT_SECRET",
)


class _StackClient(TypedDict):
    clientId: str
    clientSecret: str
    scope: NotRequired[str]


class _StackDocument(TypedDict):
    """The members of `.local/stack.json` that this module reads."""

    apiUrl: str
    tokenUrl: str
    clients: NotRequired[dict[str, _StackClient]]
    consoleUrl: NotRequired[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A person who signed in with the config file's profile *name*.

    Args:
        tokens: where the token is kept, and where a renewed one is.

    """

    name: str
    api_url: str
    token_url: str
    client_id: str
    token: "SavedToken"
    tokens: "SavedTokens" = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The address of an API, the token service in front of it, and one caller's credentials.

    Args:
        caller: the caller's name in messages, e.g. `operator`.
        scope: the scopes to request, separated by spaces; empty requests all that the client has.
        tenant: the value of `X-StellaOps-Tenant`; empty leaves the choice to the service.
        person: the person who signed in; None for a client with credentials.
        is_local: whether the caller is a client of the local stack.

    """

    api_url: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str
    caller: str
    tenant: str = ""
    console_url: str = ""
    person: SignedIn | None = None
    is_local: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The options of a command that choose the API and its caller.

    *scope* is one that the command needs. Without a chosen caller, a client of the local stack that
    has it is the caller.
    """

    caller: str | None = None
    stack: Path | None = None
    tenant: str | None = None
    profile: str | None = None
    scope: str = ""


def resolve_profile(choice: Choice, environ: Mapping[str, str], now: datetime) -> Profile:
    """Return the profile that a command's options select, or else *environ*.

    Without either it is the local stack, and where there is none, the config file's default.

    Raises:
        UsageError: the options contradict each other, are incomplete, or name an unknown caller; or
            an address is not one.
        RefusedError: nobody is signed in with the profile.
        UnreachableError: there is no stack file.

    """
    stack, caller = choice.stack, choice.caller or environ.get("TASKRUNNER_AS")
    tenant = choice.tenant or environ.get("TASKRUNNER_TENANT", "")
    if name := _chosen_name(choice, environ, caller):
        profile = person_profile(name, environ, now)
        return replace(profile, tenant=tenant or profile.tenant)
    if not environ.get("TASKRUNNER_API_URL"):
        profile = _stack_profile(stack or _stack_file(environ), caller, choice.scope)
    elif caller or stack:
        raise UsageError(
            "--as and --stack choose a client of the local stack, but TASKRUNNER_API_URL is set",
            cure="unset TASKRUNNER_API_URL, or omit --as, --stack and TASKRUNNER_AS",
        )
    else:
        profile = _deployment_profile(environ)
    return replace(profile, tenant=tenant)


def _chosen_name(choice: Choice, environ: Mapping[str, str], caller: str | None) -> str:
    """Return the name of the config file's profile to use; empty for none of them."""
    if choice.profile and (choice.caller or choice.stack):
        raise UsageError(
            "--profile chooses a person who signed in, --as and --stack a client",
            cure="give one of them",
        )
    if choice.profile:
        return choice.profile
    if choice.caller or choice.stack or environ.get("TASKRUNNER_API_URL"):
        return ""
    if name := environ.get("TASKRUNNER_PROFILE", ""):
        return name
    if caller or _stack_file(environ).is_file():
        return ""
    from taskrunner_cli.api.config import read_config  # noqa: PLC0415 -- without a stack only

    return read_config(environ).default


def person_profile(name: str, environ: Mapping[str, str], now: datetime) -> Profile:
    """Return the profile of the person who signed in as the config file's *name*.

    Raises:
        UsageError: there is no such profile.
        RefusedError: nobody is signed in with it.

    """
    from taskrunner_cli.api.config import read_config  # noqa: PLC0415 -- for people only
    from taskrunner_cli.api.saved_tokens import saved_tokens  # noqa: PLC0415

    entry = read_config(environ).entry(name)
    tokens = saved_tokens(environ)
    token = tokens.load(name)
    if token is None or token.api_url != entry["api_url"]:
        raise not_signed_in(name, has_expired=False)
    if not (token.refresh_value or token.is_usable(entry["api_url"], now)):
        raise not_signed_in(name, has_expired=True)
    return Profile(
        api_url=entry["api_url"],
        token_url=entry["token_url"],
        client_id=entry["client_id"],
        client_secret="",
        scope=entry.get("scope", ""),
        caller=name,
        tenant=entry.get("tenant", ""),
        console_url=f"{entry['api_url']}/console",
        person=SignedIn(
            name=name,
            api_url=entry["api_url"],
            token_url=entry["token_url"],
            client_id=entry["client_id"],
            token=token,
            tokens=tokens,
        ),
    )


def not_signed_in(name: str, *, has_expired: bool) -> RefusedError:
    """Return the error for a profile with which nobody is signed in, or nobody any more."""
    return RefusedError(
        f"the sign-in of profile {name!r} has expired"
        if has_expired
        else f"nobody is signed in with profile {name!r}",
        status=401,
        code="not_signed_in",
        cure=f"taskrunner login --profile {name}",
    )


def _deployment_profile(environ: Mapping[str, str]) -> Profile:
    """Return the profile of a deployment, which the environment describes."""
    missing = [name for name in _DEPLOYMENT_VARIABLES if not environ.get(name)]
    if missing:
        raise UsageError(
            f"TASKRUNNER_API_URL is set, but {', '.join(missing)} is not",
            cure="set all of " + ", ".join(_DEPLOYMENT_VARIABLES),
        )
    api_url, token_url, client_id, client_secret = (environ[name] for name in _DEPLOYMENT_VARIABLES)
    check_address("TASKRUNNER_API_URL", api_url, is_base=True)
    check_address("TASKRUNNER_TOKEN_URL", token_url)
    return Profile(
        api_url=api_url.rstrip("/"),
        token_url=token_url,
        client_id=client_id,
        client_secret=client_secret,
        scope=environ.get("TASKRUNNER_SCOPE", ""),
        caller=client_id,
        console_url=f"{api_url.rstrip('/')}/console",
    )


def caller_names(stack: Path | None, environ: Mapping[str, str]) -> list[str]:
    """Return the names of the clients in the stack file.

    Raises:
        UsageError: the file is not a stack file.
        UnreachableError: there is no stack file.

    """
    return list(_read_stack_file(stack or _stack_file(environ)).get("clients", {}))


def _stack_file(environ: Mapping[str, str]) -> Path:
    """Return TASKRUNNER_STACK, or the nearest stack file in this folder and those above."""
    if value := environ.get("TASKRUNNER_STACK"):
        return Path(value)
    current = Path.cwd()
    folders = (current, *current.parents, *Path(__file__).parents)
    candidates = (folder / STACK_FILE for folder in folders)
    return next((path for path in candidates if path.is_file()), current / STACK_FILE)


def _stack_profile(path: Path, caller: str | None, scope: str) -> Profile:
    """Return the profile of client *caller* of the local stack that *path* describes.

    Without a *caller*, it is the first client that has *scope*.
    """
    stack = _read_stack_file(path)
    clients = stack.get("clients", {})
    if not caller:
        having = (name for name, client in clients.items() if client.get("scope") == scope)
        caller = next(having, DEFAULT_CALLER)
    if caller not in clients:
        raise UsageError(
            f"the stack file {path} has no client {caller!r}",
            cure=f"choose one of: {', '.join(clients)}" if clients else _RENEW,
        )
    client = clients[caller]
    return Profile(
        api_url=stack["apiUrl"].rstrip("/"),
        token_url=stack["tokenUrl"],
        client_id=client["clientId"],
        client_secret=client["clientSecret"],
        scope=client.get("scope", ""),
        caller=caller,
        console_url=stack.get("consoleUrl", ""),
        is_local=True,
    )


def _read_stack_file(path: Path) -> _StackDocument:
    try:
        return fit(parse_json(path.read_bytes()), _StackDocument).view
    except FileNotFoundError as error:
        raise UnreachableError(
            f"there is no local stack: {path} does not exist", cure="taskrunner local up"
        ) from error
    except (OSError, JsonError, MisfitError) as error:
        raise UsageError(
            f"{path} cannot be read as a stack file: {error}",
            cure=_RENEW,
        ) from error
