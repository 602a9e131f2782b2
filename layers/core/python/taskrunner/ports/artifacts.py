"""Artifacts of runs: the list, and the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.run import Run


class Artifacts(Protocol):
    """Artifacts by run."""

    def list(self, tenant: str, run_id: str) -> Sequence[Artifact]:
        """Return all artifacts of a run, without those that a retry of their step has replaced.

        They are sorted by name. Several steps may have written one name.
        """
        ...

    def store(self, run: Run, artifact: Artifact, file: Path) -> Artifact:
        """Store the content of a regular file, and return the artifact with its place and digest.

        Raises:
            OSError: it is not a regular file, or cannot be read.
        """
        ...

    def store_value(self, run: Run, artifact: Artifact, text: str) -> Artifact:
        """Store the JSON *text* of a value, and return the artifact with its place and digest."""
        ...

    def download_url(self, tenant: str, artifact: Artifact) -> str:
        """Return a URL that anyone may use for five minutes."""
        ...

    def content(self, tenant: str, artifact: Artifact) -> bytes | None:
        """Return the content of a stored artifact, or None when there is no such file."""
        ...

    def fetch(self, tenant: str, artifact: Artifact, into: Path) -> bool:
        """Write a stored artifact to the file *into*; return False when there is no such file.

        Raises:
            ExecutorFailure: the step's disk has no room for it.
        """
        ...
