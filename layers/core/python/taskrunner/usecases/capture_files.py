"""Take what a step wrote under /output into the run's artifacts.

`/output` is one folder per run, as far as names go: a later step, or a retry, replaces the file of
the same name. A file that no output of the pack declares is kept too, under its own name: a report
that nobody asked for may be the one that is needed.

The step may have left anything there, and is not trusted. What is no plain file of its own is not
opened, what may not be stored is not, and each is listed as failed with a note that says why.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from taskrunner.model.artifact import EVIDENCE_BUNDLE, Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.plan import FileOutput
from taskrunner.runtime.media_types import media_type
from taskrunner.runtime.regular_file import NotRegularError, kind, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from taskrunner.model.plan import Output
    from taskrunner.model.run import Run
    from taskrunner.ports.world import World

MAX_FILES: Final = 50  # of one step; with its outcome they fit one transaction
MAX_FILE_BYTES: Final = 5 * 1024**3  # S3 takes no more at once
_MAX_LOOKED_AT: Final = 20_001
_MAX_NAME: Final = 100
_MAX_SHOWN: Final = 500  # characters of a path or a list of paths
_LEFT_OUT: Final = "files-left-out"
_UNFIT: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class _Found:
    """Something under /output. *path* is below it; *note* says why it cannot be stored."""

    file: Path
    path: str
    note: str | None


def _anything(_: Path) -> str | None:
    return None


def _as_it_is(text: str) -> str:
    return text


def capture(  # noqa: PLR0913 - where, what for, and what is not to be stored
    output: Path,
    declared: Sequence[Output],
    run: Run,
    at: str,
    world: World,
    *,
    refuse: Callable[[Path], str | None] = _anything,
    shown: Callable[[str], str] = _as_it_is,
) -> list[Artifact]:
    """Store the plain files under *output*, at most MAX_FILES, the declared ones first of all.

    *refuse* looks at a file before it is stored, and returns a note for one that must not be;
    *shown* is what may be told of a path, and a file of which not all may is not stored. The
    artifacts come in the order of their files' paths; those that are not stored have a note.
    """
    found, more = _found(output, shown)
    known = _declared([one.path for one in found], declared)
    chosen = sorted(found, key=lambda one: one.path not in known)[:MAX_FILES]
    stored = {one.path for one in chosen}
    left_out = [one.path for one in found if one.path not in stored]
    chosen.sort(key=lambda one: one.path)
    names = _names([one.path for one in chosen], known, declared)
    artifacts = [
        _captured(one, name, run, at, world, refuse=refuse)
        for one, name in zip(chosen, names, strict=True)
    ]
    return [*artifacts, *_left_out(left_out, more=more)]


def _captured(  # noqa: PLR0913 - as capture
    found: _Found,
    name: str,
    run: Run,
    at: str,
    world: World,
    *,
    refuse: Callable[[Path], str | None],
) -> Artifact:
    artifact = Artifact(
        name=name,
        type=ArtifactType.FILE,
        status=ArtifactStatus.FAILED,
        source_path=f"/output/{found.path}",
    )
    note = found.note or _unreadable(found.file) or refuse(found.file)
    if note is not None:
        return replace(artifact, notes=note)
    artifact = replace(
        artifact,
        status=ArtifactStatus.CAPTURED,
        captured_at=at,
        media_type=media_type(found.path),
    )
    return world.artifacts.store(run, artifact, found.file)


def _unreadable(file: Path) -> str | None:
    try:
        opened(file).close()
    except NotRegularError as error:
        return f"{error}; only plain files are stored"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return None


def _left_out(paths: Sequence[str], *, more: bool) -> Iterator[Artifact]:
    """One entry that tells of all that are too many; nobody should miss them silently."""
    if paths or more:
        number = f"more than {_MAX_LOOKED_AT - 1}" if more else str(MAX_FILES + len(paths))
        shown = _shortened(", ".join(paths), _MAX_SHOWN)
        yield Artifact(
            name=_LEFT_OUT,
            type=ArtifactType.FILE,
            status=ArtifactStatus.FAILED,
            notes=f"the step wrote {number} files, and {MAX_FILES} are stored; not {shown}",
        )


def _found(output: Path, shown: Callable[[str], str]) -> tuple[list[_Found], bool]:
    """What stands under *output*, in the order of its paths, and whether there is yet more."""
    entries = list(islice(_entries(output), _MAX_LOOKED_AT))
    more = len(entries) == _MAX_LOOKED_AT
    links = Counter((about.st_dev, about.st_ino) for _, about in entries if about is not None)
    found = [_seen(file, output, _problem(about, links), shown) for file, about in entries]
    return sorted(found, key=lambda one: one.path), more


def _seen(file: Path, output: Path, note: str | None, shown: Callable[[str], str]) -> _Found:
    path = os.fsencode(file.relative_to(output)).decode(errors="replace")
    told = shown(path)
    if told != path:
        note = "its name holds a secret, so it is not stored"
    return _Found(file, _text(told), note)


def _entries(folder: Path) -> Iterator[tuple[Path, os.stat_result | None]]:
    """Everything under *folder* but folders, links not followed; None where nothing can be told.

    A folder that cannot be read counts itself.
    """
    ahead = [folder]
    while ahead:
        here = ahead.pop()
        try:
            with os.scandir(here) as listed:
                children = sorted(islice(listed, _MAX_LOOKED_AT), key=lambda child: child.name)
        except OSError:
            yield here, None
            continue
        for child in children:
            if child.is_dir(follow_symlinks=False):
                ahead.append(Path(child.path))
            else:
                yield Path(child.path), _about(child)


def _about(child: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return child.stat(follow_symlinks=False)
    except OSError:
        return None


def _problem(about: os.stat_result | None, links: Counter[tuple[int, int]]) -> str | None:
    if about is None:
        return "it cannot be read"
    if (other := kind(about.st_mode)) is not None:
        return f"it is {other}; only plain files are stored"
    if about.st_nlink > links[about.st_dev, about.st_ino]:
        return "it is a hard link to a file outside /output; write a copy of it"
    if about.st_size > MAX_FILE_BYTES:
        return f"it has {about.st_size} bytes; a stored file has at most {MAX_FILE_BYTES}"
    return None


def _text(path: str) -> str:
    """A path as text that can be stored; names on a disk are bytes, whatever they mean."""
    return _shortened("".join(c if c.isprintable() else "\ufffd" for c in path), 1000)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + "..."


def _declared(paths: Sequence[str], declared: Sequence[Output]) -> dict[str, str]:
    """The declared names by path: as it is written, else as Unicode can write it otherwise."""
    canonical = {_canonical(path): path for path in reversed(paths)}
    wanted = {
        one.path.removeprefix("/output/"): one.name
        for one in declared
        if isinstance(one, FileOutput)
    }
    exact = wanted.keys() & set(paths)
    found = {path: path if path in exact else canonical.get(_canonical(path)) for path in wanted}
    return {path: wanted[key] for key, path in found.items() if path is not None}


def _names(paths: Sequence[str], known: dict[str, str], declared: Sequence[Output]) -> list[str]:
    """The declared name, else the path without its ending, else all of it, else with a number."""
    taken = {one.name for one in declared} | {EVIDENCE_BUNDLE, _LEFT_OUT}
    names: list[str] = []
    for path in paths:
        name = known.get(path)
        if name is None:
            whole = _fitting(path)
            short = whole.rsplit(".", 1)[0] or whole
            numbered = (f"{whole}-{number}" for number in count(2))
            name = next(one for one in chain((short, whole), numbered) if one not in taken)
            taken.add(name)
        names.append(name)
    return names


def _canonical(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _fitting(path: str) -> str:
    """*path* as a name: ASCII, with a digest in place of what is too long."""
    plain = unicodedata.normalize("NFKD", path)
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    name = _UNFIT.sub("-", plain).strip("-._") or "file"
    if len(name) <= _MAX_NAME:
        return name
    digest = hashlib.sha256(path.encode(errors="replace")).hexdigest()[:12]
    return f"{name[:_MAX_NAME].rstrip('-._')}-{digest}"
