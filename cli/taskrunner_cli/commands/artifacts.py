"""`artifacts`: what a run captured, listed or saved."""

from pathlib import Path
from typing import Annotated

import typer

from taskrunner_cli.api.documents import Artifact
from taskrunner_cli.errors import RefusedError, UsageMistakeError
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.runs import artifact_list
from taskrunner_cli.session import RunArgument, Session, in_session

NameArgument = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="One artifact instead of all.")
]
SaveOption = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Download it to this file or folder.")
]


@in_session
def artifacts(
    session: Session, run: RunArgument, name: NameArgument = None, *, save: SaveOption = None
) -> None:
    """List what a run captured, or download one with NAME --save PATH."""
    if save and name:
        _save(session, run, name, save)
        return
    if save:
        raise UsageMistakeError("--save needs the NAME of an artifact")
    listed = session.client.artifacts(run)
    if name:
        artifact = find(listed, name, run)
        session.answer(artifact, artifact_list([artifact]))
    else:
        session.answer(listed, artifact_list(listed))


def find(listed: list[Artifact], name: str, run_id: str) -> Artifact:
    """Return the artifact called *name*.

    Raises:
        RefusedError: the run has no such artifact.

    """
    for artifact in listed:
        if artifact["name"] == name:
            return artifact
    known = ", ".join(artifact["name"] for artifact in listed) or "none yet"
    raise RefusedError(
        f"run {run_id} has no artifact {name!r}; it has: {known}", status=404, code="not_found"
    )


def _save(session: Session, run: str, name: str, path: Path) -> None:
    """Download one artifact; into a folder it goes under its own name."""
    target = path / Path(name).name if path.is_dir() else path
    saved = session.client.download(run, name, target)
    document = {
        "name": name,
        "path": str(saved.path),
        "sizeBytes": saved.size_bytes,
        "sha256": saved.sha256,
    }
    said = f"saved {saved.path}: {saved.size_bytes} bytes, sha256 {saved.sha256}"
    session.answer(document, text(said))
