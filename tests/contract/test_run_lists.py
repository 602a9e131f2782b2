"""The port Runs: lists of runs by filters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from taskrunner.errors import InvalidRequestError
from taskrunner.model.approval import ApprovalRecord, Decision, GateOpening, Verdict
from taskrunner.model.entries import gate_entries
from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus
from taskrunner.model.run_filters import RunFilters
from taskrunner.ports.approvals import GateChange
from tests.contract.samples import ENDED, a_run, an_entry, new_run

if TYPE_CHECKING:
    from taskrunner.ports import RunSnapshot
    from tests.contract.ports import Ports


@pytest.fixture(name="tenant")
def _tenant() -> str:
    return f"t-{uuid4().hex[:8]}"


def at(minute: int) -> str:
    return f"2025-12-06T12:{minute:02d}:00.000Z"


def create(world: Ports, tenant: str, run_id: str, minute: int = 0, **changes: Any) -> RunSnapshot:  # noqa: ANN401
    return new_run(world, a_run(run_id, tenant=tenant, created_at=at(minute), **changes))


def listed(world: Ports, tenant: str, limit: int = 100, **filters: Any) -> list[str]:  # noqa: ANN401
    """The ids of all pages of at most *limit* runs."""
    found, cursor = [], None
    for _ in range(100):
        page = world.runs.list(tenant, limit, cursor, RunFilters(**filters))
        assert len(page.items) <= limit
        found += [item["runId"] for item in page.items]
        cursor = page.cursor
        if cursor is None:
            return found
    raise AssertionError("the list does not end")


def await_approval(world: Ports, snapshot: RunSnapshot, approval_id: str = "security") -> None:
    opening = GateOpening(step_path=approval_id, opened_at=at(0), expires_at=at(59))
    assert world.approvals.open(
        snapshot,
        ApprovalRecord(approval_id=approval_id),
        opening,
        str(uuid4()),
        [an_entry(f"{approval_id}#awaiting", Event.GATE_AWAITING)],
        gate=None,
        summary={"stepId": approval_id},
    )


def test_lists_runs_by_pack_and_by_its_version(world: Ports, tenant: str) -> None:
    create(world, tenant, "a1", 1, pack_name="a", pack_version="1.0.0")
    create(world, tenant, "a2", 2, pack_name="a", pack_version="2.0.0")
    create(world, tenant, "b1", 3, pack_name="b", pack_version="1.0.0")

    assert listed(world, tenant, pack="a") == ["a2", "a1"]
    assert listed(world, tenant, pack="a", version="1.0.0") == ["a1"]
    assert listed(world, tenant, pack="a", version="3.0.0") == []
    assert listed(world, tenant, pack="c") == []


def test_lists_runs_by_a_requester_with_a_name_longer_than_a_key(world: Ports, tenant: str) -> None:
    name = "ä" * 3000
    create(world, tenant, "long", created_by=name)
    create(world, tenant, "other", created_by=name + "b")

    assert listed(world, tenant, requested_by=name) == ["long"]


def test_lists_runs_by_status_as_it_changes(world: Ports, tenant: str) -> None:
    create(world, tenant, "queued", 1)
    running = create(world, tenant, "running", 2)
    world.runs.append(running, [an_entry("build#1#started")])
    await_approval(world, create(world, tenant, "waiting", 3))
    ending = create(world, tenant, "ended", 4)
    before = {status: listed(world, tenant, status=status) for status in RunStatus}

    world.runs.end(ending, RunStatus.FAILED, [ENDED])

    assert before == {
        RunStatus.QUEUED: ["ended", "queued"],
        RunStatus.RUNNING: ["running"],
        RunStatus.WAITING: ["waiting"],
        RunStatus.SUCCEEDED: [],
        RunStatus.FAILED: [],
        RunStatus.CANCELLED: [],
    }
    assert listed(world, tenant, status=RunStatus.QUEUED) == ["queued"]
    assert listed(world, tenant, status=RunStatus.FAILED) == ["ended"]


def test_a_run_that_waits_is_listed_with_its_gate(world: Ports, tenant: str) -> None:
    snapshot = create(world, tenant, "waiting")
    opening = GateOpening(step_path="review", opened_at=at(0), expires_at=at(59))
    waits = gate_entries.gate_awaiting(opening, "security", is_override=True)

    world.runs.append(snapshot, [waits])

    (listed,) = world.runs.list(tenant, 10, None).items
    assert listed["status"] == "waiting"
    assert listed["statusReason"] == {
        "stepId": "review",
        "reason": "awaiting-override",
        "message": "Awaiting approval: security",
    }


def test_lists_runs_by_the_approval_that_they_wait_for(world: Ports, tenant: str) -> None:
    await_approval(world, first := create(world, tenant, "first", 1))
    await_approval(world, create(world, tenant, "second", 2))
    await_approval(world, create(world, tenant, "other", 3), "legal")
    before = listed(world, tenant, approval="security")

    decision = Decision(verdict=Verdict.APPROVED, approver="bob", decided_at=at(5))
    record = ApprovalRecord(approval_id="security", verdict=Verdict.APPROVED, decisions=(decision,))
    assert world.approvals.decide(first, record, GateChange([], [an_entry("decided")]))
    after = listed(world, tenant, approval="security")
    world.runs.end(
        world.runs.snapshot(tenant, "second"), RunStatus.CANCELLED, [an_entry("run.ended")]
    )

    assert (before, after) == (["second", "first"], ["second"])
    assert listed(world, tenant, approval="security") == []
    assert listed(world, tenant, approval="legal") == ["other"]


def test_a_time_after_which_runs_were_created_is_included_and_one_before_is_not(
    world: Ports, tenant: str
) -> None:
    for minute in range(5):
        create(world, tenant, f"run-{minute}", minute)

    assert listed(world, tenant, created_after=at(1), created_before=at(3)) == ["run-2", "run-1"]
    assert listed(world, tenant, created_after=at(3)) == ["run-4", "run-3"]
    assert listed(world, tenant, created_before=at(1)) == ["run-0"]
    assert listed(world, tenant, pack="deploy-app", created_after=at(4)) == ["run-4"]


def test_several_filters_admit_what_all_of_them_admit(world: Ports, tenant: str) -> None:
    create(world, tenant, "both", 1, pack_name="a", created_by="ana")
    create(world, tenant, "pack", 2, pack_name="a", created_by="bob")
    create(world, tenant, "name", 3, pack_name="b", created_by="ana")
    for run_id in ("both", "name"):
        snapshot = world.runs.snapshot(tenant, run_id)
        world.runs.end(snapshot, RunStatus.SUCCEEDED, [ENDED])

    assert listed(world, tenant, pack="a", requested_by="ana") == ["both"]
    assert listed(world, tenant, pack="a", status=RunStatus.QUEUED) == ["pack"]
    assert listed(world, tenant, requested_by="ana", status=RunStatus.SUCCEEDED) == ["name", "both"]
    assert listed(
        world, tenant, pack="a", version="1.4.0", status=RunStatus.SUCCEEDED, created_after=at(1)
    ) == ["both"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_of_any_size_have_each_run_once(world: Ports, tenant: str, limit: int) -> None:
    for minute in range(7):
        create(world, tenant, f"run-{minute}", minute, created_by=f"user-{minute % 2}")

    assert listed(world, tenant, limit, pack="deploy-app") == [
        f"run-{minute}" for minute in reversed(range(7))
    ]
    assert listed(world, tenant, limit, pack="deploy-app", requested_by="user-1") == [
        "run-5",
        "run-3",
        "run-1",
    ]


def test_rejects_the_cursor_of_a_list_with_other_filters(world: Ports, tenant: str) -> None:
    for minute in range(3):
        create(world, tenant, f"run-{minute}", minute)
    of_pack = world.runs.list(tenant, 1, None, RunFilters(pack="deploy-app")).cursor
    of_all = world.runs.list(tenant, 1, None).cursor

    for cursor, filters in ((of_pack, RunFilters()), (of_all, RunFilters(pack="deploy-app"))):
        with pytest.raises(InvalidRequestError, match="cursor"):
            world.runs.list(tenant, 1, cursor, filters)


def test_lists_no_run_of_another_tenant(world: Ports, tenant: str) -> None:
    await_approval(world, create(world, tenant, "ours"))

    for filters in (
        {"pack": "deploy-app"},
        {"pack": "deploy-app", "version": "1.4.0"},
        {"requested_by": "ana"},
        {"approval": "security"},
        {"status": RunStatus.WAITING},
        {"created_after": at(0)},
    ):
        assert listed(world, tenant, **filters) == ["ours"]
        assert listed(world, "nobody", **filters) == []


def approve(world: Ports, tenant: str, run_id: str, verdict: Verdict = Verdict.APPROVED) -> None:
    snapshot = world.runs.snapshot(tenant, run_id)
    await_approval(world, snapshot)
    decision = Decision(verdict=verdict, approver="bea", decided_at=at(1))
    record = world.approvals.get(tenant, run_id, "security")
    decided = replace(record, decisions=(decision,), verdict=verdict)
    assert world.approvals.decide(snapshot, decided, GateChange([], []))


class TestLastApproved:
    def test_is_the_newest_run_with_a_granted_approval(self, world: Ports, tenant: str) -> None:
        for minute, run_id in enumerate(("old", "new", "rejected", "undecided")):
            create(world, tenant, run_id, minute)
        create(world, tenant, "of-another-pack", 5, pack_name="another")
        for run_id in ("new", "old", "of-another-pack"):
            approve(world, tenant, run_id)
        approve(world, tenant, "rejected", Verdict.REJECTED)

        newest = world.runs.last_approved(tenant, "deploy-app", None)
        other = world.runs.last_approved(tenant, "deploy-app", "new")

        assert newest is not None
        assert newest.run_id == "new"
        assert other is not None
        assert other.run_id == "old"

    def test_is_none_if_no_other_run_was_approved(self, world: Ports, tenant: str) -> None:
        create(world, tenant, "alone")
        approve(world, tenant, "alone")

        assert world.runs.last_approved(tenant, "deploy-app", "alone") is None
        assert world.runs.last_approved("nobody", "deploy-app", None) is None

    def test_is_found_behind_any_number_of_runs(self, world: Ports, tenant: str) -> None:
        create(world, tenant, "approved")
        approve(world, tenant, "approved")
        for number in range(101):
            create(world, tenant, f"run-{number}", minute=1)

        found = world.runs.last_approved(tenant, "deploy-app", None)

        assert found is not None
        assert found.run_id == "approved"
