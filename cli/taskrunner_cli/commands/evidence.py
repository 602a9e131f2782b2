"""`evidence fetch` and `evidence verify`: saves a run's evidence, and verifies it offline."""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Group

from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.commands.options import OutputOption, RunArgument
from taskrunner_cli.errors import UnexpectedOutcomeError, UsageError
from taskrunner_cli.evidence.folder import (
    default_folder,
    file_digests,
    find_files,
    read_file,
    save_evidence,
)
from taskrunner_cli.output.evidence import report_document, report_view
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.forms import OutputFormat
from taskrunner_cli.output.screen import Screen
from taskrunner_cli.session import Session

app: Final = typer.Typer(help="A run's record, signed by the service.", no_args_is_help=True)

BundleArgument = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="A bundle, or a folder that `fetch` wrote.")
]
_KEY_OF_STACK: Final = ".local/evidence-key.pem"
KeyOption = Annotated[Path, typer.Option(metavar="PEM", help="The public key to trust.")]
JournalOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The run's log, as the API serves it.")
]
PlanOption = Annotated[Path | None, typer.Option(metavar="FILE", help="The plan, as JSON.")]
PlanHashOption = Annotated[
    str | None, typer.Option(metavar="HASH", help="The plan hash that was approved.")
]
ArtifactOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=PATH", help="An artifact's file; repeatable."),
]


@app.command("verify")
def verify(  # noqa: PLR0913 -- one parameter per option
    bundle: BundleArgument,
    *,
    key: KeyOption,
    journal: JournalOption = None,
    plan: PlanOption = None,
    plan_hash: PlanHashOption = None,
    artifact: ArtifactOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Verify a bundle, and compare the given files with it; works offline."""
    # cryptography and pydantic take as long to import as the rest of the command line.
    from taskrunner_cli.evidence import verification  # noqa: PLC0415

    files = find_files(bundle)
    journal, plan = journal or files.journal, plan or files.plan
    artifacts = {**files.artifacts, **_parse_artifacts(artifact or [])}
    material = verification.Material(
        journal=read_file(journal) if journal else None,
        plan=read_file(plan) if plan else None,
        plan_hash=plan_hash,
        artifacts=file_digests(artifacts),
    )
    public_key = verification.read_key(read_file(key), str(key))
    report = verification.verify(read_file(files.bundle), public_key, material)
    screen = Screen(output)
    if screen.is_json:
        screen.print_document(report_document(files.bundle, report))
    screen.print_text(report_view(report))
    if report.failed:
        raise UnexpectedOutcomeError(
            f"the evidence does not hold: failed: {', '.join(report.failed)}",
            code="evidence_failed",
        )


@app.command("fetch")
@in_session
def fetch(
    session: Session,
    run: RunArgument,
    *,
    to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder (default RUN.evidence).")
    ] = None,
) -> None:
    """Save a run's bundle, log and artifacts into a folder that `verify` reads."""
    folder = to or default_folder(run)
    files = save_evidence(session.client, session.world.clock, run, folder)
    key = _KEY_OF_STACK if session.is_local_stack else "PEM"
    session.print_result(
        {"runId": run, "folder": str(folder), "files": files},
        Group(
            *(text(f"saved {file}") for file in files),
            text(f"next: taskrunner evidence verify {folder} --key {key}", "dim"),
        ),
    )


def _parse_artifacts(pairs: list[str]) -> dict[str, Path]:
    artifacts = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not (name and equals and path):
            raise UsageError(
                f"--artifact {pair} is not NAME=PATH", cure="--artifact report=report.json"
            )
        artifacts[name] = Path(path)
    return artifacts
