"""Gives a command of the API the shared options and a Session made from them.

`--output`, `--as`, `--stack`, `--tenant`, `--profile` and `--max-wait` would otherwise be most of
every command's signature.
"""

import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import typer

from taskrunner_cli.api.profiles import Choice
from taskrunner_cli.commands.options import (
    AsOption,
    MaxWaitOption,
    OutputOption,
    ProfileOption,
    StackOption,
    TenantOption,
)
from taskrunner_cli.output.forms import OutputFormat
from taskrunner_cli.output.screen import Screen
from taskrunner_cli.session import Session
from taskrunner_cli.world import World

P = ParamSpec("P")


def _shared_options(  # noqa: PLR0913 -- one parameter per option
    *,
    output: OutputOption = OutputFormat.TABLE,
    as_: AsOption = None,
    stack: StackOption = None,
    tenant: TenantOption = None,
    profile: ProfileOption = None,
    max_wait: MaxWaitOption = 300,
) -> None:
    """Declare the shared options; only the signature is used."""


def in_session(function: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """Turn *function*, which takes a Session first, into a command with the shared options."""

    def command(ctx: typer.Context, **options: Any) -> None:  # noqa: ANN401 -- checked by Typer
        session = Session(
            world=ctx.ensure_object(World),
            screen=Screen(options.pop("output")),
            choice=Choice(
                caller=options.pop("as_"),
                stack=options.pop("stack"),
                tenant=options.pop("tenant"),
                profile=options.pop("profile"),
            ),
            max_wait_s=options.pop("max_wait"),
        )
        try:
            function(session, **options)  # type: ignore[call-arg] # as in the signature below
        finally:
            session.close()

    parameters = [
        inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *list(inspect.signature(function, eval_str=True).parameters.values())[1:],
        *inspect.signature(_shared_options, eval_str=True).parameters.values(),
    ]
    command.__name__, command.__doc__ = function.__name__, function.__doc__
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    )
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command
