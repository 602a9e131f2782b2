"""The folder that holds a run's evidence: `fetch` writes it, `verify` reads it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from taskrunner_cli.api.documents import FINAL_RUN_STATUSES, Artifact
from taskrunner_cli.errors import UnexpectedOutcomeError, UsageError
from taskrunner_cli.ports.clock import Clock

if TYPE_CHECKING:
    from taskrunner_cli.api.client import Client

BUNDLE_ARTIFACT: Final = "evidence-bundle"
_BUNDLE_SUFFIX: Final = ".evidence.json"
_LOG: Final = "run.log"
_PLAN: Final = "plan.json"
_ARTIFACTS: Final = "artifacts"
_TIMEOUT_S: Final = 60.0  # evidence is signed moments after the run's end
_POLL_INTERVAL_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class EvidenceFiles:
    """The paths of a bundle and of the files beside it."""

    bundle: Path
    journal: Path | None = None
    plan: Path | None = None
    artifacts: Mapping[str, Path] = field(default_factory=dict)


def find_files(path: Path) -> EvidenceFiles:
    """Return the files of *path*, a folder that `fetch` wrote, or a bundle alone.

    Raises:
        UsageError: the folder does not have exactly one bundle.

    """
    if not path.is_dir():
        return EvidenceFiles(path)
    bundles = sorted(path.glob(f"*{_BUNDLE_SUFFIX}"))
    if len(bundles) != 1:
        raise UsageError(
            f"{path} has {len(bundles)} files *{_BUNDLE_SUFFIX}, not one",
            cure="name the file, or a folder that `taskrunner evidence fetch RUN` wrote",
        )
    log, plan = path / _LOG, path / _PLAN
    return EvidenceFiles(
        bundle=bundles[0],
        journal=log if log.exists() else None,
        plan=plan if plan.exists() else None,
        artifacts={file.name: file for file in sorted((path / _ARTIFACTS).glob("*"))},
    )


def default_folder(run_id: str) -> Path:
    """Return the folder for a run's evidence, in the current folder."""
    return Path(f"{Path(run_id).name}.evidence")


def save_evidence(client: "Client", clock: Clock, run_id: str, folder: Path) -> list[str]:
    """Save a run's bundle, log and artifacts into *folder*; return the paths of its files.

    Raises:
        UnexpectedOutcomeError: the run has not ended, or has no evidence after a minute.
        UsageError: the folder cannot be written.

    """
    captured = _wait_for_bundle(client, clock, run_id)
    artifacts = folder / _ARTIFACTS
    try:
        artifacts.mkdir(parents=True, exist_ok=True)
        client.download(run_id, BUNDLE_ARTIFACT, folder / f"{Path(run_id).name}{_BUNDLE_SUFFIX}")
        (folder / _LOG).write_bytes(b"".join(client.raw_log(run_id)))
        for artifact in captured:
            if artifact["name"] != BUNDLE_ARTIFACT and artifact.get("status") == "captured":
                _save_artifact(client, run_id, artifact, artifacts / Path(artifact["name"]).name)
    except OSError as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror}") from error
    except ValueError as error:  # NUL, or a lone surrogate
        raise UsageError(f"cannot write into {folder}: no file can have the name") from error
    return sorted(str(file) for file in folder.rglob("*") if file.is_file())


def read_file(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        UsageError: it cannot be read.

    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # a NUL in the name
        raise UsageError(f"{str(path)!r} cannot be the name of a file") from error


def file_digests(paths: Mapping[str, Path]) -> dict[str, str]:
    """Return the SHA-256 of each file, in hexadecimal, by its name.

    Raises:
        UsageError: a file cannot be read.

    """
    return {name: hashlib.sha256(read_file(path)).hexdigest() for name, path in paths.items()}


def _wait_for_bundle(client: "Client", clock: Clock, run_id: str) -> list[Artifact]:
    """Return the artifacts of an ended run once the bundle is among them."""
    status = client.run(run_id).view.get("status")
    if status is not None and status not in FINAL_RUN_STATUSES:
        raise UnexpectedOutcomeError(
            f"run {run_id} is {status}; its evidence is signed when it ends",
            cure=f"taskrunner watch {run_id}",
        )
    deadline_s = clock.monotonic() + _TIMEOUT_S
    while True:
        artifacts = client.artifacts(run_id).view
        if any(artifact["name"] == BUNDLE_ARTIFACT for artifact in artifacts):
            return artifacts
        if clock.monotonic() >= deadline_s:
            raise UnexpectedOutcomeError(
                f"run {run_id} is {status or 'not known to have ended'} and has no evidence yet",
                cure="try again in two minutes: the reconciler signs evidence that is missing",
            )
        clock.sleep(_POLL_INTERVAL_S)


def _save_artifact(client: "Client", run_id: str, artifact: Artifact, path: Path) -> None:
    """Save a file as it is stored, and a value as the text that its digest covers."""
    if artifact.get("type") == "object":
        path.write_bytes(artifact.get("expressionJson", "").encode())
    else:
        client.download(run_id, artifact["name"], path)
