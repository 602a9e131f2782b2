"""The people who decided at the gates of a run or cancelled it, by the entries of its log.

The approver is the caller of the decision's token. The actor stands beside the approver and never
instead, because the approver may write any name there.
"""

from collections.abc import Iterable
from typing import Final

from taskrunner_cli.api.documents import LogEntry
from taskrunner_cli.output.wording import who

_VERDICTS: Final = {
    "gate.approval-recorded": "approved",
    "gate.approved": "approved",
    "gate.rejected": "rejected",
    "gate.expired": "expired",
}
_CANCEL_REQUESTED: Final = "run.cancel-requested"
_TELLING_EVENTS: Final = frozenset({*_VERDICTS, _CANCEL_REQUESTED})


class Decisions:
    """The decisions that a run's log has shown so far."""

    def __init__(self) -> None:
        self._by_gate: dict[str, list[str]] = {}
        self.cancelled_by = ""

    def add(self, entries: Iterable[LogEntry]) -> None:
        """Take note of new log entries."""
        for entry in entries:
            event = entry["eventType"]
            if event == _CANCEL_REQUESTED:
                self.cancelled_by = entry.get("metadata", {}).get("by", "")
            elif verdict := _VERDICTS.get(event):
                decisions = self._by_gate.setdefault(entry.get("stepId", ""), [])
                decisions.append(verdict + who_and_why(entry))

    def by_gate(self) -> dict[str, str]:
        """Return the decisions at each gate in words, by the gate's step id."""
        return {gate: "; ".join(decisions) for gate, decisions in self._by_gate.items()}


def who_and_why(entry: LogEntry) -> str:
    """Return who decided, and the reason: ` by client:ci (ana@example.com): looks good`.

    It is empty for an entry that is not about a decision or says nothing of it.
    """
    if entry["eventType"] not in _TELLING_EVENTS:
        return ""
    metadata = entry.get("metadata", {})
    approver = who(metadata.get("approver") or metadata.get("by", ""), metadata.get("approverName"))
    actor, summary = metadata.get("actorId"), metadata.get("summary")
    parts = [
        f" by {approver}" if approver else "",
        f" ({actor})" if actor else "",
        f": {summary}" if summary else "",
    ]
    return "".join(parts)
