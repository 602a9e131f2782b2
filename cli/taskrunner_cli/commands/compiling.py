"""`compile`: prints what a pack is compiled to."""

from enum import StrEnum
from typing import Annotated

import typer

from taskrunner_cli.commands.option_groups import with_groups
from taskrunner_cli.commands.options import InputOptions, OutputOption, PackArgument
from taskrunner_cli.offline_compiler import compile_pack
from taskrunner_cli.output.forms import OutputFormat
from taskrunner_cli.output.mermaid import mermaid_flowchart
from taskrunner_cli.output.screen import Screen
from taskrunner_cli.pack_files import read_pack


class CompiledForm(StrEnum):
    """The forms of a compiled pack."""

    ASL = "asl"
    MERMAID = "mermaid"


FormatOption = Annotated[
    CompiledForm,
    typer.Option(
        "--format",
        help="asl: the state machine, with ${Name} for each function; mermaid: a flowchart.",
    ),
]


@with_groups
def compile_(
    pack: PackArgument,
    *,
    inputs: InputOptions,
    format_: FormatOption = CompiledForm.ASL,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Print the state machine of a pack, or a flowchart of its plan; works offline."""
    compiled = compile_pack(read_pack(pack), inputs.values())
    screen = Screen(output)
    flowchart = mermaid_flowchart(compiled.document)
    if screen.is_json:
        hashes = {"planHash": compiled.plan_hash, "definitionHash": compiled.definition_hash}
        is_chart = format_ is CompiledForm.MERMAID
        form = {"mermaid": flowchart} if is_chart else {"definition": compiled.definition}
        screen.print_document(hashes | form)
    elif format_ is CompiledForm.MERMAID:
        screen.print_source(flowchart)
    else:
        screen.print_document(compiled.definition)
