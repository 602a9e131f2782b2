"""The port Approvals: guarded writes, the list of what is open, and tokens that wake once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskrunner.errors import InvalidRequestError
from taskrunner.model.approval import ApprovalRecord, Decision, OpenedGate, Verdict, Waiting
from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus
from tests.contract.ports import CREATED, a_run, an_entry

if TYPE_CHECKING:
    from taskrunner.ports import Head
    from tests.contract.ports import Ports

AT = "2025-12-06T12:00:00.000Z"
LATER = "2025-12-13T12:00:00.000Z"
EMPTY = ApprovalRecord(approval_id="security")


def begun(world: Ports, tenant: str = "acme") -> Head:
    run = a_run(tenant=tenant)
    world.runs.create(run, [CREATED])
    return world.runs.head(tenant, run.run_id)


def opened(  # noqa: PLR0913 - one for each thing that a test wants otherwise
    world: Ports,
    head: Head,
    *,
    path: str = "review",
    token: str = "token-1",  # noqa: S107 - the name of a task
    record: ApprovalRecord = EMPTY,
    at: str = AT,
) -> bool:
    """Let *path* wait for what was read as *record*."""
    return world.approvals.open(
        head,
        record,
        Waiting(path=path, opened_at=at, expires_at=LATER),
        token,
        [an_entry(f"{path}#awaiting", Event.GATE_AWAITING)],
        gate=world.approvals.gate(head.run, path),
        summary={"runId": head.run.run_id, "approvalId": record.approval_id, "stepId": path},
    )


def read(world: Ports, head: Head) -> ApprovalRecord:
    return world.approvals.get(head.run.tenant, head.run.run_id, "security")


def waiting(world: Ports, head: Head) -> list[OpenedGate]:
    return list(world.approvals.waiting(head.run, "security"))


def decided(record: ApprovalRecord, verdict: Verdict = Verdict.APPROVED) -> ApprovalRecord:
    word = Decision(verdict=verdict, by="bob", at=AT, actor="user:bob", summary="fine")
    return replace(record, verdict=verdict, decisions=(*record.decisions, word))


def decide(world: Ports, head: Head, record: ApprovalRecord) -> bool:
    gates = waiting(world, head)
    entries = [an_entry(f"{one.path}#decided", Event.GATE_APPROVED) for one in gates]
    return world.approvals.decide(head, record, gates, entries)


def ids(world: Ports, head: Head) -> list[str]:
    journal = world.runs.journal(head.run.tenant, head.run.run_id)
    return [one.entry.id for one in journal]


class TestRecords:
    def test_an_approval_that_no_gate_has_opened_is_empty(self, world: Ports) -> None:
        assert read(world, begun(world)) == EMPTY

    def test_an_open_gate_is_read_as_it_waits(self, world: Ports) -> None:
        head = begun(world)

        assert opened(world, head)

        record = read(world, head)
        assert (record.was_opened, record.verdict, record.decisions) == (True, None, ())
        assert waiting(world, head) == [OpenedGate(path="review")]
        assert ids(world, head) == ["run.created", "review#awaiting"]

    def test_a_decision_is_read_with_its_approver_actor_and_summary(self, world: Ports) -> None:
        head = begun(world)
        opened(world, head)
        before = read(world, head)

        assert decide(world, head, decided(before))

        after = read(world, head)
        assert replace(after, version=before.version) == decided(before)
        assert ids(world, head)[-1] == "review#decided"


class TestNotified:
    def test_it_is_on_record_for_the_gate_that_approvers_were_told_of(self, world: Ports) -> None:
        head = begun(world)
        opened(world, head)
        before = world.approvals.gate(head.run, "review")

        for _ in range(2):
            world.approvals.record_notified(head.run, "review")

        assert before == OpenedGate(path="review")
        assert world.approvals.gate(head.run, "review") == replace(before, is_notified=True)
        assert waiting(world, head) == [replace(before, is_notified=True)]

    def test_another_run_has_none_of_it(self, world: Ports) -> None:
        head = begun(world)
        opened(world, head)
        world.approvals.record_notified(head.run, "review")

        assert world.approvals.gate(begun(world).run, "review") is None
        others = a_run(head.run.run_id, tenant="globe")
        assert world.approvals.gate(others, "review") is None
        assert list(world.approvals.waiting(others, "security")) == []

    def test_opening_again_does_not_forget_it(self, world: Ports) -> None:
        head = begun(world)
        opened(world, head)
        world.approvals.record_notified(head.run, "review")

        assert opened(world, head, token="newer")

        assert world.approvals.gate(head.run, "review") == OpenedGate(
            path="review", is_notified=True
        )

    def test_a_decision_that_read_before_it_stands_in_no_ones_way(self, world: Ports) -> None:
        head = begun(world)
        opened(world, head)
        before = read(world, head)

        world.approvals.record_notified(head.run, "review")

        assert read(world, head) == before
        assert decide(world, head, decided(before))
        gate = world.approvals.gate(head.run, "review")
        assert gate == OpenedGate(path="review", recorded_decisions=1, is_notified=True)

    def test_the_run_and_its_journal_are_read_as_before(self, world: Ports) -> None:
        """Both come of one query, between whose ends nothing else may sort."""
        head = begun(world)
        opened(world, head)
        before = world.runs.head(head.run.tenant, head.run.run_id), ids(world, head)

        world.approvals.record_notified(head.run, "review")

        assert (world.runs.head(head.run.tenant, head.run.run_id), ids(world, head)) == before
        assert world.artifacts.list(head.run.tenant, head.run.run_id) == []


class TestGuards:
    @pytest.mark.parametrize("verdict", [Verdict.APPROVED, None])
    def test_opening_on_a_record_that_moved_on_changes_nothing(
        self, world: Ports, verdict: Verdict | None
    ) -> None:
        head = begun(world)
        opened(world, head)
        before = read(world, head)
        decide(world, head, replace(decided(before), verdict=verdict))

        assert not opened(world, head, path="other", token="token-2", record=before)

        assert world.approvals.gate(head.run, "other") is None
        assert [one.path for one in waiting(world, head)] == ["review"]
        assert ids(world, head) == ["run.created", "review#awaiting", "review#decided"]

    def test_a_gate_is_opened_as_a_new_one_once(self, world: Ports) -> None:
        head = begun(world)
        at = Waiting(path="review", opened_at=AT, expires_at=LATER)
        entry = an_entry("review#awaiting", Event.GATE_AWAITING)

        answers = [
            world.approvals.open(head, EMPTY, at, token, [entry], gate=None, summary={})
            for token in ("first", "second")
        ]

        assert answers == [True, False]
        assert ids(world, head) == ["run.created", "review#awaiting"]

    def test_gates_that_open_at_once_all_open(self, world: Ports) -> None:
        head = begun(world)
        paths = [f"each[{number}]::review" for number in range(8)]

        with ThreadPoolExecutor(len(paths)) as pool:
            answers = list(pool.map(lambda path: opened(world, head, path=path), paths))

        assert all(answers)
        assert [one.path for one in waiting(world, head)] == paths
        assert sorted(ids(world, head)[1:]) == [f"{path}#awaiting" for path in paths]

    def test_a_gate_that_has_heard_meanwhile_hears_nothing_twice(self, world: Ports) -> None:
        head = begun(world)
        opened(world, head)
        gates = waiting(world, head)
        decide(world, head, decided(read(world, head)))
        entries = [an_entry("review#again", Event.GATE_APPROVED)]

        assert not world.approvals.record_decisions(head, read(world, head), gates, entries)

        assert ids(world, head)[-1] == "review#decided"

    def test_a_gate_of_a_run_that_has_ended_hears_nothing(self, world: Ports) -> None:
        head = begun(world)
        opened(world, head)
        record = decided(read(world, head))
        gates = waiting(world, head)
        world.runs.end(head, RunStatus.CANCELLED, [an_entry("run.cancelled", Event.RUN_CANCELLED)])

        assert not world.approvals.record_decisions(
            head, record, gates, [an_entry("review#decided")]
        )

        assert ids(world, head)[-1] == "run.cancelled"

    def test_deciding_on_a_record_that_moved_on_changes_nothing(self, world: Ports) -> None:
        head = begun(world)
        opened(world, head)
        before = read(world, head)
        decide(world, head, decided(before))

        assert not decide(world, head, decided(before, Verdict.REJECTED))

        assert read(world, head).verdict is Verdict.APPROVED

    def test_nothing_opens_or_is_decided_once_the_run_has_ended(self, world: Ports) -> None:
        head = begun(world)
        opened(world, head)
        before = read(world, head)
        world.runs.end(head, RunStatus.CANCELLED, [an_entry("run.cancelled", Event.RUN_CANCELLED)])

        assert not decide(world, head, decided(before))
        assert not opened(world, head, path="other", record=before)

        assert read(world, head).verdict is None
        assert ids(world, head)[-1] == "run.cancelled"

    def test_of_contrary_decisions_at_once_exactly_one_is_stored(self, world: Ports) -> None:
        for _ in range(5):
            head = begun(world)
            opened(world, head)
            record = read(world, head)
            words = [Verdict.APPROVED, Verdict.REJECTED] * 3

            with ThreadPoolExecutor(len(words)) as pool:
                stored = list(
                    pool.map(
                        lambda word, head=head, record=record: decide(
                            world, head, decided(record, word)
                        ),
                        words,
                    )
                )

            assert stored.count(True) == 1
            assert read(world, head).verdict is words[stored.index(True)]
            assert ids(world, head).count("review#decided") == 1


class TestResume:
    def test_every_gate_that_waits_is_woken_with_the_verdict(self, world: Ports) -> None:
        head = begun(world)
        opened(world, head, path="one", token="every-1")
        opened(world, head, path="two", token="every-2", record=read(world, head))
        decide(world, head, decided(read(world, head)))

        world.approvals.resume(head.run, read(world, head))

        assert (world.woken["every-1"], world.woken["every-2"]) == (Verdict.APPROVED,) * 2

    @pytest.mark.parametrize("verdict", list(Verdict))
    def test_a_token_is_answered_once_however_often_it_is_woken(
        self, world: Ports, verdict: Verdict
    ) -> None:
        head = begun(world)
        opened(world, head, token=f"once-{verdict}")
        decide(world, head, decided(read(world, head), verdict))

        for _ in range(2):
            world.approvals.resume(head.run, read(world, head))

        assert world.woken[f"once-{verdict}"] is verdict
        assert world.sent.count(f"once-{verdict}") == 1
        assert waiting(world, head) == []

    def test_the_newer_token_of_a_gate_holds(self, world: Ports) -> None:
        head = begun(world)
        opened(world, head, token="older")
        opened(world, head, token="newer", record=read(world, head))
        decide(world, head, decided(read(world, head)))

        world.approvals.resume(head.run, read(world, head))

        assert "older" not in world.woken
        assert world.woken["newer"] is Verdict.APPROVED

    def test_an_undecided_approval_wakes_nobody(self, world: Ports) -> None:
        head = begun(world)
        opened(world, head, token="asleep")

        world.approvals.resume(head.run, read(world, head))

        assert "asleep" not in world.woken

    def test_gates_of_another_approval_and_of_another_run_sleep_on(self, world: Ports) -> None:
        head, other_run = begun(world), begun(world)
        opened(world, head, token="awake")
        opened(world, head, path="two", token="other", record=ApprovalRecord(approval_id="legal"))
        opened(world, other_run, token="elsewhere")
        decide(world, head, decided(read(world, head)))

        world.approvals.resume(head.run, read(world, head))

        assert world.woken.keys() & {"awake", "other", "elsewhere"} == {"awake"}

    def test_a_gate_of_a_decided_approval_is_not_kept_waiting(self, world: Ports) -> None:
        """It wakes by the token that its caller has, also one that was opened before."""
        head = begun(world)
        opened(world, head, token="before")
        decide(world, head, decided(read(world, head)))

        assert opened(world, head, token="after", record=read(world, head))
        assert opened(world, head, path="late", token="late", record=read(world, head))

        assert waiting(world, head) == []
        late = world.approvals.gate(head.run, "late")
        assert late == OpenedGate(path="late", recorded_decisions=1)


class TestListOpen:
    def test_the_oldest_come_first_page_by_page(self, world: Ports) -> None:
        for hour in (12, 10, 11):
            opened(world, begun(world, "pages"), path=f"at-{hour}", at=f"2025-12-06T{hour}:00Z")

        first = world.approvals.list_open("pages", 2, None)
        second = world.approvals.list_open("pages", 2, first.cursor)

        assert [one["stepId"] for one in first.items] == ["at-10", "at-11"]
        assert [one["stepId"] for one in second.items] == ["at-12"]
        assert second.cursor is None

    def test_what_is_decided_is_not_in_it(self, world: Ports) -> None:
        head = begun(world, "decided")
        opened(world, head)
        assert len(world.approvals.list_open("decided", 10, None).items) == 1

        decide(world, head, decided(read(world, head)))

        assert world.approvals.list_open("decided", 10, None).items == []

    def test_one_approval_of_two_keeps_it_in_the_list(self, world: Ports) -> None:
        head = begun(world, "partly")
        opened(world, head)

        decide(world, head, replace(decided(read(world, head)), verdict=None))

        assert len(world.approvals.list_open("partly", 10, None).items) == 1

    def test_an_approval_of_a_run_that_has_ended_is_not_in_it(self, world: Ports) -> None:
        head = begun(world, "ended")
        opened(world, head)

        world.runs.end(head, RunStatus.CANCELLED, [an_entry("run.cancelled", Event.RUN_CANCELLED)])

        assert world.approvals.list_open("ended", 10, None).items == []
        assert read(world, head).was_opened

    def test_another_tenants_approvals_are_not_in_it(self, world: Ports) -> None:
        opened(world, begun(world, "somebody"))

        assert world.approvals.list_open("nobody", 10, None).items == []

    def test_a_cursor_that_was_never_given_out_is_refused(self, world: Ports) -> None:
        with pytest.raises(InvalidRequestError, match="cursor"):
            world.approvals.list_open("acme", 10, "nonsense")
