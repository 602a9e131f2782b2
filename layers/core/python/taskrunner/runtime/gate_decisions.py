"""Deliver the decisions of an approval to its gates: record them in the journal, then wake.

An approval has one record, however many gates wait for it. Each gate's part of the journal gets an
entry for each decision. A gate counts how many it has, so a call that was cut off can be repeated.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from taskrunner.errors import TryAgainError
from taskrunner.model.due_work import DueItem, DueKind, first_look_at
from taskrunner.model.entries import gate_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.model.approval import ApprovalRecord, GateRecord
    from taskrunner.model.journal import Entry
    from taskrunner.model.run import Run
    from taskrunner.ports import Head, World

_TRIES: Final = 8
# An entry has up to 24 KB, by what deciders may write, and a write of the journal is one item.
_MOST_ENTRIES: Final = 8


def deliver(
    head: Head, record: ApprovalRecord, world: World, *, passed_gate: str | None = None
) -> None:
    """Record the decisions of *record* for every gate that waits for it, and then wake the gates.

    A woken gate may end the run, and after that nothing more is recorded of it. So all entries are
    written before the first gate is woken. The gate at *passed_gate* need not be woken.

    A call that was cut off can be repeated: it goes on where the first one ended.

    Raises:
        TryAgainError: other calls recorded decisions of the same gates, again and again.
    """
    waiting = _record_decisions(head, record, world)
    if record.verdict is not None and any(gate.step_path != passed_gate for gate in waiting):
        world.approvals.resume(head.run, record)
    with suppress(TryAgainError):  # the decisions are delivered; the reconciler finds that out
        world.due_work.finish(_due_delivery(head.run, record))


def _due_delivery(run: Run, record: ApprovalRecord) -> DueItem:
    """Return the due work that the latest decision of *record* recorded."""
    return DueItem(
        kind=DueKind.APPROVAL,
        tenant=run.tenant,
        run_id=run.run_id,
        name=record.approval_id,
        due_at=first_look_at(record.decisions[-1].decided_at),
    )


def _record_decisions(head: Head, record: ApprovalRecord, world: World) -> list[GateRecord]:
    """Record the decisions, and return the gates that wait."""
    for _ in range(_TRIES):
        waiting = list(world.approvals.waiting(head.run, record.approval_id))
        if head.run.outcome is not None or all(
            world.approvals.record_decisions(head, record, gates, entries)
            for gates, entries in batches(record, waiting)
        ):
            return waiting
        head = world.runs.head(head.run.tenant, head.run.run_id)
    raise TryAgainError(f"other calls are deciding the approval {record.approval_id}")


def batches(
    record: ApprovalRecord, gates: Iterable[GateRecord]
) -> Iterator[tuple[list[GateRecord], list[Entry]]]:
    """Divide the gates that lack a decision of *record*, with their entries, into single writes."""
    batch: list[GateRecord] = []
    entries: list[Entry] = []
    for gate in gates:
        missing = missing_entries(record, gate)
        if batch and len(entries) + len(missing) > _MOST_ENTRIES:
            yield batch, entries
            batch, entries = [], []
        if missing:
            batch.append(gate)
            entries += missing
    if batch:
        yield batch, entries


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
