"""Where the service is and who calls it, from `.local/stack.json` or from the environment.

A client's secret is read here and handed to the token source; it is kept out of every repr and
has no option of its own, because a command line is visible to every user of a machine.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from taskrunner_cli.errors import UnreachableError, UsageMistakeError

STACK_FILE: Final = Path(".local/stack.json")
DEFAULT_CALLER: Final = "operator"
_DEPLOYMENT: Final = (
    "TASKRUNNER_API_URL",
    "TASKRUNNER_TOKEN_URL",
    "TASKRUNNER_CLIENT_ID",
    "TASKRUNNER_CLIENT_SECRET",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An API, the token service in front of it, and the client that calls.

    Args:
        caller: the client's name for people, e.g. `operator`.
        scope: the scopes to ask for, space separated; empty asks for all the client has.
        tenant: goes into `X-StellaOps-Tenant`; empty leaves the choice to the service.

    """

    api_url: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str
    caller: str
    tenant: str = ""
    console_url: str = ""


def resolve(
    *, caller: str | None, stack: Path | None, tenant: str | None, environ: Mapping[str, str]
) -> Connection:
    """Choose a connection from the options of a command and, behind them, *environ*.

    Raises:
        UsageMistakeError: the choice is contradictory, incomplete, or names an unknown client.
        UnreachableError: there is no stack file to read.

    """
    caller = caller or environ.get("TASKRUNNER_AS")
    tenant = tenant or environ.get("TASKRUNNER_TENANT", "")
    if not environ.get("TASKRUNNER_API_URL"):
        found = _of_stack(stack or _stack_file(environ), caller or DEFAULT_CALLER)
    elif caller or stack:
        raise UsageMistakeError(
            "--as and --stack choose a client of the local stack, but TASKRUNNER_API_URL is set",
            cure="unset TASKRUNNER_API_URL, or leave out --as, --stack and TASKRUNNER_AS",
        )
    else:
        found = _of_deployment(environ)
    return replace(found, tenant=tenant)


def _of_deployment(environ: Mapping[str, str]) -> Connection:
    """A real deployment, described by the environment alone."""
    missing = [name for name in _DEPLOYMENT if not environ.get(name)]
    if missing:
        raise UsageMistakeError(
            f"TASKRUNNER_API_URL is set, but {', '.join(missing)} is not",
            cure="set all of " + ", ".join(_DEPLOYMENT),
        )
    api_url, token_url, client_id, client_secret = (environ[name] for name in _DEPLOYMENT)
    return Connection(
        api_url=api_url.rstrip("/"),
        token_url=token_url,
        client_id=client_id,
        client_secret=client_secret,
        scope=environ.get("TASKRUNNER_SCOPE", ""),
        caller=client_id,
    )


def _stack_file(environ: Mapping[str, str]) -> Path:
    """TASKRUNNER_STACK, else the file of this folder or the nearest one above that has it."""
    if named := environ.get("TASKRUNNER_STACK"):
        return Path(named)
    here = Path.cwd()
    candidates = (folder / STACK_FILE for folder in (here, *here.parents, *Path(__file__).parents))
    return next((path for path in candidates if path.is_file()), here / STACK_FILE)


def _of_stack(path: Path, caller: str) -> Connection:
    """The client called *caller* of the stack that *path* describes."""
    stack = _read(path)
    clients: Mapping[str, Mapping[str, str]] = stack.get("clients", {})
    if caller not in clients:
        raise UsageMistakeError(
            f"the stack of {path} has no client {caller!r}",
            cure="one of: " + ", ".join(clients),
        )
    client = clients[caller]
    try:
        return Connection(
            api_url=stack["apiUrl"].rstrip("/"),
            token_url=stack["tokenUrl"],
            client_id=client["clientId"],
            client_secret=client["clientSecret"],
            scope=client.get("scope", ""),
            caller=caller,
            console_url=stack.get("consoleUrl") or "",
        )
    except KeyError as error:
        raise UsageMistakeError(
            f"{path} has no {error} for client {caller!r}",
            cure="make it anew: taskrunner local down, then taskrunner local up",
        ) from error


def _read(path: Path) -> dict[str, Any]:
    """The stack file as a document."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UnreachableError(
            f"there is no local stack: {path} does not exist", cure="taskrunner local up"
        ) from error
    except (OSError, ValueError) as error:
        raise UsageMistakeError(f"{path} is not readable as a stack file: {error}") from error
    if not isinstance(document, dict):
        raise UsageMistakeError(f"{path} is not a stack file: it holds no JSON object")
    return document
