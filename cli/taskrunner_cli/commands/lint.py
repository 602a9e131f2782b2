"""`lint`: checks packs without inputs and without the service."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias

import typer

from taskrunner_cli.commands.completion import complete_pack
from taskrunner_cli.errors import PackFile, PlanError, UsageError
from taskrunner_cli.offline_compiler import lint as find_errors
from taskrunner_cli.output.forms import LintFormat, OutputFormat
from taskrunner_cli.output.wording import counted
from taskrunner_cli.pack_files import STDIN, read_pack

Checked: TypeAlias = Sequence[tuple[PackFile, Sequence[PlanError]]]
PacksArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PACK...", help="Files of packs; - is standard input.", autocompletion=complete_pack
    ),
]

LintOutputOption = Annotated[
    LintFormat,
    typer.Option(
        "--output",
        "-o",
        help="table for people, json for programs, sarif for tools of code review;"
        " text is the same as table.",
    ),
]


def lint(packs: PacksArgument, *, output: LintOutputOption = LintFormat.TABLE) -> None:
    """Check packs without their inputs; works offline. The exit code is 1 if one has errors."""
    if packs.count(STDIN) > 1:
        raise UsageError("standard input (-) is given twice", cure="name it once")
    checked = [(pack, find_errors(pack)) for pack in map(read_pack, packs)]
    errors = sum(len(found) for _, found in checked)
    if errors or output in {LintFormat.JSON, LintFormat.SARIF}:
        _print_result(checked, output)
    else:
        typer.secho(f"✓ {counted(len(checked), 'file')} without errors", fg="green")
    if errors:
        raise typer.Exit(1)


def _print_result(checked: Checked, output: LintFormat) -> None:
    # Rich takes a fifth of the time of the command, and a pack without errors does not need it.
    from taskrunner_cli.output.lint import lint_document, lint_lines  # noqa: PLC0415
    from taskrunner_cli.output.screen import Screen  # noqa: PLC0415

    is_document = output in {LintFormat.JSON, LintFormat.SARIF}
    screen = Screen(OutputFormat.JSON if is_document else OutputFormat.TABLE)
    if output is LintFormat.SARIF:
        from taskrunner_cli.output.sarif import sarif_log  # noqa: PLC0415

        screen.print_document(sarif_log(checked))
    elif screen.is_json:
        screen.print_document(lint_document(checked))
    else:
        screen.print_text(*lint_lines(checked, screen.out.width))
