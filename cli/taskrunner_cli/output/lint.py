"""The result of `lint`: the errors of each pack, with their places."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias, TypedDict

from rich.text import Text

from taskrunner_cli.errors import PackFile, PlanError
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.plan_errors import (
    LocatedPlanError,
    located_plan_errors,
    plan_error_lines,
)
from taskrunner_cli.output.wording import counted


class LintedFile(TypedDict):
    """A pack's file and its errors."""

    file: str
    errors: list[LocatedPlanError]


class LintDocument(TypedDict):
    """The files in the order of the command line."""

    files: list[LintedFile]


_Checked: TypeAlias = Sequence[tuple[PackFile, Sequence[PlanError]]]


def lint_document(checked: _Checked) -> LintDocument:
    """Return the errors of each pack as a document."""
    return {
        "files": [
            {"file": pack.name, "errors": located_plan_errors(errors, pack)}
            for pack, errors in checked
        ]
    }


def lint_lines(checked: _Checked, width: int) -> Iterable[Text]:
    """Yield the errors of each pack, as wide as *width*, and how many there are."""
    for pack, errors in checked:
        for error in errors:
            yield from plan_error_lines(error, pack, width)
    count = sum(len(errors) for _, errors in checked)
    wrong = sum(bool(errors) for _, errors in checked)
    yield text(f"✗ {counted(count, 'error')} in {wrong} of {counted(len(checked), 'file')}", "red")
