"""The options and arguments that several commands share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from taskrunner_cli.commands.completion import (
    complete_caller,
    complete_inputs,
    complete_pack,
    complete_profile,
    complete_run,
)
from taskrunner_cli.json_types import JsonObject
from taskrunner_cli.output.forms import OutputFormat
from taskrunner_cli.pack_files import gather_inputs

_CALLER_PANEL: Final = "Caller and address"

OutputOption = Annotated[
    OutputFormat,
    typer.Option(
        "--output", "-o", help="table for people, json for programs; text is the same as table."
    ),
]
AsOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="CALLER",
        help="Client of the local stack: viewer, operator, approver, admin, other-tenant-operator, "
        "worker. (env TASKRUNNER_AS, default operator; for worker run, worker)",
        autocompletion=complete_caller,
        rich_help_panel=_CALLER_PANEL,
    ),
]
StackOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Stack file (env TASKRUNNER_STACK, default the nearest .local/stack.json).",
        rich_help_panel=_CALLER_PANEL,
    ),
]
TenantOption = Annotated[
    str | None,
    typer.Option(
        metavar="TENANT",
        help="One of the caller's tenants (env TASKRUNNER_TENANT).",
        rich_help_panel=_CALLER_PANEL,
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Profile that `taskrunner login` signed in (env TASKRUNNER_PROFILE).",
        autocompletion=complete_profile,
        rich_help_panel=_CALLER_PANEL,
    ),
]
MaxWaitOption = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="How long to wait if the service puts a request off.",
        rich_help_panel=_CALLER_PANEL,
    ),
]
LimitOption = Annotated[int, typer.Option(min=1, metavar="N", help="List at most N entries.")]
CursorOption = Annotated[
    str | None,
    typer.Option(metavar="CURSOR", help="Start after CURSOR, from an earlier answer."),
]
StreamOption = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        help="Print all that steps print, or nothing of it (default: the last lines on a terminal,"
        " all in a pipe).",
        show_default=False,
    ),
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Id of a run.", autocompletion=complete_run)
]
PackArgument = Annotated[
    str,
    typer.Argument(
        metavar="PACK",
        help="File of a pack; - is standard input.",
        autocompletion=complete_pack,
    ),
]
_InputOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="NAME=VALUE",
        help="An input, repeatable; VALUE is JSON, or else text.",
    ),
]
_InputsOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="A JSON object of inputs; --input overrides its members.",
        autocompletion=complete_inputs,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """The inputs of a pack."""

    input_: _InputOption = None
    inputs: _InputsOption = None

    def values(self) -> JsonObject:
        """Return the inputs by their names.

        Raises:
            UsageError: an input cannot be read.

        """
        return gather_inputs(self.input_ or (), self.inputs)
