"""Capture the files that a step wrote under /output as artifacts of the run.

Each step has a folder of its own, and artifacts belong to their step: steps and iterations that
write the same path leave one artifact each. A retry replaces all artifacts of its step. A file that
the pack does not declare is captured too, because an unexpected report may be the one that somebody
needs.

The step is not trusted, and may have left anything there. Only its own regular files are opened. A
file that is not stored is listed as failed, with a note that says why.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from taskrunner.model import timestamp
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.artifact_names import FILES_LEFT_OUT, artifact_names, declared_names
from taskrunner.model.media_types import media_type
from taskrunner.runtime.redacted_services import find_secret
from taskrunner.runtime.regular_file import NotRegularError, irregular_kind, open_regular
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from taskrunner.model.plan import Output
    from taskrunner.model.redaction import Redactor
    from taskrunner.model.run import Run
    from taskrunner.ports import World

MAX_FILES: Final = 50  # of one step; with its outcome they fit one transaction
MAX_FILE_BYTES: Final = 5 * 1024**3  # S3 accepts no more in one call
_MAX_SEEN: Final = 20_000
_MAX_PATH: Final = 1000  # characters
_MAX_LISTED: Final = 500  # characters


@dataclass(frozen=True, slots=True)
class _FoundFile:
    """A file under /output: its *path* there, and a *note* that says why it cannot be stored."""

    file: Path
    path: str
    note: str | None


def capture_files(  # noqa: PLR0913 - what to capture, and what with
    folder: Path,
    outputs: Sequence[Output],
    run: Run,
    redactor: Redactor,
    world: World,
    *,
    search_until: datetime,
) -> list[Artifact]:
    """Store the files under *folder*: at most MAX_FILES, those that *outputs* declare first.

    A file is not stored when its content or its name holds a secret that *redactor* knows, or when
    it could not be searched until *search_until*. Artifacts are returned in the order of their
    files' paths.
    """

    def may_go_on() -> bool:
        return world.clock.now() < search_until

    found, has_more = _find_files(folder, redactor)
    declared = declared_names([item.path for item in found], outputs)
    chosen = sorted(found, key=lambda item: item.path not in declared)[:MAX_FILES]
    chosen.sort(key=lambda item: item.path)
    names = artifact_names([item.path for item in chosen], declared, outputs)
    captured_at = timestamp.to_text(world.clock.now())
    artifacts = []
    for item, name in zip(chosen, names, strict=True):
        note = item.note or _unreadable(item.file) or _secret(item.file, redactor, may_go_on)
        artifact = _artifact(item, name, note, captured_at)
        is_stored = note is None
        artifacts.append(world.artifacts.store(run, artifact, item.file) if is_stored else artifact)
    chosen_paths = {item.path for item in chosen}
    left_out = [item.path for item in found if item.path not in chosen_paths]
    return [*artifacts, *_left_out(left_out, has_more=has_more)]


def _artifact(item: _FoundFile, name: str, note: str | None, captured_at: str) -> Artifact:
    """The artifact of a file that is to be stored, or that is not, for the reason *note*."""
    artifact = Artifact(
        name=name,
        type=ArtifactType.FILE,
        status=ArtifactStatus.FAILED,
        source_path=f"/output/{item.path}",
    )
    if note is not None:
        return replace(artifact, notes=note)
    return replace(
        artifact,
        status=ArtifactStatus.CAPTURED,
        captured_at=captured_at,
        media_type=media_type(item.path),
    )


def _unreadable(file: Path) -> str | None:
    try:
        open_regular(file).close()
    except NotRegularError as error:
        return f"{error}; only plain files are stored"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return None


def _secret(file: Path, redactor: Redactor, may_go_on: Callable[[], bool]) -> str | None:
    try:
        name = find_secret(file, redactor, may_go_on=may_go_on)
    except TimeoutError:
        return (
            "there was no time left to search it for secrets, so it is not stored; write less, or "
            "set a shorter timeoutSeconds"
        )
    return None if name is None else f"it holds the secret '{name}', so it is not stored"


def _left_out(paths: Sequence[str], *, has_more: bool) -> Iterator[Artifact]:
    """One artifact that lists the files beyond the limit, so that none is missing silently."""
    if paths or has_more:
        number = f"more than {_MAX_SEEN}" if has_more else str(MAX_FILES + len(paths))
        listed = _shortened(", ".join(paths), _MAX_LISTED)
        yield Artifact(
            name=FILES_LEFT_OUT,
            type=ArtifactType.FILE,
            status=ArtifactStatus.FAILED,
            notes=f"the step wrote {number} files, and {MAX_FILES} are stored; not {listed}",
        )


# --- finding files ----------------------------------------------------------------------------


def _find_files(folder: Path, redactor: Redactor) -> tuple[list[_FoundFile], bool]:
    """The files under *folder* in the order of their paths, and whether there are more."""
    entries = list(islice(_walk(folder), _MAX_SEEN + 1))
    links = Counter((status.st_dev, status.st_ino) for _, status in entries if status is not None)
    found = [
        _found_file(file, folder, _problem(status, links), redactor) for file, status in entries
    ]
    return sorted(found, key=lambda item: item.path), len(entries) > _MAX_SEEN


def _found_file(file: Path, folder: Path, note: str | None, redactor: Redactor) -> _FoundFile:
    path = os.fsencode(file.relative_to(folder)).decode(errors="replace")
    redacted = redactor.text(path)
    if redacted != path:
        note = "its name holds a secret, so it is not stored"
    return _FoundFile(file, _printable(redacted), note)


def _walk(folder: Path) -> Iterator[tuple[Path, os.stat_result | None]]:
    """Everything under *folder* except folders, with its status, or None where that is unknown.

    Links are not followed, also if one stands for *folder*: it could name any file of the function.
    A folder that cannot be read is returned itself.
    """
    pending = [] if folder.is_symlink() else [folder]
    while pending:
        current = pending.pop()
        try:
            with os.scandir(current) as entries:
                children = sorted(islice(entries, _MAX_SEEN + 1), key=lambda child: child.name)
        except OSError:
            yield current, None
            continue
        for child in children:
            if child.is_dir(follow_symlinks=False):
                pending.append(Path(child.path))
            else:
                yield Path(child.path), _status(child)


def _status(child: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return child.stat(follow_symlinks=False)
    except OSError:
        return None


def _problem(status: os.stat_result | None, links: Counter[tuple[int, int]]) -> str | None:
    """The reason not to store a file; *links* counts the names of each file under the folder."""
    if status is None:
        return "it cannot be read"
    if (kind := irregular_kind(status.st_mode)) is not None:
        return f"it is {kind}; only plain files are stored"
    if status.st_nlink > links[status.st_dev, status.st_ino]:
        return "it is a hard link to a file outside /output; write a copy of it"
    if status.st_size > MAX_FILE_BYTES:
        return f"it has {status.st_size} bytes; a stored file has at most {MAX_FILE_BYTES}"
    return None


def _printable(path: str) -> str:
    """A path as text that can be stored: on a disk, names are bytes of any meaning."""
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in path)
    return _shortened(text, _MAX_PATH)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + "..."
