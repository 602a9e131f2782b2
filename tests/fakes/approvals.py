"""Approvals and their gates in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING

from taskrunner.model.approval import ApprovalRecord, GateRecord, Verdict
from taskrunner.model.due_work import DueKind
from tests.fakes.atomic import atomic
from tests.fakes.page import page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskrunner.model.approval import GateOpening
    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run
    from taskrunner.ports import Head, Page
    from tests.fakes.runs import MemoryRuns


@dataclass
class StoredApproval:
    """An approval, and its place and summary in the list of open ones."""

    record: ApprovalRecord
    opened: str = ""
    summary: JsonObject = field(default_factory=dict)


@dataclass
class StoredGate:
    """A gate, with its task token while it waits."""

    approval_id: str
    recorded_decisions: int
    token: str | None = None
    summary: JsonObject = field(default_factory=dict)


@dataclass
class MemoryApprovals:
    """Approvals by tenant, run and id, and gates by tenant, run and path.

    *woken* has the first answer to each token, and *sent* every answer. *notified* has the gates
    that approvers were notified of.
    """

    runs: MemoryRuns
    stored: dict[tuple[str, str, str], StoredApproval] = field(default_factory=dict)
    gates: dict[tuple[str, str, str], StoredGate] = field(default_factory=dict)
    notified: set[tuple[str, str, str]] = field(default_factory=set)
    woken: dict[str, Verdict] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)

    @atomic
    def get(self, tenant: str, run_id: str, approval_id: str) -> ApprovalRecord:
        stored = self.stored.get((tenant, run_id, approval_id))
        return ApprovalRecord(approval_id=approval_id) if stored is None else stored.record

    @atomic
    def gate(self, run: Run, path: str) -> GateRecord | None:
        key = (run.tenant, run.run_id, path)
        if key not in self.gates:
            return None
        return GateRecord(
            step_path=path,
            recorded_decisions=self.gates[key].recorded_decisions,
            is_notified=key in self.notified,
        )

    @atomic
    def waiting(self, run: Run, approval_id: str) -> Iterator[GateRecord]:
        found = [self.gate(run, path) for path, _ in self._waiting(run, approval_id)]
        return iter([gate for gate in found if gate is not None])

    def _waiting(self, run: Run, approval_id: str) -> list[tuple[str, StoredGate]]:
        return [
            (path, gate)
            for (tenant, run_id, path), gate in sorted(self.gates.items(), key=itemgetter(0))
            if (tenant, run_id, gate.approval_id) == (run.tenant, run.run_id, approval_id)
            and gate.token is not None
        ]

    @atomic
    def open(  # noqa: PLR0913 - as in the port
        self,
        head: Head,
        record: ApprovalRecord,
        waiting: GateOpening,
        token: str,
        entries: Sequence[Entry],
        *,
        gate: GateRecord | None,
        summary: JsonObject,
    ) -> bool:
        run, path, is_decided = head.run, waiting.step_path, record.verdict is not None
        stored = self.gate(run, path)
        if _count(stored) != _count(gate) or self._has_changed(head, record):
            return False
        self.gates[run.tenant, run.run_id, path] = StoredGate(
            record.approval_id, len(record.decisions), None if is_decided else token, summary
        )
        if not is_decided:
            if stored is None or not stored.is_notified:
                self.runs.due_work.add(DueKind.GATE, run, waiting.opened_at, path)
            self.stored[run.tenant, run.run_id, record.approval_id] = StoredApproval(
                replace(record, was_opened=True),
                f"{waiting.opened_at}#{run.run_id}#{record.approval_id}",
                summary,
            )
        # This write happens once, so its entries are added once, without looking for them.
        self.runs.of(run.tenant, run.run_id).journal += entries
        return True

    @atomic
    def unnotified(self, run: Run, path: str) -> JsonObject | None:
        key = (run.tenant, run.run_id, path)
        if key not in self.gates or self.gates[key].token is None or key in self.notified:
            return None
        return self.gates[key].summary

    @atomic
    def record_notified(self, run: Run, path: str) -> None:
        self.notified.add((run.tenant, run.run_id, path))
        self.runs.due_work.remove(DueKind.GATE, run, path)

    @atomic
    def decide(
        self,
        head: Head,
        record: ApprovalRecord,
        gates: Sequence[GateRecord],
        entries: Sequence[Entry],
    ) -> bool:
        if self._has_changed(head, record) or not self._record(head, record, gates, entries):
            return False
        key = (head.run.tenant, head.run.run_id, record.approval_id)
        stored = self.stored.setdefault(key, StoredApproval(record))
        stored.record = replace(record, version=record.version + 1, was_opened=True)
        decided_at = record.decisions[-1].decided_at
        self.runs.due_work.add(DueKind.APPROVAL, head.run, decided_at, record.approval_id)
        return True

    @atomic
    def record_decisions(
        self,
        head: Head,
        record: ApprovalRecord,
        gates: Sequence[GateRecord],
        entries: Sequence[Entry],
    ) -> bool:
        return self._record(head, record, gates, entries)

    def _record(
        self,
        head: Head,
        record: ApprovalRecord,
        gates: Sequence[GateRecord],
        entries: Sequence[Entry],
    ) -> bool:
        run = self.runs.of(head.run.tenant, head.run.run_id)
        stored = [self.gate(head.run, gate.step_path) or gate for gate in gates]
        if run.run.outcome is not None or list(map(_count, stored)) != list(map(_count, gates)):
            return False
        for gate in gates:
            key = (head.run.tenant, head.run.run_id, gate.step_path)
            self.gates.setdefault(key, StoredGate(record.approval_id, 0))
            self.gates[key].recorded_decisions = len(record.decisions)
        run.journal += entries
        return True

    def _has_changed(self, head: Head, record: ApprovalRecord) -> bool:
        run = head.run
        stored = self.get(run.tenant, run.run_id, record.approval_id)
        ended = self.runs.of(run.tenant, run.run_id).run.outcome is not None
        return ended or stored.version != record.version

    @atomic
    def resume(self, run: Run, record: ApprovalRecord) -> None:
        if record.verdict is None:
            return
        for _, gate in self._waiting(run, record.approval_id):
            self.wake(str(gate.token), record.verdict)
            gate.token = None

    @atomic
    def wake(self, token: str, verdict: Verdict) -> None:
        self.sent.append(token)
        self.woken.setdefault(token, verdict)

    @atomic
    def list_open(self, tenant: str, limit: int, cursor: str | None) -> Page:
        rows = {
            stored.opened: stored.summary
            for (owner, run_id, _), stored in self.stored.items()
            if owner == tenant
            and stored.record.verdict is None
            and self.runs.of(tenant, run_id).run.outcome is None
        }
        return page(rows, sorted(rows), limit, cursor)


def _count(gate: GateRecord | None) -> int | None:
    return None if gate is None else gate.recorded_decisions
