"""Artifacts of runs: the list, and the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskrunner.executors.work import Artifacts as ArtifactContents
    from taskrunner.model.artifact import Artifact
    from taskrunner.model.run import Run


class Artifacts(Protocol):
    """Artifacts by run and name."""

    def list(self, tenant: str, run_id: str) -> Sequence[Artifact]:
        """Return all artifacts by name, without those that a later attempt has replaced."""
        ...

    def store(self, run: Run, artifact: Artifact, file: Path) -> Artifact:
        """Store the content of a regular file, and return the artifact with its place and digest.

        Raises:
            OSError: it is not a regular file, or cannot be read.
        """
        ...

    def download_url(self, tenant: str, artifact: Artifact) -> str:
        """Return a URL that anyone may use for five minutes."""
        ...

    def contents(self, tenant: str, run_id: str) -> ArtifactContents:
        """Return what executors may read of a run's artifacts."""
        ...
