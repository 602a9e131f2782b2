"""Artifacts in memory."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from taskrunner.ports.artifacts import DOWNLOAD_S, Upload
from taskrunner.runtime.regular_file import open_regular
from tests.fakes.atomic import atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.run import Run
    from tests.fakes.runs import MemoryRuns


@dataclass
class MemoryArtifacts:
    """Files by tenant and path. The runs have the list.

    *uploads* has the tenants and artifacts of the files that may be stored, by URL.
    """

    runs: MemoryRuns
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    uploads: dict[str, tuple[str, Artifact]] = field(default_factory=dict)

    @atomic
    def list(self, tenant: str, run_id: str) -> Sequence[Artifact]:
        stored = self.runs.stored.get((tenant, run_id))
        known = {} if stored is None else stored.artifacts
        return [known[key] for key in sorted(known, key=lambda key: (key[0], key[1] or ""))]

    def store(self, run: Run, artifact: Artifact, file: Path) -> Artifact:
        with open_regular(file) as body:
            content = body.read()
        stored = self._stored(run, artifact, content)
        return replace(stored, media_type=artifact.media_type or "application/octet-stream")

    def store_value(self, run: Run, artifact: Artifact, text: str) -> Artifact:
        stored = self._stored(run, artifact, text.encode())
        return replace(stored, media_type="application/json", expression_json=text)

    def _stored(self, run: Run, artifact: Artifact, content: bytes) -> Artifact:
        sha256 = hashlib.sha256(content).hexdigest()
        stored_path = _stored_path(run, artifact, sha256)
        self.files[run.tenant, stored_path] = content
        return replace(
            artifact,
            stored_path=stored_path,
            size_bytes=len(content),
            sha256=sha256,
        )

    def download_url(
        self,
        tenant: str,
        artifact: Artifact,
        valid_s: int = DOWNLOAD_S,  # noqa: ARG002 - nothing in memory follows a URL
    ) -> str:
        return f"memory:///{tenant}/{artifact.stored_path}"

    def upload_url(self, run: Run, artifact: Artifact) -> Upload:
        sha256 = str(artifact.sha256)
        stored = replace(artifact, stored_path=_stored_path(run, artifact, sha256))
        url = f"memory:///{run.tenant}/{stored.stored_path}?upload"
        self.uploads[url] = (run.tenant, stored)
        media_type = artifact.media_type or "application/octet-stream"
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        return Upload(url, {"Content-Type": media_type, "x-amz-checksum-sha256": checksum})

    def put(self, url: str, content: bytes) -> bool:
        """Store a file by the URL of an upload, unless it is another file."""
        tenant, artifact = self.uploads[url]
        is_same = hashlib.sha256(content).hexdigest() == artifact.sha256
        if is_same and len(content) == artifact.size_bytes:
            self.files[tenant, str(artifact.stored_path)] = content
            return True
        return False

    def uploaded(self, run: Run, artifact: Artifact) -> Artifact | None:
        stored_path = _stored_path(run, artifact, str(artifact.sha256))
        content = self.files.get((run.tenant, stored_path))
        if content is None or len(content) != artifact.size_bytes:
            return None
        media_type = artifact.media_type or "application/octet-stream"
        return replace(artifact, stored_path=stored_path, media_type=media_type)

    def content(self, tenant: str, artifact: Artifact) -> bytes | None:
        return self.files.get((tenant, str(artifact.stored_path)))

    def fetch(self, tenant: str, artifact: Artifact, into: Path) -> bool:
        content = self.files.get((tenant, str(artifact.stored_path)))
        if content is not None:
            into.write_bytes(content)
        return content is not None


def _stored_path(run: Run, artifact: Artifact, sha256: str) -> str:
    return f"runs/{run.run_id}/artifacts/{sha256}/{artifact.name}"
