"""`artifacts list` and `artifacts download`: lists the artifacts of a run, and downloads them."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Group
from typer.core import TyperGroup

from taskrunner_cli.api.documents import Artifact
from taskrunner_cli.commands.completion import complete_artifact, complete_run
from taskrunner_cli.commands.in_session import in_session
from taskrunner_cli.commands.options import RunArgument
from taskrunner_cli.errors import CommandError, UnexpectedOutcomeError, UsageError
from taskrunner_cli.json_types import JsonValue
from taskrunner_cli.output.artifacts import artifact_list
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.progress import downloads
from taskrunner_cli.session import Session

if TYPE_CHECKING:
    from typer._click.core import Context
    from typer._click.shell_completion import CompletionItem

    from taskrunner_cli.api.download import Advance, Download

_FILE_NAME: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,255}", re.ASCII)
_HELP_OPTIONS: Final = frozenset({"-h", "--help"})
_DEFAULT_COMMAND: Final = "list"

NameArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]", help="One artifact instead of all.", autocompletion=complete_artifact
    ),
]
NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME...]",
        help="Some artifacts instead of all.",
        autocompletion=complete_artifact,
    ),
]
SaveOption = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Download NAME to this file or folder.")
]
IntoOption = Annotated[
    Path, typer.Option(metavar="DIR", help="The folder (default: the current one).")
]


class _ListsByDefault(TyperGroup):
    """A group for which `artifacts RUN` is `artifacts list RUN`."""

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        """Add the default command unless the first word is a command or asks for help."""
        if args and args[0] not in self.commands and args[0] not in _HELP_OPTIONS:
            args = [_DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: "Context", incomplete: str) -> "list[CompletionItem]":
        """Propose the runs, because few people type the default command."""
        from typer._click.shell_completion import CompletionItem  # noqa: PLC0415

        proposals: list[Any] = list(complete_run(ctx, incomplete))  # type: ignore[arg-type]
        pairs = (word if isinstance(word, tuple) else (word, "") for word in proposals)
        return [CompletionItem(word, help=note) for word, note in pairs]


app: Final = typer.Typer(
    cls=_ListsByDefault,
    help="The files and values of a run; `artifacts RUN` lists them.",
    no_args_is_help=True,
)


@app.command("list")
@in_session
def list_(
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


@app.command("download")
@in_session
def download(
    session: Session, run: RunArgument, names: NamesArgument = None, *, into: IntoOption = Path()
) -> None:
    """Download the artifacts of a run, all or some, and compare them with their digests."""
    listed = session.client.artifacts(run).view
    if names:
        artifacts = [_find(listed, name, run) for name in dict.fromkeys(names)]
    else:
        artifacts = [artifact for artifact in listed if artifact.get("status") == "captured"]
    try:
        into.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write into {into}: {error}") from error
    documents = []
    with downloads(session.screen) as bars:
        for artifact in artifacts:
            path = into / _file_name(artifact["name"])
            with bars.bar(artifact["name"], artifact.get("sizeBytes")) as advance:
                saved = _download(session, run, artifact, path, advance)
            _check_digest(artifact, saved.sha256)
            documents.append(_saved_document(artifact["name"], saved))
    lines = [text(f"saved {saved['path']}: {saved['sizeBytes']} bytes") for saved in documents]
    nothing = [] if lines else [text("no artifacts", "dim")]
    session.print_result({"runId": run, "files": documents}, Group(*lines, *nothing))


def _download(
    session: Session, run: str, artifact: Artifact, path: Path, advance: "Advance"
) -> "Download":
    """Save a file as it is stored, and a value that is stored nowhere as its text."""
    from taskrunner_cli.api.download import save_text  # noqa: PLC0415 -- brings httpx

    if artifact.get("type") == "object" and "storedPath" not in artifact:
        return save_text(artifact.get("expressionJson", ""), path)
    return session.client.download(run, artifact["name"], path, advance)


def _file_name(name: str) -> str:
    """Return the file's name for an artifact; a service could send one that leads elsewhere."""
    if not _FILE_NAME.fullmatch(name):
        raise CommandError(f"the artifact {name!r} has a name that no file may have")
    return name


def _check_digest(artifact: Artifact, sha256: str) -> None:
    expected = artifact.get("sha256")
    if expected is not None and expected != sha256:
        raise UnexpectedOutcomeError(
            f"the artifact {artifact['name']} is not what the run captured: its SHA-256 is {sha256}"
            f", not {expected}",
            code="digest_mismatch",
        )


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
    document = _saved_document(name, saved)
    message = f"saved {saved.path}: {saved.size_bytes} bytes, sha256 {saved.sha256}"
    session.print_result(document, text(message))


def _saved_document(name: str, saved: "Download") -> dict[str, str | int]:
    return {
        "name": name,
        "path": str(saved.path),
        "sizeBytes": saved.size_bytes,
        "sha256": saved.sha256,
    }
