"""Make the evidence of an ended run: state what its record says, sign the statement, store it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from taskrunner.model import api_view, canonical_json, evidence, timestamp
from taskrunner.model.artifact import EVIDENCE_BUNDLE, Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.artifact_names import distinct_names
from taskrunner.model.journal import Event
from taskrunner.model.plan_order import PlanOrder
from taskrunner.model.state.fold import all_lost_at, fold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.journal import PlacedEntry
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import Run
    from taskrunner.ports import Signed, World


def seal_run(run: Run, plan: Plan, world: World) -> None:
    """Sign the statement about *run*, which has ended, and record it as its evidence bundle.

    The file is stored before its record, so that every bundle that is listed can be fetched. When
    two calls sign at the same time, the first to record wins. Their signatures differ, so each has
    stored a file of its own.

    A step that still runs may finish. The reconciler looks once more when none can be running any
    more, and records those whose functions died.

    Raises:
        TryAgainError: AWS was busy; sealing again starts over.
    """
    journal = world.runs.journal(run.tenant, run.run_id)
    statement = _statement(run, plan, journal, world)
    signed = world.evidence.sign(canonical_json.canonical_bytes(statement))
    stored_path = world.evidence.store(run, signed.bundle)
    captured_at = timestamp.to_text(world.clock.now())
    bundle = _artifact(signed, stored_path, captured_at)
    look_at = _all_lost_at(run, plan, journal)
    world.runs.seal(run, bundle, look_at=look_at, has_approvals=bool(plan.approvals))


def _all_lost_at(run: Run, plan: Plan, journal: Sequence[PlacedEntry]) -> str | None:
    """Return when each step that still runs is lost; None if none runs, as in nearly every run."""
    entries = [placed.entry for placed in journal]
    started: set[str | None] = set()
    for entry in entries:
        if entry.event is Event.STEP_STARTED:
            started.add(entry.step_path)
        elif entry.event in {Event.STEP_COMPLETED, Event.STEP_FAILED}:
            started.discard(entry.step_path)
    return all_lost_at(fold(plan, entries, run.created_at)) if started else None


def _statement(
    run: Run, plan: Plan, journal: Sequence[PlacedEntry], world: World
) -> dict[str, object]:
    entries = [placed.entry for placed in journal]
    covered = evidence.covered(entries)
    digest = hashlib.sha256()
    for placed in journal[:covered]:
        digest.update(api_view.log_text(placed).encode())
    log = evidence.Log(lines=covered, sha256=digest.hexdigest())
    named = distinct_names(world.artifacts.list(run.tenant, run.run_id), PlanOrder(plan))
    artifacts = [replace(artifact, name=name) for name, artifact in named.items()]
    return evidence.statement(run, plan, entries[:covered], log, artifacts)


def _artifact(signed: Signed, stored_path: str, captured_at: str) -> Artifact:
    sha256 = hashlib.sha256(signed.bundle).hexdigest()
    attestation = {
        "predicateType": evidence.PREDICATE_TYPE,
        "keyId": signed.key_id,
        "publicKey": base64.b64encode(signed.public_key).decode(),
    }
    description = {
        "sha256": sha256,
        "storedPath": stored_path,
        "mediaType": evidence.MEDIA_TYPE,
        "attestations": [attestation],
    }
    return Artifact(
        name=EVIDENCE_BUNDLE,
        type=ArtifactType.OBJECT,
        status=ArtifactStatus.CAPTURED,
        stored_path=stored_path,
        captured_at=captured_at,
        size_bytes=len(signed.bundle),
        media_type=evidence.MEDIA_TYPE,
        sha256=sha256,
        expression_json=canonical_json.canonical_bytes(description).decode(),
    )
