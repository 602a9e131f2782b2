"""The port DueWork, and the writes of other ports that record due work and remove it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from taskrunner.model import timestamp
from taskrunner.model.approval import CLOCK, ApprovalRecord, Decision, GateOpening, Verdict
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.due_work import DueItem, DueKind
from taskrunner.model.run import RunStatus
from taskrunner.ports.approvals import GateChange, OpenCount
from taskrunner.ports.runs import Stops
from tests.contract.samples import CANCELLED, a_run, an_entry, new_run
from tests.fakes.clock import NOON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.ports import RunSnapshot
    from tests.contract.ports import Ports

BUNDLE = Artifact(name="evidence-bundle", type=ArtifactType.OBJECT, status=ArtifactStatus.CAPTURED)


def at(seconds: float) -> str:
    """The time so many seconds after the writes of these tests, which are at noon."""
    return timestamp.to_text(NOON + timedelta(seconds=seconds))


def due(world: Ports, kind: DueKind, seconds: float = 60, limit: int = 100) -> Sequence[DueItem]:
    return world.due_work.due(kind, at(seconds), limit)


def kinds(world: Ports) -> list[str]:
    """The kinds of all work that is ever due."""
    return [kind.value for kind in DueKind for _ in due(world, kind, 86400)]


def a_gate(world: Ports) -> RunSnapshot:
    """A run whose gate `review` waits, of which nobody was notified."""
    snapshot = new_run(world)
    assert world.approvals.open(
        snapshot,
        ApprovalRecord(approval_id="security"),
        GateOpening(step_path="each[0]::review", opened_at=at(0), expires_at=at(3600)),
        "token-1",
        [an_entry("review#awaiting")],
        gate=None,
        summary={"stepId": "each[0]::review", "expiresAt": at(3600)},
    )
    return world.runs.snapshot(snapshot.run.tenant, snapshot.run.run_id)


def decided(world: Ports) -> RunSnapshot:
    """A run whose approval was approved at noon."""
    snapshot = a_gate(world)
    run = snapshot.run
    record = world.approvals.get(run.tenant, run.run_id, "security")
    decision = Decision(verdict=Verdict.APPROVED, approver="bob", decided_at=at(0))
    gates = list(world.approvals.waiting(run, "security"))
    approved = ApprovalRecord(
        approval_id="security",
        verdict=Verdict.APPROVED,
        decisions=(decision,),
        was_opened=True,
        version=record.version,
    )
    assert world.approvals.decide(
        snapshot, approved, GateChange(gates, [an_entry("review#decided")])
    )
    return world.runs.snapshot(run.tenant, run.run_id)


class TestRuns:
    def test_a_new_run_is_due_after_a_minute(self, world: Ports) -> None:
        run = new_run(world).run

        assert due(world, DueKind.RUN, 59.999) == []
        assert due(world, DueKind.RUN) == [
            DueItem(kind=DueKind.RUN, tenant="acme", run_id=run.run_id, due_at=at(60))
        ]

    def test_an_ended_run_is_due_by_its_end_alone(self, world: Ports) -> None:
        snapshot = new_run(world)

        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

        assert kinds(world) == ["ended"]
        (item,) = due(world, DueKind.ENDED)
        assert (item.run_id, item.due_at) == (snapshot.run.run_id, at(60))

    def test_a_sealed_run_is_not_due(self, world: Ports) -> None:
        snapshot = new_run(world)
        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

        world.runs.seal(snapshot.run, BUNDLE)

        assert kinds(world) == []

    def test_a_sealed_run_is_due_when_its_last_steps_must_have_ended(self, world: Ports) -> None:
        snapshot = new_run(world)
        world.runs.end(snapshot, RunStatus.FAILED, [CANCELLED])

        assert world.runs.seal(snapshot.run, BUNDLE, look_at=at(960)) is True

        assert due(world, DueKind.ENDED, 959) == []
        (item,) = due(world, DueKind.ENDED, 960)
        assert (item.run_id, item.due_at, item.looks) == (snapshot.run.run_id, at(960), 0)
        assert world.runs.seal(snapshot.run, BUNDLE) is False
        assert kinds(world) == ["ended"]


class TestGates:
    def test_a_gate_is_due_until_its_approvers_are_notified(self, world: Ports) -> None:
        run = a_gate(world).run

        assert [(item.name, item.due_at) for item in due(world, DueKind.GATE)] == [
            ("each[0]::review", at(60))
        ]
        world.approvals.record_notified(run, "each[0]::review")
        assert kinds(world) == ["run"]

    def test_shows_how_a_gate_is_listed_until_its_approvers_are_notified(
        self, world: Ports
    ) -> None:
        run = a_gate(world).run
        path = "each[0]::review"

        assert world.approvals.unnotified(run, path) == {"stepId": path, "expiresAt": at(3600)}
        assert world.approvals.unnotified(run, "each[1]::review") is None
        world.approvals.record_notified(run, path)
        assert world.approvals.unnotified(run, path) is None

    def test_shows_no_gate_that_was_woken(self, world: Ports) -> None:
        run = decided(world).run
        record = world.approvals.get(run.tenant, run.run_id, "security")

        world.approvals.resume(run, record)

        assert world.approvals.unnotified(run, "each[0]::review") is None


def test_a_decided_approval_is_due(world: Ports) -> None:
    run = decided(world).run

    (item,) = due(world, DueKind.APPROVAL)

    assert item == DueItem(
        kind=DueKind.APPROVAL, tenant="acme", run_id=run.run_id, due_at=at(60), name="security"
    )


@pytest.mark.parametrize(("approver", "names"), [("root", ["security"]), (CLOCK, [])])
def test_an_approval_is_due_whose_gates_a_person_expired(
    world: Ports, approver: str, names: list[str]
) -> None:
    """The gate that the clock expires learns of it by its own call."""
    snapshot = a_gate(world)
    run = snapshot.run
    record = world.approvals.get(run.tenant, run.run_id, "security")
    expiry = Decision(verdict=Verdict.EXPIRED, approver=approver, decided_at=at(0))
    change = GateChange(list(world.approvals.waiting(run, "security")), [])

    assert world.approvals.expire(snapshot, record, change, expiry)

    assert [item.name for item in due(world, DueKind.APPROVAL)] == names


def test_a_stopped_block_with_gates_is_due_until_they_are_answered(world: Ports) -> None:
    snapshot = new_run(world)
    run, path = snapshot.run, "each[0]::lanes"
    stops = Stops(blocks=("plain", path), gated_blocks=(path,), stopped_at=at(0))

    world.runs.append(snapshot, [an_entry("bad#1#ended")], stops=stops)

    expected = DueItem(
        kind=DueKind.BLOCK, tenant="acme", run_id=run.run_id, due_at=at(60), name=path
    )
    assert due(world, DueKind.BLOCK) == [expected]
    assert world.runs.stopped_blocks(run) == {"plain": None, path: expected}
    world.due_work.finish(expected)
    assert world.runs.stopped_blocks(run) == {"plain": None, path: None}
    assert kinds(world) == ["run"]


class TestRunsInProgress:
    def test_looks_sooner_at_a_run_in_progress(self, world: Ports) -> None:
        run = new_run(world).run
        (item,) = due(world, DueKind.RUN)
        world.due_work.postpone(item, at(7200))

        world.due_work.look_at_run(run, at(900), now=at(30))

        (found,) = due(world, DueKind.RUN, 900)
        assert (found.due_at, found.looks) == (at(900), 0)

    def test_a_look_that_was_asked_for_meanwhile_is_not_postponed(self, world: Ports) -> None:
        run = new_run(world).run
        (item,) = due(world, DueKind.RUN)

        world.due_work.look_at_run(run, at(900), now=at(30))
        world.due_work.postpone(item, at(7200))

        assert [found.due_at for found in due(world, DueKind.RUN, 7200)] == [at(900)]

    def test_a_run_that_is_due_already_stays_due(self, world: Ports) -> None:
        run = new_run(world).run

        world.due_work.look_at_run(run, at(900), now=at(60))

        assert [found.due_at for found in due(world, DueKind.RUN)] == [at(60)]

    def test_looks_at_no_run_that_has_ended(self, world: Ports) -> None:
        snapshot = new_run(world)
        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

        world.due_work.look_at_run(snapshot.run, at(900), now=at(30))

        assert [found.due_at for found in due(world, DueKind.ENDED)] == [at(60)]

    def test_a_run_whose_gates_wait_has_their_first_expiry(self, world: Ports) -> None:
        snapshot = a_gate(world)
        run = snapshot.run
        assert world.approvals.open(
            snapshot,
            world.approvals.get(run.tenant, run.run_id, "security"),
            GateOpening(step_path="each[1]::review", opened_at=at(60), expires_at=at(1800)),
            "token-2",
            [an_entry("each[1]::review#awaiting")],
            gate=None,
            summary={"stepId": "each[1]::review", "expiresAt": at(1800)},
        )

        assert world.approvals.first_expiry(run) == at(1800)

    def test_a_run_without_a_waiting_gate_has_no_expiry(self, world: Ports) -> None:
        run = decided(world).run
        world.approvals.resume(run, world.approvals.get(run.tenant, run.run_id, "security"))

        assert world.approvals.first_expiry(run) is None


class TestLeases:
    def test_the_longest_due_comes_first(self, world: Ports) -> None:
        for number in (3, 1, 2):
            new_run(world, a_run(f"run-{number}", created_at=at(number)))

        found = due(world, DueKind.RUN, 3600)

        assert [item.run_id for item in found] == ["run-1", "run-2", "run-3"]
        assert due(world, DueKind.RUN, 3600, limit=1) == found[:1]

    def test_a_leased_item_is_due_at_the_end_of_its_lease(self, world: Ports) -> None:
        new_run(world)
        (item,) = due(world, DueKind.RUN)

        leased = world.due_work.lease(item, at(120))

        assert leased is not None
        assert (leased.due_at, leased.looks) == (at(120), 1)
        assert due(world, DueKind.RUN, 119) == []
        assert due(world, DueKind.RUN, 120) == [leased]

    def test_an_item_is_leased_once(self, world: Ports) -> None:
        new_run(world)
        (item,) = due(world, DueKind.RUN)
        assert world.due_work.lease(item, at(120)) is not None

        assert world.due_work.lease(item, at(180)) is None

    def test_a_postponed_item_begins_anew(self, world: Ports) -> None:
        new_run(world)
        (item,) = due(world, DueKind.RUN)
        leased = world.due_work.lease(item, at(120))
        assert leased is not None

        world.due_work.postpone(leased, at(900))

        (found,) = due(world, DueKind.RUN, 900)
        assert (found.due_at, found.looks) == (at(900), 0)

    @pytest.mark.parametrize("kind", [DueKind.RUN, DueKind.GATE, DueKind.APPROVAL])
    def test_a_finished_item_is_gone(self, world: Ports, kind: DueKind) -> None:
        decided(world)
        (item,) = due(world, kind)
        for _ in range(2):
            world.due_work.finish(item)

        assert kind.value not in kinds(world)
        assert len(kinds(world)) == 2

    def test_work_that_changed_since_it_was_read_stays(self, world: Ports) -> None:
        snapshot = new_run(world)
        (item,) = due(world, DueKind.RUN)
        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

        world.due_work.finish(item)
        world.due_work.postpone(item, at(900))

        assert [found.due_at for found in due(world, DueKind.ENDED)] == [at(60)]
        assert world.due_work.lease(item, at(900)) is None

    def test_a_run_that_is_gone_is_not_leased(self, world: Ports) -> None:
        new_run(world)
        (item,) = due(world, DueKind.RUN)
        world.forget()

        assert world.due_work.lease(item, at(120)) is None


class TestGauges:
    def test_lists_the_tenants_whose_runs_go_on_once_each(self, world: Ports) -> None:
        new_run(world)
        world.runs.create(a_run("run-2"), [an_entry("run.created")])
        world.runs.create(a_run("run-3", tenant="other"), [an_entry("run.created")])

        assert set(world.due_work.tenants(10)) == {a_run().tenant, "other"}
        assert len(world.due_work.tenants(1)) == 1

    def test_does_not_list_a_tenant_whose_runs_have_ended(self, world: Ports) -> None:
        snapshot = new_run(world)
        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

        assert list(world.due_work.tenants(10)) == []

    def test_counts_the_approvals_that_wait_and_names_the_time_of_the_oldest(
        self, world: Ports
    ) -> None:
        run = a_gate(world).run

        assert world.approvals.count_open(run.tenant, 10) == OpenCount(1, at(0))
        assert world.approvals.count_open("other", 10) == OpenCount(0, None)

    def test_does_not_count_a_decided_approval(self, world: Ports) -> None:
        run = decided(world).run

        assert world.approvals.count_open(run.tenant, 10) == OpenCount(0, None)


class TestWatches:
    """The objective of a run, or of a gate, is watched until a look has seen it."""

    def a_watched_run(self, world: Ports) -> RunSnapshot:
        run = a_run()
        assert world.runs.create(run, [an_entry("run.created")], watch_at=at(300))
        return world.runs.snapshot(run.tenant, run.run_id)

    def the_watch(self, world: Ports) -> DueItem:
        (watch,) = due(world, DueKind.OBJECTIVE, 300)
        return watch

    def test_a_run_is_due_when_it_breaches_its_objective(self, world: Ports) -> None:
        run = self.a_watched_run(world).run

        assert list(due(world, DueKind.OBJECTIVE, 299)) == []
        watch = self.the_watch(world)
        assert (watch.run_id, watch.name, watch.due_at) == (run.run_id, "", at(300))

    def test_a_run_without_an_objective_is_not_watched(self, world: Ports) -> None:
        new_run(world)

        assert list(due(world, DueKind.OBJECTIVE, 86400)) == []

    def test_a_gate_is_due_when_it_breaches_its_objective(self, world: Ports) -> None:
        snapshot = new_run(world)
        path = "each[0]::review"
        assert world.approvals.open(
            snapshot,
            ApprovalRecord(approval_id="security"),
            GateOpening(step_path=path, opened_at=at(0), expires_at=at(3600)),
            "token-1",
            [an_entry("review#awaiting")],
            gate=None,
            summary={"stepId": path, "expiresAt": at(3600)},
            watch_at=at(300),
        )

        assert self.the_watch(world).name == path

    def test_a_breach_is_recorded_once(self, world: Ports) -> None:
        snapshot = self.a_watched_run(world)
        watch = self.the_watch(world)

        assert world.runs.record_breach(snapshot, an_entry("run.slo-breached"), watch)
        assert not world.runs.record_breach(snapshot, an_entry("run.slo-breached"), watch)

        assert list(due(world, DueKind.OBJECTIVE, 86400)) == []
        assert _ids(world, snapshot).count("run.slo-breached") == 1

    def test_a_breach_is_recorded_of_a_run_that_has_ended_meanwhile(self, world: Ports) -> None:
        snapshot = self.a_watched_run(world)
        world.runs.end(snapshot, RunStatus.CANCELLED, [CANCELLED])

        assert world.runs.record_breach(
            snapshot, an_entry("run.slo-breached"), self.the_watch(world)
        )
        assert _ids(world, snapshot)[-1] == "run.slo-breached"

    def test_the_end_of_a_watch_is_no_end_of_the_runs_own_due_work(self, world: Ports) -> None:
        self.a_watched_run(world)

        world.due_work.finish(self.the_watch(world))

        assert kinds(world) == ["run"]


def _ids(world: Ports, snapshot: RunSnapshot) -> list[str]:
    run = snapshot.run
    return [placed.entry.id for placed in world.runs.journal(run.tenant, run.run_id)]
