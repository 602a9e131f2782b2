"""`artifacts`: lists the artifacts of a run, or downloads one."""

from pathlib import Path
from typing import Annotated

import typer

from taskrunner_cli.api.documents import Artifact
from taskrunner_cli.commands.completion import complete_artifact
from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.commands.options import RunArgument
from taskrunner_cli.errors import CommandError, UsageError
from taskrunner_cli.json_types import JsonValue
from taskrunner_cli.output.artifacts import artifact_list
from taskrunner_cli.output.formatting import text
from taskrunner_cli.session import Session

NameArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]", help="One artifact instead of all.", autocompletion=complete_artifact
    ),
]
SaveOption = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Download NAME to this file or folder.")
]


@in_session
def artifacts(
    session: Session, run: RunArgument, name: NameArgument = None, *, save: SaveOption = None
) -> None:
    """List the artifacts of a run, or download one with NAME --save PATH."""
    if save:
        if not name:
            raise UsageError(
                "--save needs the NAME of an artifact",
                cure=f"list the names: taskrunner artifacts {run}",
            )
        _save(session, run, name, save)
        return
    listed = session.client.artifacts(run)
    if not name:
        session.print_result(listed.document, artifact_list(listed.view))
        return
    artifact = _find(listed.view, name, run)
    session.print_result(_find_document(listed.document, name), artifact_list([artifact]))


def _find(listed: list[Artifact], name: str, run_id: str) -> Artifact:
    for artifact in listed:
        if artifact["name"] == name:
            return artifact
    names = ", ".join(artifact["name"] for artifact in listed) or "none yet"
    raise CommandError(f"run {run_id} has no artifact {name!r}; it has: {names}", code="not_found")


def _find_document(listed: JsonValue, name: str) -> JsonValue:
    """Return the artifact *name* as the service sent it."""
    entries = listed if isinstance(listed, list) else []
    named = (entry for entry in entries if isinstance(entry, dict) and entry.get("name") == name)
    return next(named, None)


def _save(session: Session, run: str, name: str, path: Path) -> None:
    """Download an artifact to *path*, or under its own name if *path* is a folder."""
    target = path / Path(name).name if path.is_dir() else path
    saved = session.client.download(run, name, target)
    document = {
        "name": name,
        "path": str(saved.path),
        "sizeBytes": saved.size_bytes,
        "sha256": saved.sha256,
    }
    message = f"saved {saved.path}: {saved.size_bytes} bytes, sha256 {saved.sha256}"
    session.print_result(document, text(message))
