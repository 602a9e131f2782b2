"""The callers who created a run, decided at its gates or cancelled it, by the entries of its log.

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
_EVENTS_OF_CALLERS: Final = frozenset({*_VERDICTS, "run.created", _CANCEL_REQUESTED})


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
                self.cancelled_by = _caller(entry)
            elif verdict := _VERDICTS.get(event):
                decisions = self._by_gate.setdefault(entry.get("stepId", ""), [])
                decisions.append(verdict + who_and_why(entry))

    def by_gate(self) -> dict[str, str]:
        """Return the decisions at each gate in words, by the gate's step id."""
        return {gate: "; ".join(decisions) for gate, decisions in self._by_gate.items()}


def who_and_why(entry: LogEntry) -> str:
    """Return who acted, and the reason: ` by client:ci (ana@example.com): looks good`.

    It is empty for an entry that no caller has made, or that does not say who.
    """
    if entry["eventType"] not in _EVENTS_OF_CALLERS:
        return ""
    metadata, caller = entry.get("metadata", {}), _caller(entry)
    actor, summary = metadata.get("actorId"), metadata.get("summary")
    parts = [
        f" by {caller}" if caller else "",
        f" ({actor})" if actor else "",
        f": {summary}" if summary else "",
    ]
    return "".join(parts)


def _caller(entry: LogEntry) -> str:
    """Return the caller that an entry names, as people know it; empty if it names none."""
    metadata = entry.get("metadata", {})
    if approver := metadata.get("approver"):
        return who(approver, metadata.get("approverName"))
    return who(metadata.get("by", ""), metadata.get("byName"))
