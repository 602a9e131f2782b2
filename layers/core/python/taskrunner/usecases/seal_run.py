"""Make the evidence of a run that has ended: state what its record says, sign it, keep it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from taskrunner.model import canonical_json, evidence, moment
from taskrunner.model.artifact import EVIDENCE_BUNDLE, Artifact, ArtifactStatus, ArtifactType
from taskrunner.runtime import run_view

if TYPE_CHECKING:
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import Run
    from taskrunner.ports import Signed
    from taskrunner.ports.world import World


def seal_run(run: Run, plan: Plan, world: World) -> None:
    """Sign the statement about *run*, which has ended, and record it as its evidence bundle.

    The file comes before its record, so that what is listed can be fetched. Of two at once the
    first to record wins; each has a file of its own, because no two signatures are alike.

    Raises:
        TryAgainError: AWS had no room; sealing again begins anew.
    """
    signed = world.evidence.sign(canonical_json.canonical_bytes(_statement(run, plan, world)))
    stored_path = world.evidence.store(run, signed.bundle)
    at = moment.to_text(world.clock.now())
    world.runs.seal(run, _artifact(signed, stored_path, at))


def _statement(run: Run, plan: Plan, world: World) -> dict[str, object]:
    journal = world.runs.journal(run.tenant, run.run_id)
    entries = [placed.entry for placed in journal]
    covered = evidence.covered(entries)
    digest = hashlib.sha256()
    for placed in journal[:covered]:
        digest.update(run_view.log_text(placed).encode())
    log = evidence.Log(lines=covered, sha256=digest.hexdigest())
    artifacts = world.artifacts.list(run.tenant, run.run_id)
    return evidence.statement(run, plan, entries[:covered], log, artifacts)


def _artifact(signed: Signed, stored_path: str, at: str) -> Artifact:
    sha256 = hashlib.sha256(signed.bundle).hexdigest()
    description = {
        "sha256": sha256,
        "storedPath": stored_path,
        "mediaType": evidence.MEDIA_TYPE,
        "attestations": [{"predicateType": evidence.PREDICATE_TYPE, "keyId": signed.key_id}],
    }
    return Artifact(
        name=EVIDENCE_BUNDLE,
        type=ArtifactType.OBJECT,
        status=ArtifactStatus.CAPTURED,
        stored_path=stored_path,
        captured_at=at,
        size_bytes=len(signed.bundle),
        media_type=evidence.MEDIA_TYPE,
        sha256=sha256,
        expression_json=canonical_json.canonical_bytes(description).decode(),
    )
