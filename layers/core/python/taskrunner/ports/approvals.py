"""Approvals of runs, and the gates that wait for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskrunner.model.approval import ApprovalRecord, GateOpening, GateRecord, Verdict
    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run
    from taskrunner.ports.page import Page
    from taskrunner.ports.runs import Head


class Approvals(Protocol):
    """Approvals by run and id, and gates by run and step path.

    Task tokens are kept here and nowhere else, each for as long as its gate waits.
    """

    def get(self, tenant: str, run_id: str, approval_id: str) -> ApprovalRecord:
        """Return the record, which is empty before a gate has opened the approval."""
        ...

    def gate(self, run: Run, path: str) -> GateRecord | None:
        """Return the run's gate at *path*, or None when it has not been opened."""
        ...

    def waiting(self, run: Run, approval_id: str) -> Iterator[GateRecord]:
        """Return the gates that wait for an approval and have not been woken, by path."""
        ...

    def open(  # noqa: PLR0913 - the parts of one write
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
        """Open the gate if it is still *gate* (None: new), with *entries*.

        *entries* have all decisions of *record* that the gate's journal lacks. When the record has
        a verdict, the gate is recorded and does not wait. Gates that open at the same time do not
        conflict. Return False when the gate, the approval's decisions or the run have changed
        since they were read.
        """
        ...

    def unnotified(self, run: Run, path: str) -> JsonObject | None:
        """Return how the gate at *path* is listed as open, if it waits and nobody was notified.

        Return None if it does not wait, or if it is recorded that approvers were notified.
        """
        ...

    def record_notified(self, run: Run, path: str) -> None:
        """Record that approvers were notified of the gate at *path*; twice is once."""
        ...

    def decide(
        self,
        head: Head,
        record: ApprovalRecord,
        gates: Sequence[GateRecord],
        entries: Sequence[Entry],
    ) -> bool:
        """Store a decision, with *entries* for those of its gates that fit into one write.

        Return False when the record, one of *gates* or the run has changed since it was read.
        """
        ...

    def record_decisions(
        self,
        head: Head,
        record: ApprovalRecord,
        gates: Sequence[GateRecord],
        entries: Sequence[Entry],
    ) -> bool:
        """Append *entries*, after which the journal has all of *record* for each of *gates*.

        Return False as for `decide`.
        """
        ...

    def resume(self, run: Run, record: ApprovalRecord) -> None:
        """Wake every gate that waits for *record* with its verdict, each of them once."""
        ...

    def wake(self, token: str, verdict: Verdict) -> None:
        """Wake the gate that waits with *token*; twice is once."""
        ...

    def list_open(self, tenant: str, limit: int, cursor: str | None) -> Page:
        """Return the summaries of the tenant's approvals that wait, the oldest first."""
        ...
