"""The result of a verification, as a document and a view."""

from typing import TYPE_CHECKING, TypedDict

from rich.console import Group, RenderableType

from taskrunner_cli.json_types import JsonObject
from taskrunner_cli.output.formatting import status, text
from taskrunner_cli.output.tables import Facts, ResultTable
from taskrunner_cli.output.wording import who

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner_cli.evidence.verification import Report


class CheckDocument(TypedDict):
    """A check with its result."""

    check: str
    result: str
    detail: str


class ReportDocument(TypedDict):
    """The result of a verification; *statement* is None unless its signature is valid."""

    bundle: str
    holds: bool
    checks: list[CheckDocument]
    statement: JsonObject | None


def report_document(bundle: "Path", report: "Report") -> ReportDocument:
    """Return the document of a verification."""
    return {
        "bundle": str(bundle),
        "holds": report.holds,
        "checks": [
            {"check": check.name, "result": check.result.value, "detail": check.detail}
            for check in report.checks
        ],
        "statement": report.document,
    }


def report_view(report: "Report") -> RenderableType:
    """Return the checks, a row for each, below the run that the evidence is about."""
    table = ResultTable("check", "result", "detail")
    for check in report.checks:
        table.add_row(text(check.name, "bold"), status(check.result.value), text(check.detail))
    if report.statement is None:
        return table
    predicate = report.statement.predicate
    run, pack = predicate.run, predicate.pack
    about = Facts(
        {
            "run": f"{run.id} of {run.tenant}, {run.outcome}",
            "pack": f"{pack.name} {pack.version}",
            "created": f"{run.created_at} by {who(run.created_by, run.created_by_name)}",
            "ended": run.ended_at,
        }
    )
    return Group(about, table)
