"""The files that a worker uploads straight to the bucket, as artifacts of their step.

An address to upload to is signed for one content: its size and SHA-256 are part of the signature,
so the bucket takes nothing else under that key.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from taskrunner.errors import InvalidRequestError
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.artifact_names import artifact_names, declared_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.worker_reports import UploadedFile
    from taskrunner.runtime.running_step import RunningStep


def artifact_of(file: UploadedFile, running: RunningStep) -> Artifact:
    """Return the artifact that *file* becomes, under the name that it has if there is no other."""
    (name,) = _names([file], running)
    return Artifact(
        name=name,
        type=ArtifactType.FILE,
        status=ArtifactStatus.CAPTURED,
        step_path=running.path,
        source_path=f"/output/{file.path}",
        captured_at=running.now(),
        size_bytes=file.size_bytes,
        media_type=file.media_type,
        sha256=file.sha256,
    )


def captured(files: Sequence[UploadedFile], running: RunningStep) -> list[Artifact]:
    """Return the artifacts of *files*, which have been uploaded, in the order of their paths.

    Raises:
        InvalidRequestError: one has not been uploaded.
    """
    run, store = running.snapshot.run, running.world.artifacts
    ordered = sorted(files, key=lambda file: file.path)
    artifacts = []
    for file, name in zip(ordered, _names(ordered, running), strict=True):
        stored = store.uploaded(run, artifact_of(file, running))
        if stored is None:
            message = f"the file {file.path} was not uploaded with that size and SHA-256"
            raise InvalidRequestError("not_uploaded", message)
        artifacts.append(replace(stored, name=name))
    return artifacts


def _names(files: Sequence[UploadedFile], running: RunningStep) -> list[str]:
    outputs = running.plan.outputs
    paths = [file.path for file in files]
    return artifact_names(paths, declared_names(paths, outputs), outputs)
