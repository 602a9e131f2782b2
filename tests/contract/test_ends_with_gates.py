"""The end of a run whose gates wait, however many they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskrunner.model.approval import ApprovalRecord, GateOpening
from taskrunner.model.artifact import EVIDENCE_BUNDLE, Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus
from tests.contract.ports import CREATED, a_run, an_entry

if TYPE_CHECKING:
    from taskrunner.ports import Head
    from tests.contract.ports import Ports

AT = "2025-12-06T12:00:00.000Z"
CANCELLED = an_entry("run.cancelled", Event.RUN_CANCELLED)
BUNDLE = Artifact(
    name=EVIDENCE_BUNDLE, type=ArtifactType.OBJECT, status=ArtifactStatus.CAPTURED, captured_at=AT
)


def begun(world: Ports) -> Head:
    world.forget()
    run = a_run()
    world.runs.create(run, [CREATED])
    return world.runs.head(run.tenant, run.run_id)


def opened(world: Ports, head: Head, path: str) -> bool:
    """Let the gate *path* wait for an approval of its own, as everywhere with one at the end."""
    waiting = GateOpening(step_path=path, opened_at=AT, expires_at=AT)
    record = ApprovalRecord(approval_id=f"of-{path}")
    entries = [an_entry(f"{path}#awaiting", Event.GATE_AWAITING)]
    token = f"token-of-{path}"
    return world.approvals.open(
        head, record, waiting, token, entries, gate=None, summary={"stepId": path}
    )


def listed(world: Ports) -> list[str]:
    return [one["stepId"] for one in world.approvals.list_open("acme", 100, None).items]


@pytest.mark.parametrize("count", [1, 101])
def test_a_run_ends_however_many_of_its_gates_wait(world: Ports, count: int) -> None:
    """A transaction has at most a hundred writes, and nothing limits the approvals of a pack."""
    head = begun(world)
    for number in range(count):
        opened(world, head, f"gate-{number}")

    outcome = world.runs.end(head, RunStatus.CANCELLED, [CANCELLED])
    ended = world.runs.head("acme", head.run.run_id).run

    assert outcome is ended.outcome is RunStatus.CANCELLED
    assert world.runs.seal(ended, BUNDLE)
    assert listed(world) == []
