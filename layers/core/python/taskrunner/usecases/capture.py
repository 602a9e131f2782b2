"""Take what a step wrote under /output into the run's artifacts.

`/output` is one folder per run, as far as names go: a later step, or a retry, replaces the file of
the same name. A file that no output of the pack declares is kept too, under its own name: a report
that nobody asked for may be the one that is needed.
"""

from __future__ import annotations

import mimetypes
import re
from itertools import chain, count
from typing import TYPE_CHECKING, Final

from taskrunner.model.artifact import EVIDENCE_BUNDLE, Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.plan import FileOutput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskrunner.model.plan import Output
    from taskrunner.model.run import Run
    from taskrunner.usecases.world import World

MAX_FILES: Final = 50  # of one step; with its outcome they fit one transaction
_UNFIT: Final = re.compile(r"[^A-Za-z0-9._-]+")


def capture(
    output: Path, declared: Sequence[Output], run: Run, at: str, world: World
) -> list[Artifact]:
    """Store every regular file under *output*, at most MAX_FILES, in the order of their names."""
    files = sorted(path for path in output.rglob("*") if path.is_file() and not path.is_symlink())[
        :MAX_FILES
    ]
    names = _names([file.relative_to(output).as_posix() for file in files], declared)
    return [
        world.artifacts.store(
            run.tenant,
            run.run_id,
            Artifact(
                name=name,
                type=ArtifactType.FILE,
                status=ArtifactStatus.CAPTURED,
                source_path=f"/output/{file.relative_to(output).as_posix()}",
                captured_at=at,
                media_type=mimetypes.guess_type(file.name)[0] or "application/octet-stream",
            ),
            file,
        )
        for file, name in zip(files, names, strict=True)
    ]


def _names(paths: Sequence[str], declared: Sequence[Output]) -> list[str]:
    """The declared name, else the path without its ending, else all of it, else with a number."""
    by_path = {one.path: one.name for one in declared if isinstance(one, FileOutput)}
    taken = {one.name for one in declared} | {EVIDENCE_BUNDLE}
    names: list[str] = []
    for path in paths:
        name = by_path.get(f"/output/{path}")
        if name is None:
            whole = _UNFIT.sub("-", path).strip("-.") or "file"
            short = whole.rsplit(".", 1)[0] or whole
            numbered = (f"{whole}-{number}" for number in count(2))
            name = next(one for one in chain((short, whole), numbered) if one not in taken)
            taken.add(name)
        names.append(name)
    return names
