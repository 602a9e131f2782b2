"""What the decisions of an approval mean for its gates: journal entries, and being woken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.errors import TryAgainError
from taskrunner.model.approval import ApprovalRecord, GateRecord, Verdict
from taskrunner.model.journal import Entry, Event, Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.model.approval import Decision
    from taskrunner.ports import Head
    from taskrunner.ports.world import World

_EVENTS: Final = {
    Verdict.APPROVED: (Event.GATE_APPROVED, Level.INFO, "Approved"),
    Verdict.REJECTED: (Event.GATE_REJECTED, Level.ERROR, "Rejected"),
    Verdict.EXPIRED: (Event.GATE_EXPIRED, Level.ERROR, "Expired"),
}
_TRIES: Final = 8
# An entry has up to 24 KB, by what deciders may say, and a write of the journal stays in one item.
_MOST_ENTRIES: Final = 8


def spread(head: Head, record: ApprovalRecord, world: World, *, passed: str = "") -> None:
    """Bring *record* to the gates that wait for it: first to all their journals, then wake them.

    In this order, because a woken gate may end the run, after which nothing more is recorded of it.
    Whatever a crash leaves undone, the same call does: gates that have heard hear nothing again,
    and those that were woken are not found again. The gate at *passed* needs nobody to wake it.

    Raises:
        TryAgainError: others tell the same gates at the same moment, again and again.
    """
    waiting = _all_told(head, record, world)
    if record.verdict is not None and any(gate.step_path != passed for gate in waiting):
        world.approvals.resume(head.run, record)


def _all_told(head: Head, record: ApprovalRecord, world: World) -> list[GateRecord]:
    for _ in range(_TRIES):
        waiting = list(world.approvals.waiting(head.run, record.approval_id))
        if head.run.outcome is not None or all(
            world.approvals.hear(head, record, gates, entries)
            for gates, entries in portions(record, waiting)
        ):
            return waiting
        head = world.runs.head(head.run.tenant, head.run.run_id)
    raise TryAgainError(f"others tell of the approval {record.approval_id}")


def portions(
    record: ApprovalRecord, gates: Iterable[GateRecord]
) -> Iterator[tuple[list[GateRecord], list[Entry]]]:
    """Those of *gates* that have not heard all of *record*, some at a time, with their entries."""
    some: list[GateRecord] = []
    entries: list[Entry] = []
    for gate in gates:
        unheard = gate_entries(record, gate)
        if some and len(entries) + len(unheard) > _MOST_ENTRIES:
            yield some, entries
            some, entries = [], []
        if unheard:
            some.append(gate)
            entries += unheard
    if some:
        yield some, entries


def gate_entries(record: ApprovalRecord, gate: GateRecord, at: str | None = None) -> list[Entry]:
    """One entry for each decision of *record* that *gate* has not heard of, at its time or *at*.

    The last decision makes the verdict, and each one before it was an approval.
    """
    entries = [
        _recorded(record, gate.step_path, one, at)
        for one in record.decisions[gate.recorded_decisions :]
    ]
    if record.verdict is not None and entries:
        entries[-1] = _settled(
            record.approval_id, record.verdict, gate.step_path, record.decisions[-1], at
        )
    return entries


def _settled(
    approval_id: str, verdict: Verdict, path: str, last: Decision, at: str | None
) -> Entry:
    event, level, word = _EVENTS[verdict]
    return Entry(
        id=f"{path}#decided",
        at=at or last.decided_at,
        event=event,
        level=level,
        step=path,
        message=f"{word}: {approval_id}",
        metadata=_metadata(approval_id, last),
    )


def _recorded(record: ApprovalRecord, path: str, one: Decision, at: str | None) -> Entry:
    """An approval that counts, but is not yet the last that is needed."""
    return Entry(
        id=f"{path}#approval#{one.approver}",
        at=at or one.decided_at,
        event=Event.GATE_APPROVAL_RECORDED,
        step=path,
        message=f"One approval more: {record.approval_id}",
        metadata=_metadata(record.approval_id, one),
    )


def _metadata(approval_id: str, decision: Decision) -> dict[str, str]:
    """Who decided what, for the log; the actor is beside the approver, never instead."""
    said = {
        "approvalId": approval_id,
        "approver": decision.approver,
        "actorId": decision.actor,
        "summary": decision.summary,
    }
    return {key: value for key, value in said.items() if value is not None}
