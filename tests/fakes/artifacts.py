"""Artifacts in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from taskrunner.runtime.regular_file import open_regular
from tests.fakes.atomic import atomic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.run import Run
    from tests.fakes.runs import MemoryRuns


@dataclass
class MemoryFiles:
    """`executors.work.Artifacts`: the files of one run, by name."""

    contents: Mapping[str, bytes]

    def fetch(self, name: str, into: Path) -> bool:
        if name not in self.contents:
            return False
        into.write_bytes(self.contents[name])
        return True


@dataclass
class MemoryArtifacts:
    """Files by tenant and path. The runs have the list."""

    runs: MemoryRuns
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)

    @atomic
    def list(self, tenant: str, run_id: str) -> Sequence[Artifact]:
        stored = self.runs.stored.get((tenant, run_id))
        known = {} if stored is None else stored.artifacts
        return [known[name] for name in sorted(known)]

    def store(self, run: Run, artifact: Artifact, file: Path) -> Artifact:
        with open_regular(file) as body:
            content = body.read()
        sha256 = hashlib.sha256(content).hexdigest()
        stored_path = f"runs/{run.run_id}/artifacts/{sha256}/{artifact.name}"
        self.files[run.tenant, stored_path] = content
        return replace(
            artifact,
            stored_path=stored_path,
            media_type=artifact.media_type or "application/octet-stream",
            size_bytes=len(content),
            sha256=sha256,
        )

    def download_url(self, tenant: str, artifact: Artifact) -> str:
        return f"memory:///{tenant}/{artifact.stored_path}"

    def contents(self, tenant: str, run_id: str) -> MemoryFiles:
        return MemoryFiles(
            {
                artifact.name: self.files[tenant, artifact.stored_path]
                for artifact in self.list(tenant, run_id)
                if artifact.stored_path is not None
            }
        )
