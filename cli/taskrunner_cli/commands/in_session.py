"""Gives a command of the API the shared options and a Session made from them.

`--output`, `--as`, `--stack`, `--tenant`, `--profile` and `--max-wait` would otherwise be most of
every command's signature.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec

import typer

from taskrunner_cli.api.profiles import Choice
from taskrunner_cli.commands.option_groups import with_groups
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _SharedOptions:
    """The options that every command of the API has."""

    output: OutputOption = OutputFormat.TABLE
    as_: AsOption = None
    stack: StackOption = None
    tenant: TenantOption = None
    profile: ProfileOption = None
    max_wait: MaxWaitOption = 300


def in_session(function: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """Turn *function*, which takes a Session first, into a command with the shared options."""

    def command(ctx: typer.Context, shared: _SharedOptions, **options: Any) -> None:  # noqa: ANN401 -- checked by Typer
        choice = Choice(
            caller=shared.as_, stack=shared.stack, tenant=shared.tenant, profile=shared.profile
        )
        session = Session(
            world=ctx.ensure_object(World),
            screen=Screen(shared.output),
            choice=choice,
            max_wait_s=shared.max_wait,
        )
        try:
            function(session, **options)  # type: ignore[call-arg] # as in the signature below
        finally:
            session.close()

    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    context, shared, _ = inspect.signature(command, eval_str=True).parameters.values()
    command.__name__, command.__doc__ = function.__name__, function.__doc__
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in (context, *own, shared)
        ]
    )
    return with_groups(command)
