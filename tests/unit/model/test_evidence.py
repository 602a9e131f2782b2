"""The statement about a run: its content, and that it changes with every part of the record.

The use cases make the run, so its journal is a real one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.model import api_view, evidence
from taskrunner.model.artifact import ArtifactStatus, ArtifactType
from taskrunner.model.canonical_json import canonical_bytes
from taskrunner.model.evidence import Log
from taskrunner.model.journal import Event, Level
from taskrunner.model.run import RunStatus
from tests.unit.usecases.evidence_run import proven
from tests.unit.usecases.scenarios import TENANT, evidence_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner.model.artifact import Artifact
    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import Run
    from tests.fakes.world import MemoryWorld

WORLD = proven()


def record(world: MemoryWorld) -> tuple[Run, Plan, list[Entry], list[Artifact]]:
    """The parts of the record that the statement of run-7 is made of."""
    run = world.runs.snapshot(TENANT, "run-7").run
    plan = world.plans.get(TENANT, run.plan_hash)
    entries = [placed.entry for placed in world.runs.journal(TENANT, "run-7")]
    listed = world.artifacts.list(TENANT, "run-7")
    return run, plan, entries, [a for a in listed if a.name != "evidence-bundle"]


def log_of(world: MemoryWorld) -> Log:
    text = "".join(map(api_view.log_text, world.runs.journal(TENANT, "run-7")))
    return Log(lines=10, sha256=hashlib.sha256(text.encode()).hexdigest())


RUN, PLAN, ENTRIES, ARTIFACTS = record(WORLD)
LOG = log_of(WORLD)


def minute(number: int) -> str:
    return f"2025-12-06T12:0{number}:00.000Z"


def test_states_the_whole_record() -> None:
    (zip_file,) = (artifact for artifact in ARTIFACTS if artifact.name == "zip")
    status_sha256 = hashlib.sha256(b'"Succeeded"').hexdigest()
    approval = {"approvalId": "security", "step": "review", "decision": "approved"}

    assert evidence_of(WORLD) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": "plan", "digest": {"sha256": RUN.plan_hash.removeprefix("sha256:")}},
            {"name": "journal", "digest": {"sha256": LOG.sha256}},
            {"name": "artifacts/how", "digest": {"sha256": status_sha256}},
            {"name": "artifacts/zip", "digest": {"sha256": zip_file.sha256}},
        ],
        "predicateType": "https://stellaops.io/attestations/task-run/v1",
        "predicate": {
            "run": {
                "id": "run-7",
                "tenant": "acme",
                "createdBy": "ana",
                "createdAt": minute(0),
                "startedAt": minute(1),
                "endedAt": minute(6),
                "outcome": "succeeded",
            },
            "pack": {"name": "proven", "version": "1.0.0"},
            "planHash": RUN.plan_hash,
            "definitionHash": RUN.definition_hash,
            "inputsDigest": "sha256:" + hashlib.sha256(b'{"stage":"dev"}').hexdigest(),
            "steps": [
                {
                    "path": "build",
                    "kind": "Run",
                    "status": "Succeeded",
                    "attempts": 1,
                    "startedAt": minute(1),
                    "lastTransitionAt": minute(1),
                },
                {
                    "path": "small",
                    "kind": "GatePolicy",
                    "status": "Succeeded",
                    "attempts": 1,
                    "lastTransitionAt": minute(2),
                },
                {
                    "path": "review",
                    "kind": "GateApproval",
                    "status": "Succeeded",
                    "attempts": 0,
                    "startedAt": minute(3),
                    "lastTransitionAt": minute(5),
                },
                {
                    "path": "never",
                    "kind": "Run",
                    "status": "Skipped",
                    "reason": "condition-false",
                    "attempts": 0,
                    "lastTransitionAt": minute(0),
                },
            ],
            "approvals": [
                approval
                | {
                    "settled": False,
                    "approver": "bob",
                    "actorId": "user:bob",
                    "at": minute(4),
                    "planHash": RUN.plan_hash,
                },
                approval
                | {
                    "settled": True,
                    "approver": "carol",
                    "actorId": "user:carol",
                    "summary": "looks good",
                    "at": minute(5),
                    "planHash": RUN.plan_hash,
                },
            ],
            "policies": [
                {
                    "step": "small",
                    "policyId": "size",
                    "policyVersion": "2",
                    "attempt": 1,
                    "verdict": "passed",
                    "at": minute(2),
                }
            ],
            "artifacts": [
                {
                    "name": "how",
                    "type": "object",
                    "status": "captured",
                    "sha256": status_sha256,
                    "sizeBytes": 11,
                    "mediaType": "application/json",
                    "capturedAt": minute(6),
                },
                {
                    "name": "missing",
                    "type": "file",
                    "status": "failed",
                    "sourcePath": "/output/missing.txt",
                    "notes": "no step wrote /output/missing.txt",
                },
                {
                    "name": "zip",
                    "type": "file",
                    "status": "captured",
                    "step": "build",
                    "sha256": zip_file.sha256,
                    "sizeBytes": zip_file.size_bytes,
                    "mediaType": "application/zip",
                    "sourcePath": "/output/bundle.zip",
                    "capturedAt": minute(1),
                },
            ],
            "journal": {"lines": 10, "sha256": LOG.sha256},
        },
    }


def test_names_callers_as_the_registry_does() -> None:
    run = replace(RUN, created_by_name="nightly-build")
    entries = [
        replace(entry, metadata={**entry.metadata, "approverName": "release-bot"})
        if entry.metadata.get("approver") == "carol"
        else entry
        for entry in ENTRIES
    ]

    predicate = statement(run=run, entries=entries)["predicate"]

    assert predicate["run"]["createdByName"] == "nightly-build"
    names = [approval.get("approverName") for approval in predicate["approvals"]]
    assert names == [None, "release-bot"]


def test_has_the_same_bytes_in_any_order_of_the_artifacts() -> None:
    first = canonical_bytes(evidence.statement(RUN, PLAN, ENTRIES, LOG, ARTIFACTS))
    again = canonical_bytes(evidence.statement(RUN, PLAN, ENTRIES, LOG, ARTIFACTS[::-1]))

    assert first == again == WORLD.evidence.signed[0]


def changes() -> Iterator[tuple[str, Callable[[], JsonObject]]]:
    """Yield for each part of the record its name, and the statement after a change of it."""
    for name in ("run_id", "tenant", "created_by", "plan_hash", "definition_hash", "pack_name"):
        changed: Any = {name: str(getattr(RUN, name)) + "0"}
        run = replace(RUN, **changed)
        yield f"run {name}", lambda run=run: statement(run=run)  # type: ignore[misc]
    yield "inputs", lambda: statement(plan=replace(PLAN, inputs={"stage": "Dev"}))
    yield "lines", lambda: statement(log=replace(LOG, lines=9))
    yield "log", lambda: statement(log=replace(LOG, sha256="0" * 64))
    for number, artifact in enumerate(ARTIFACTS):
        for field in fields(artifact):
            value = getattr(artifact, field.name)
            if value is None or field.name in {"stored_path", "expression_json"}:
                continue
            artifacts = [*ARTIFACTS]
            artifacts[number] = replace(artifact, **{field.name: another(value)})
            name = f"{artifact.name} {field.name}"
            yield name, lambda artifacts=artifacts: statement(artifacts=artifacts)  # type: ignore[misc]


def another(value: Any) -> Any:  # noqa: ANN401 - a value of a field
    match value:
        case ArtifactType():
            return next(other for other in ArtifactType if other is not value)
        case ArtifactStatus():
            return next(other for other in ArtifactStatus if other is not value)
        case int():
            return value + 1
    return f"{value}0"


def statement(**changed: Any) -> JsonObject:  # noqa: ANN401 - any argument
    parts: Any = {"run": RUN, "plan": PLAN, "entries": ENTRIES, "log": LOG, "artifacts": ARTIFACTS}
    return evidence.statement(**(parts | changed))


@pytest.mark.parametrize("changed", [pytest.param(make, id=name) for name, make in changes()])
def test_changes_with_every_part_of_the_record(
    changed: Callable[[], JsonObject],
) -> None:
    assert changed() != statement()


def test_a_value_that_is_not_stored_has_the_digest_of_its_text() -> None:
    how = next(artifact for artifact in ARTIFACTS if artifact.name == "how")
    unstored = replace(how, sha256=None)

    assert evidence.content_digest(unstored) == how.sha256
    changed = replace(unstored, expression_json='"Succeeded" ')
    assert evidence.content_digest(changed) != how.sha256


@pytest.mark.parametrize("number", range(len(ENTRIES)))
def test_the_digest_of_the_log_covers_every_field_of_every_entry(number: int) -> None:
    placed = WORLD.runs.journal(TENANT, "run-7")[number]
    entry = placed.entry
    others = [
        replace(entry, occurred_at=entry.occurred_at.replace("2025", "2026")),
        replace(entry, event=Event.FLOW_DECIDED),
        replace(entry, message=entry.message + " "),
        replace(entry, level=Level.DEBUG),
        replace(entry, step_path=f"{entry.step_path}x"),
        *(
            replace(entry, metadata=dict(entry.metadata) | {key: value + "x"})
            for key, value in entry.metadata.items()
        ),
    ]

    served = api_view.log_text(placed)
    unchanged = [e for e in others if api_view.log_text(placed._replace(entry=e)) == served]
    assert unchanged == []
    assert json.loads(served)["cursor"] == api_view.cursor(placed.position)


def test_log_lines_keep_the_form_that_older_evidence_covers() -> None:
    """Existing evidence covers these bytes. Another form would need a new predicate type."""
    first, awaiting = (WORLD.runs.journal(TENANT, "run-7")[number] for number in (0, 6))

    assert api_view.log_text(first) == (
        '{"timestamp": "2025-12-06T12:00:00.000Z", "level": "info", "eventType": "run.created", '
        '"message": "Run created via API.", "metadata": {"planHash": "' + RUN.plan_hash + '", '
        '"requestedAt": "2025-12-06T12:00:00.000Z", "by": "ana"}, "cursor": "0.0"}\n'
    )
    assert api_view.log_text(awaiting).startswith(
        '{"timestamp": "2025-12-06T12:03:00.000Z", "level": "warn", "eventType": "gate.awaiting", '
        '"message": "Awaiting approval: security", "stepId": "review", "metadata": {'
    )
    accented = first._replace(entry=replace(first.entry, message="Größe\n", metadata={}))
    assert "\\n" in api_view.log_text(accented)
    assert "Größe" in api_view.log_text(accented)


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (Event.RUN_COMPLETED, RunStatus.SUCCEEDED),
        (Event.RUN_FAILED, RunStatus.FAILED),
        (Event.RUN_SCHEDULE_FAILED, RunStatus.FAILED),
        (Event.RUN_CANCELLED, RunStatus.CANCELLED),
    ],
)
def test_does_not_cover_entries_after_the_end(event: Event, outcome: RunStatus) -> None:
    end = replace(ENTRIES[-1], event=event)
    late = replace(ENTRIES[2], id="late")

    assert evidence.covered([*ENTRIES[:-1], end, late, late]) == len(ENTRIES)
    document = statement(entries=[*ENTRIES[:-1], end])
    assert document["predicate"]["run"]["outcome"] == outcome.value


def test_a_journal_without_an_end_has_no_evidence() -> None:
    with pytest.raises(ValueError, match="no entry that ends the run"):
        evidence.covered(ENTRIES[:-1])
