"""Approvals and their gates in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING

from taskrunner.model.approval import (
    CLOCK,
    ApprovalRecord,
    GateRecord,
    Verdict,
    record_name,
    record_of,
)
from taskrunner.model.due_work import DueKind
from taskrunner.ports.approvals import OpenApprovals, OpenCount
from taskrunner.ports.runs import NOTHING
from tests.fakes.atomic import atomic
from tests.fakes.page import page

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from taskrunner.errors import TaskRunnerError
    from taskrunner.model.approval import Decision, GateOpening
    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run
    from taskrunner.ports import RunSnapshot
    from taskrunner.ports.approvals import GateChange
    from taskrunner.ports.runs import Stops
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
    expired_by: str | None = None
    opened: str = ""
    summary: JsonObject = field(default_factory=dict)


@dataclass
class MemoryApprovals:
    """Approvals by tenant, run and the name of their record, and gates by tenant, run and path.

    *woken* has the first verdict to each token, *failed* the tokens of gates that ended without
    one, and *sent* every answer. *notified* has the gates that approvers were notified of.
    """

    runs: MemoryRuns
    stored: dict[tuple[str, str, str], StoredApproval] = field(default_factory=dict)
    stored_gates: dict[tuple[str, str, str], StoredGate] = field(default_factory=dict)
    notified: set[tuple[str, str, str]] = field(default_factory=set)
    woken: dict[str, Verdict] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.runs.waits_for = self._waits_for

    @atomic
    def get(
        self, tenant: str, run_id: str, approval_id: str, gate_path: str | None = None
    ) -> ApprovalRecord:
        stored = self.stored.get((tenant, run_id, record_name(approval_id, gate_path)))
        if stored is None:
            return ApprovalRecord(approval_id=approval_id, gate_path=gate_path)
        return stored.record

    @atomic
    def records(self, tenant: str, run_id: str, approval_id: str) -> Sequence[ApprovalRecord]:
        keys = sorted(key for key in self.stored if key[:2] == (tenant, run_id))
        records = [self.stored[key].record for key in keys]
        return [record for record in records if record.approval_id == approval_id]

    @atomic
    def gate(self, run: Run, path: str) -> GateRecord | None:
        key = (run.tenant, run.run_id, path)
        if key not in self.stored_gates:
            return None
        return GateRecord(
            step_path=path,
            recorded_decisions=self.stored_gates[key].recorded_decisions,
            is_notified=key in self.notified,
            expired_by=self.stored_gates[key].expired_by,
        )

    def _gates_of(self, run: Run) -> list[tuple[str, StoredGate]]:
        return [
            (path, gate)
            for (tenant, run_id, path), gate in sorted(self.stored_gates.items(), key=itemgetter(0))
            if (tenant, run_id) == (run.tenant, run.run_id)
        ]

    def _records(self, run: Run, paths: Iterable[str]) -> Iterator[GateRecord]:
        found = [self.gate(run, path) for path in paths]
        return iter([gate for gate in found if gate is not None])

    @atomic
    def gates(self, run: Run, approval_id: str) -> Iterator[GateRecord]:
        gates = self._gates_of(run)
        return self._records(run, [path for path, gate in gates if _is_of(gate, approval_id)])

    @atomic
    def waiting(
        self, run: Run, approval_id: str, gate_path: str | None = None
    ) -> Iterator[GateRecord]:
        unwoken = self._unwoken(run, approval_id)
        waiting = [path for path, gate in unwoken if gate.expired_by is None]
        return self._records(run, [path for path in waiting if gate_path in {None, path}])

    @atomic
    def unwoken(self, run: Run) -> Iterator[GateRecord]:
        return self._records(run, [path for path, _ in self._unwoken(run)])

    @atomic
    def first_expiry(self, run: Run) -> str | None:
        waiting = [gate for _, gate in self._unwoken(run) if gate.expired_by is None]
        return min((gate.summary["expiresAt"] for gate in waiting), default=None)

    def _unwoken(self, run: Run, approval_id: str | None = None) -> list[tuple[str, StoredGate]]:
        return [
            (path, gate)
            for path, gate in self._gates_of(run)
            if gate.token is not None and (approval_id is None or _is_of(gate, approval_id))
        ]

    @atomic
    def open(  # noqa: PLR0913 - as in the port
        self,
        snapshot: RunSnapshot,
        record: ApprovalRecord,
        waiting: GateOpening,
        token: str,
        entries: Sequence[Entry],
        *,
        gate: GateRecord | None,
        summary: JsonObject,
        inside: Collection[str] = (),
        stops: Stops = NOTHING,
        watch_at: str | None = None,
    ) -> bool:
        run, path, is_decided = snapshot.run, waiting.step_path, record.verdict is not None
        stored = self.gate(run, path)
        if _count(stored) != _count(gate) or self._has_changed(snapshot, record, inside):
            return False
        opened = f"{waiting.opened_at}#{run.run_id}#{record.name}"
        self.stored_gates[run.tenant, run.run_id, path] = StoredGate(
            record.name,
            len(record.decisions),
            None if is_decided else token,
            opened=opened,
            summary=summary,
        )
        if not is_decided:
            if watch_at is not None and gate is None:
                self.runs.due_work.watch(run, path, watch_at)
            if stored is None or not stored.is_notified:
                self.runs.due_work.add(DueKind.GATE, run, waiting.opened_at, path)
            self.stored[run.tenant, run.run_id, record.name] = StoredApproval(
                replace(record, was_opened=True), opened, summary
            )
        # This write happens once, so its entries are added once, without looking for them.
        stored_run = self.runs.of(run.tenant, run.run_id)
        stored_run.journal += entries
        stored_run.stop(stops)
        return True

    @atomic
    def unnotified(self, run: Run, path: str) -> JsonObject | None:
        key = (run.tenant, run.run_id, path)
        gate = self.stored_gates.get(key)
        if gate is None or gate.token is None or gate.expired_by or key in self.notified:
            return None
        return gate.summary

    @atomic
    def record_notified(self, run: Run, path: str) -> None:
        self.notified.add((run.tenant, run.run_id, path))
        self.runs.due_work.remove(DueKind.GATE, run, path)

    @atomic
    def decide(self, snapshot: RunSnapshot, record: ApprovalRecord, change: GateChange) -> bool:
        if self._has_changed(snapshot, record, change.inside):
            return False
        if not self._record(snapshot, record, change):
            return False
        key = (snapshot.run.tenant, snapshot.run.run_id, record.name)
        stored = self.stored.setdefault(key, StoredApproval(record))
        stored.record = replace(record, version=record.version + 1, was_opened=True)
        if record.verdict is Verdict.APPROVED:
            self.runs.of(snapshot.run.tenant, snapshot.run.run_id).is_approved = True
        decided_at = record.decisions[-1].decided_at
        self.runs.due_work.add(DueKind.APPROVAL, snapshot.run, decided_at, record.name)
        return True

    @atomic
    def record_decisions(
        self, snapshot: RunSnapshot, record: ApprovalRecord, change: GateChange
    ) -> bool:
        return self._record(snapshot, record, change)

    @atomic
    def expire(
        self, snapshot: RunSnapshot, record: ApprovalRecord, change: GateChange, expiry: Decision
    ) -> bool:
        if self._has_changed(snapshot, record, change.inside):
            return False
        if not self._record(snapshot, record, change):
            return False
        for gate in change.gates:
            stored = self.stored_gates[snapshot.run.tenant, snapshot.run.run_id, gate.step_path]
            stored.expired_by = expiry.approver
            if expiry.approver == CLOCK:
                stored.token = None
        if expiry.approver != CLOCK:
            decided_at = expiry.decided_at
            self.runs.due_work.add(DueKind.APPROVAL, snapshot.run, decided_at, record.name)
        return True

    def _record(self, snapshot: RunSnapshot, record: ApprovalRecord, change: GateChange) -> bool:
        run = self.runs.of(snapshot.run.tenant, snapshot.run.run_id)
        gates = change.gates
        stored = [self.gate(snapshot.run, gate.step_path) or gate for gate in gates]
        has_changed = list(map(_count, stored)) != list(map(_count, gates))
        if has_changed or run.refusal(change.inside) is not None:
            return False
        for gate in gates:
            key = (snapshot.run.tenant, snapshot.run.run_id, gate.step_path)
            self.stored_gates.setdefault(key, StoredGate(record.name, 0))
            self.stored_gates[key].recorded_decisions = len(record.decisions)
        run.journal += change.entries
        run.stop(change.stops)
        return True

    def _has_changed(
        self, snapshot: RunSnapshot, record: ApprovalRecord, inside: Collection[str]
    ) -> bool:
        run = snapshot.run
        stored = self.get(run.tenant, run.run_id, record.approval_id, record.gate_path)
        refusal = self.runs.of(run.tenant, run.run_id).refusal(inside)
        return refusal is not None or stored.version != record.version

    @atomic
    def list_anew(self, run: Run, name: str, waiting: Collection[str]) -> None:
        stored = self.stored.get((run.tenant, run.run_id, name))
        if stored is None or stored.summary.get("stepId") in waiting:
            return
        gates = [gate for path, gate in self._gates_of(run) if path in waiting]
        latest = max(gates, key=lambda gate: gate.opened, default=StoredGate(name, 0))
        stored.opened, stored.summary = latest.opened, latest.summary

    @atomic
    def resume(self, run: Run, record: ApprovalRecord) -> None:
        unwoken = self._unwoken(run, record.approval_id)
        for gate in [gate for _, gate in unwoken if gate.approval_id == record.name]:
            verdict = record.verdict
            if gate.expired_by is not None:
                verdict = Verdict.EXPIRED
            elif gate.recorded_decisions < len(record.decisions):
                continue
            if verdict is not None:
                self.wake(str(gate.token), verdict)
                gate.token = None

    @atomic
    def fail(self, run: Run, gates: Sequence[GateRecord]) -> None:
        for gate in gates:
            stored = self.stored_gates[run.tenant, run.run_id, gate.step_path]
            if stored.token is not None:
                self.sent.append(stored.token)
                self.failed.add(stored.token)
                stored.token = None

    @atomic
    def wake(self, token: str, verdict: Verdict) -> None:
        self.sent.append(token)
        self.woken.setdefault(token, verdict)

    @atomic
    def refuse(self, token: str, error: TaskRunnerError) -> None:
        self.sent.append(token)
        self.refused.setdefault(token, type(error).__name__)

    @atomic
    def list_open(self, tenant: str, limit: int, cursor: str | None) -> OpenApprovals:
        rows = {
            stored.opened: (self.runs.of(tenant, run_id).brief, stored)
            for (owner, run_id, _), stored in self.stored.items()
            if owner == tenant and self._is_open(owner, run_id, stored)
        }
        shown = {opened: stored.summary | brief for opened, (brief, stored) in rows.items()}
        items, following = page(shown, sorted(rows), limit, cursor)
        by_id = {id(shown[opened]): stored.record for opened, (_, stored) in rows.items()}
        return OpenApprovals(items, [by_id[id(item)] for item in items], following)

    def count_open(self, tenant: str, at_most: int) -> OpenCount:
        opened = sorted(
            stored.opened
            for (owner, run_id, _), stored in self.stored.items()
            if owner == tenant and self._is_open(owner, run_id, stored)
        )
        return OpenCount(len(opened[:at_most]), opened[0].partition("#")[0] if opened else None)

    def _is_open(self, tenant: str, run_id: str, stored: StoredApproval) -> bool:
        is_undecided = stored.opened != "" and stored.record.verdict is None
        of_run = self.runs.of(tenant, run_id)
        is_closed = of_run.has_closed_approvals or of_run.run.outcome is not None
        return is_undecided and not is_closed

    def _waits_for(self, run: Run, approval_id: str) -> bool:
        return any(
            key[:2] == (run.tenant, run.run_id)
            and stored.record.approval_id == approval_id
            and self._is_open(run.tenant, run.run_id, stored)
            for key, stored in self.stored.items()
        )


def _is_of(gate: StoredGate, approval_id: str) -> bool:
    return record_of(gate.approval_id)[0] == approval_id


def _count(gate: GateRecord | None) -> tuple[int, str | None] | None:
    """Return the part of a gate that must not have changed: decisions, not expired."""
    return None if gate is None else (gate.recorded_decisions, gate.expired_by)
