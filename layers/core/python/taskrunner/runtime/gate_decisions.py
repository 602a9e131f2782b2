"""Deliver the decisions of an approval to its gates: record them in the journal, then wake.

An approval has one record, however many gates wait for it, or with the scope `gate` one for each
gate. Nothing here touches a gate of another record. Each gate's part of the journal gets an
entry for each decision. A gate counts how many it has, so a call that was cut off can be repeated.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from taskrunner.errors import ApprovalExpiredError, ApprovalRejectedError, TryAgainError
from taskrunner.model import journal, timestamp
from taskrunner.model.approval import Verdict
from taskrunner.model.due_work import (
    DueItem,
    DueKind,
    first_look_at,
    next_look_at_running,
)
from taskrunner.model.entries import gate_entries
from taskrunner.model.failure import stoppable_blocks
from taskrunner.ports.approvals import GateChange
from taskrunner.ports.runs import NOTHING
from taskrunner.runtime.delivery import deliver_ended, outside_of_stopped_blocks
from taskrunner.runtime.failures import stopped_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.model.approval import ApprovalRecord, Decision, GateRecord
    from taskrunner.model.journal import Entry
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import Run
    from taskrunner.ports import RunSnapshot, World

_TRIES: Final = 8
# A write of the journal is one item of at most 400 KB. An entry has up to 24 KB, by what deciders
# may write, and up to seven such entries may be there before.
_MOST_BYTES: Final = 200_000
# A transaction has at most 100 writes. Besides gates and blocks it has the approval, the journal
# and, when the run fails, the run's end.
_MOST_GATES_AND_BLOCKS: Final = 60


def deliver(snapshot: RunSnapshot, plan: Plan, record: ApprovalRecord, world: World) -> None:
    """Record the decisions of *record* for every gate that waits for it, and then wake the gates.

    A woken gate may end the run, and after that nothing more is recorded of it. So all entries are
    written before the first gate is woken.

    A rejection fails the run with the first gates that it is recorded for. The other gates then end
    with the run.

    A call that was cut off can be repeated: it goes on where the first one ended.

    Raises:
        TryAgainError: other calls recorded decisions of the same gates, again and again.
    """
    _record_decisions(snapshot, plan, record, world)
    if record.verdict is not None:
        _resume(snapshot.run, record, world)
    if record.verdict is Verdict.REJECTED:
        deliver_ended(snapshot.run, plan, world)
    if record.decisions:
        finish_delivery(snapshot.run, record, record.decisions[-1], world)


def _resume(run: Run, record: ApprovalRecord, world: World) -> None:
    """Wake the gates, and have the reconciler look at the run that goes on by that.

    While a run only waits, the reconciler looks at it again when the first gate has expired.
    """
    world.approvals.resume(run, record)
    now = world.clock.now()
    until = next_look_at_running(now, run.created_at)
    world.due_work.look_at_run(run, until, now=timestamp.to_text(now))


def finish_delivery(run: Run, record: ApprovalRecord, decision: Decision, world: World) -> None:
    """Remove the due work that *decision*, which has been delivered, recorded."""
    item = DueItem(
        kind=DueKind.APPROVAL,
        tenant=run.tenant,
        run_id=run.run_id,
        name=record.name,
        due_at=first_look_at(decision.decided_at),
    )
    with suppress(TryAgainError):  # the reconciler finds that nothing is left to deliver
        world.due_work.finish(item)


def deliver_expiry(run: Run, plan: Plan, record: ApprovalRecord, world: World) -> None:
    """Wake the gates of *record* that have expired, and list the approval by those that wait."""
    _resume(run, record, world)
    deliver_ended(run, plan, world)
    waiting = waiting_gates(run, plan, record, world)
    world.approvals.list_anew(run, record.name, [gate.step_path for gate in waiting])


def _record_decisions(
    snapshot: RunSnapshot, plan: Plan, record: ApprovalRecord, world: World
) -> None:
    for _ in range(_TRIES):
        if snapshot.run.outcome is not None:
            return
        waiting = waiting_gates(snapshot.run, plan, record, world)
        if all(
            world.approvals.record_decisions(snapshot, record, change)
            for change in changes(plan, record, waiting)
        ):
            return
        snapshot = world.runs.snapshot(snapshot.run.tenant, snapshot.run.run_id)
    raise TryAgainError(f"other calls are deciding {record.subject}")


def waiting_gates(run: Run, plan: Plan, record: ApprovalRecord, world: World) -> list[GateRecord]:
    """Return the gates of a record that wait, except those in stopped blocks.

    The record of an approval as a whole has all of its gates.
    """
    waiting = world.approvals.waiting(run, record.approval_id, record.gate_path)
    return outside_of_stopped_blocks(waiting, run, plan, world)


def changes(
    plan: Plan,
    record: ApprovalRecord,
    gates: Iterable[GateRecord],
    *,
    expiry: Decision | None = None,
) -> Iterator[GateChange]:
    """Divide the gates that lack a decision of *record*, or that expire, into single writes."""
    batch: list[GateRecord] = []
    entries: list[Entry] = []
    room, room_bytes = _MOST_GATES_AND_BLOCKS, _MOST_BYTES
    for gate in gates:
        missing = missing_entries(record, gate)
        if expiry is not None:
            missing.append(expired_entry(record, gate, expiry))
        if not missing:
            continue
        size = 1 + len(stoppable_blocks(plan, gate.step_path))
        size_bytes = sum(map(_size_bytes, missing))
        if batch and (size > room or size_bytes > room_bytes):
            yield _change(plan, record, batch, entries, expiry)
            batch, entries = [], []
            room, room_bytes = _MOST_GATES_AND_BLOCKS, _MOST_BYTES
        batch.append(gate)
        entries += missing
        room -= size
        room_bytes -= size_bytes
    if batch:
        yield _change(plan, record, batch, entries, expiry)


def _size_bytes(entry: Entry) -> int:
    return len(json.dumps(journal.to_document(entry), ensure_ascii=False).encode())


def _change(
    plan: Plan,
    record: ApprovalRecord,
    gates: list[GateRecord],
    entries: list[Entry],
    expiry: Decision | None,
) -> GateChange:
    """Return a write of *entries*, with what it stops if they fail their gates."""
    paths = [gate.step_path for gate in gates]
    inside = [block for path in paths for block in stoppable_blocks(plan, path)]
    stops = NOTHING
    if expiry is not None:
        stops = stopped_by(paths, plan, entries[-1].occurred_at, ApprovalExpiredError.__name__)
    elif record.verdict is Verdict.REJECTED:
        stops = stopped_by(paths, plan, entries[-1].occurred_at, ApprovalRejectedError.__name__)
    return GateChange(gates, entries, inside, stops)


def expired_entry(record: ApprovalRecord, gate: GateRecord, expiry: Decision) -> Entry:
    """Return the entry of the expiry of *gate*."""
    return gate_entries.gate_decided(
        gate.step_path, record.approval_id, Verdict.EXPIRED, expiry, expiry.decided_at
    )


def missing_entries(
    record: ApprovalRecord, gate: GateRecord, occurred_at: str | None = None
) -> list[Entry]:
    """Return an entry for each decision of *record* that the journal does not have for *gate*.

    The last decision makes the verdict, and each one before it was an approval. The entries have
    the times of the decisions, or all of them *occurred_at*.
    """
    decisions = record.decisions[gate.recorded_decisions :]
    entries = [
        gate_entries.approval_recorded(
            gate.step_path, record.approval_id, decision, occurred_at or decision.decided_at
        )
        for decision in decisions
    ]
    if record.verdict is not None and decisions:
        last = decisions[-1]
        entries[-1] = gate_entries.gate_decided(
            gate.step_path, record.approval_id, record.verdict, last, occurred_at or last.decided_at
        )
    return entries
