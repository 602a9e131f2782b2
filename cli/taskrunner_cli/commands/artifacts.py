"""`artifacts`: lists the artifacts of a run, or downloads one."""

from pathlib import Path
from typing import Annotated

import typer

from taskrunner_cli.api.documents import Artifact
from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.commands.options import RunArgument
from taskrunner_cli.errors import RefusedError, UsageError
from taskrunner_cli.output.artifacts import artifact_list
from taskrunner_cli.output.formatting import text
from taskrunner_cli.session import Session

NameArgument = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="One artifact instead of all.")
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
    if name:
        artifact = _find(listed, name, run)
        session.print_result(artifact, artifact_list([artifact]))
    else:
        session.print_result(listed, artifact_list(listed))


def _find(listed: list[Artifact], name: str, run_id: str) -> Artifact:
    for artifact in listed:
        if artifact["name"] == name:
            return artifact
    names = ", ".join(artifact["name"] for artifact in listed) or "none yet"
    raise RefusedError(
        f"run {run_id} has no artifact {name!r}; it has: {names}", status=404, code="not_found"
    )


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
