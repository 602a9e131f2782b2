"""What every command of the API shares: the options about who calls and how to answer.

`in_session` gives a command `--output`, `--as`, `--stack` and `--tenant` and hands it one Session
for the four. Written out, they would be most of every signature, and would drift apart.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import typer
from rich.console import RenderableType

from taskrunner_cli.api.client import Client
from taskrunner_cli.api.profiles import Connection, resolve
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.screen import Form, Screen
from taskrunner_cli.world import World

P = ParamSpec("P")

_WHO: Final = "Who calls, and where"
OutputOption = Annotated[
    Form, typer.Option("--output", "-o", help="text for people, json for programs.")
]
AsOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="CALLER",
        help="Client of the local stack: viewer, operator, approver, admin, other-tenant-operator."
        " (env TASKRUNNER_AS, default operator)",
        rich_help_panel=_WHO,
    ),
]
StackOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Stack file (env TASKRUNNER_STACK, default the nearest .local/stack.json).",
        rich_help_panel=_WHO,
    ),
]
TenantOption = Annotated[
    str | None,
    typer.Option(
        metavar="TENANT",
        help="Which of the caller's tenants (env TASKRUNNER_TENANT).",
        rich_help_panel=_WHO,
    ),
]
LimitOption = Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")]
CursorOption = Annotated[
    str | None, typer.Option(metavar="CURSOR", help="Go on after an earlier answer's end.")
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run.")]


@dataclass
class Session:
    """One command's screen, and its connection once it is asked for."""

    world: World
    screen: Screen
    caller: str | None = None
    stack: Path | None = None
    tenant: str | None = None
    _opened: list[Client] = field(default_factory=list, init=False, repr=False)

    @cached_property
    def connection(self) -> Connection:
        """Where the service is and who calls."""
        return self._resolve(self.caller)

    @cached_property
    def client(self) -> Client:
        """The service as the caller sees it."""
        return self._open(self.connection)

    def client_as(self, caller: str) -> Client:
        """Return the service as another caller of the same stack sees it."""
        return self._open(self._resolve(caller))

    def answer(self, document: object, view: RenderableType) -> None:
        """Print the command's result: *document* for programs, *view* for people."""
        if self.screen.is_json:
            self.screen.document(document)
        elif view:
            self.screen.say(view)

    def record(self, record: object, view: RenderableType) -> None:
        """Print one of many results, each as soon as it is there."""
        if self.screen.is_json:
            self.screen.record(record)
        else:
            self.screen.out.print(view, soft_wrap=True)

    def mention_more(self, cursor: str | None) -> None:
        """Tell people how to see what did not fit; programs have the cursor in the document."""
        if cursor:
            self.screen.say(text(f"there are more: --cursor {cursor}", "dim"))

    def close(self) -> None:
        """Let go of all connections."""
        for client in self._opened:
            client.close()

    def _resolve(self, caller: str | None) -> Connection:
        return resolve(
            caller=caller, stack=self.stack, tenant=self.tenant, environ=self.world.environ
        )

    def _open(self, connection: Connection) -> Client:
        client = Client(connection, self.world.clock)
        self._opened.append(client)
        return client


def _shared(
    *,
    output: OutputOption = Form.TEXT,
    as_: AsOption = None,
    stack: StackOption = None,
    tenant: TenantOption = None,
) -> None:
    """Hold the shared options' types and defaults; only its signature is used."""


def in_session(body: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """Make *body*, which takes a Session first, into a command with the shared options."""

    def command(ctx: typer.Context, **options: Any) -> None:  # noqa: ANN401 -- Typer checked them
        session = Session(
            world=ctx.ensure_object(World),
            screen=Screen(options.pop("output")),
            caller=options.pop("as_"),
            stack=options.pop("stack"),
            tenant=options.pop("tenant"),
        )
        try:
            body(session, **options)  # type: ignore[call-arg] # Typer calls it by the signature below
        finally:
            session.close()

    own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]
    shared = inspect.signature(_shared, eval_str=True).parameters.values()
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *shared)]
    command.__name__, command.__doc__ = body.__name__, body.__doc__
    command.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in (context, *parameters)}
    return command
