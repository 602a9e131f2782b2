"""Artifacts of runs: the list, and the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.run import Run


DOWNLOAD_S: Final = 300
UPLOAD_S: Final = 900


class Upload(NamedTuple):
    """A URL that stores one file by PUT, with exactly these *headers* and its Content-Length."""

    url: str
    headers: Mapping[str, str]


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

    def download_url(self, tenant: str, artifact: Artifact, valid_s: int = DOWNLOAD_S) -> str:
        """Return a URL that anyone may use for *valid_s* seconds."""
        ...

    def upload_url(self, run: Run, artifact: Artifact) -> Upload:
        """Return a URL by which anyone may store the file of *artifact* within 15 minutes.

        The artifact has its size and digest already, and no other content can be stored.
        """
        ...

    def uploaded(self, run: Run, artifact: Artifact) -> Artifact | None:
        """Return the artifact with its place, or None if no file of its digest and size is there.

        The artifact has its size and digest, as for `upload_url`.
        """
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
