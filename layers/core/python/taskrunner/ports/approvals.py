"""Approvals of runs, and the gates that wait for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from taskrunner.ports.runs import NOTHING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from taskrunner.errors import TaskRunnerError
    from taskrunner.model.approval import (
        ApprovalRecord,
        Decision,
        GateOpening,
        GateRecord,
        Verdict,
    )
    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run
    from taskrunner.ports.runs import RunSnapshot, Stops


class GateChange(NamedTuple):
    """A change of gates in one write, with its journal entries; see `Approvals`."""

    gates: Sequence[GateRecord]
    entries: Sequence[Entry]
    inside: Collection[str] = ()
    stops: Stops = NOTHING


class OpenApprovals(NamedTuple):
    """A page of open approvals: their summaries, with the briefs of their runs, and their records.

    *cursor* is where the next page begins; None when there is none.
    """

    items: Sequence[JsonObject]
    records: Sequence[ApprovalRecord]
    cursor: str | None


class OpenCount(NamedTuple):
    """The number of approvals that wait, and since when the oldest does (RFC 3339 text)."""

    approvals: int
    oldest: str | None


class Approvals(Protocol):
    """Approvals by run and id, and gates by run and step path.

    With the scope `gate` an approval has a record for each gate. Its *gate_path* is that gate's,
    and such a record and its gate never touch another one.

    Task tokens are kept here and nowhere else, each for as long as its gate waits.

    A call that returns a boolean is one write. It changes nothing and returns False when what it
    writes to has changed since it was read, when the run has ended, or when a failure has stopped
    one of the blocks *inside* of which its gates are. *stops* is what it stops when it fails gates.
    """

    def get(
        self, tenant: str, run_id: str, approval_id: str, gate_path: str | None = None
    ) -> ApprovalRecord:
        """Return the record, which is empty before a gate has opened the approval."""
        ...

    def records(self, tenant: str, run_id: str, approval_id: str) -> Sequence[ApprovalRecord]:
        """Return the records of an approval that gates have opened, by the paths of gates."""
        ...

    def gate(self, run: Run, path: str) -> GateRecord | None:
        """Return the run's gate at *path*, or None when it has not been opened."""
        ...

    def gates(self, run: Run, approval_id: str) -> Iterator[GateRecord]:
        """Return all gates that have been opened for an approval, by path."""
        ...

    def waiting(
        self, run: Run, approval_id: str, gate_path: str | None = None
    ) -> Iterator[GateRecord]:
        """Return the gates that wait for an approval: not expired and not woken, by path.

        With *gate_path* only the gate there is looked at.
        """
        ...

    def unwoken(self, run: Run) -> Iterator[GateRecord]:
        """Return all gates of the run whose tokens have not been answered, by path."""
        ...

    def first_expiry(self, run: Run) -> str | None:
        """Return when the first of the run's waiting gates expires, or None when none waits."""
        ...

    def open(  # noqa: PLR0913 - the parts of one write
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
        """Open the gate if it is still *gate* (None: new), with *entries*.

        At *watch_at* a new gate breaches its pack's objective if it waits; None if it has none.

        *entries* have all decisions of *record* that the gate's journal lacks. When the record has
        a verdict, the gate is recorded and does not wait. Gates that open at the same time do not
        conflict.
        """
        ...

    def unnotified(self, run: Run, path: str) -> JsonObject | None:
        """Return how the gate at *path* is listed as open, if it waits and nobody was notified.

        Return None if it does not wait, or if it is recorded that approvers were notified.
        """
        ...

    def record_notified(self, run: Run, path: str) -> None:
        """Record that approvers were notified of the gate at *path*. Idempotent."""
        ...

    def decide(self, snapshot: RunSnapshot, record: ApprovalRecord, change: GateChange) -> bool:
        """Store a decision, with the change of those of its gates that fit into one write."""
        ...

    def record_decisions(
        self, snapshot: RunSnapshot, record: ApprovalRecord, change: GateChange
    ) -> bool:
        """Change gates so that the journal has all decisions of *record* for each of them."""
        ...

    def expire(
        self, snapshot: RunSnapshot, record: ApprovalRecord, change: GateChange, expiry: Decision
    ) -> bool:
        """Expire gates of an approval that is still as in *record*.

        A gate whose time is over has no use for its token any more. Others keep theirs for
        `resume`.
        """
        ...

    def list_anew(self, run: Run, name: str, waiting: Collection[str]) -> None:
        """Correct the entry of an approval's record, by its name, after gates have ended.

        It shows one of the gates at the paths *waiting*, and goes when there are none.
        """
        ...

    def resume(self, run: Run, record: ApprovalRecord) -> None:
        """Wake every gate of *record* whose decision is in the journal, each of them once.

        A gate that has expired fails by that, whatever the verdict is.
        """
        ...

    def fail(self, run: Run, gates: Sequence[GateRecord]) -> None:
        """Fail *gates*, whose run or block has ended without their decision. Idempotent."""
        ...

    def wake(self, token: str, verdict: Verdict) -> None:
        """Wake the gate that waits with *token*. Idempotent."""
        ...

    def refuse(self, token: str, error: TaskRunnerError) -> None:
        """Let the state that waits with *token* fail with the name of *error*. Idempotent."""
        ...

    def list_open(self, tenant: str, limit: int, cursor: str | None) -> OpenApprovals:
        """Return the tenant's approvals that wait, the oldest first."""
        ...

    def count_open(self, tenant: str, at_most: int) -> OpenCount:
        """Return how many of the tenant's approvals wait, counting to *at_most*."""
        ...
