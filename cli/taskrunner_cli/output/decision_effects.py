"""The effect of approving some gates of an approval, in words."""

from collections.abc import Collection

from taskrunner_cli.api.documents import OpenApproval, WaitingGate
from taskrunner_cli.output.wording import counted


def effect_at_gates(entry: OpenApproval, step_ids: Collection[str]) -> str:
    """Return which gates go on and how many still wait; empty if no gate waits.

    Args:
        entry: the approval as the service describes it after the decision.
        step_ids: the gates that were approved.

    """
    if entry.get("scope") != "gate":
        return ""
    needed = entry.get("minApprovals", 1)
    waiting = [gate for gate in entry.get("gates", []) if _waits(gate, step_ids, needed)]
    count = len(waiting) + entry.get("gatesOmitted", 0)
    if not count:
        return ""
    gone_on = len(step_ids) - sum(gate["stepId"] in step_ids for gate in waiting)
    verb = "waits" if count == 1 else "wait"
    return f"{gates_gone_on(gone_on)}; {counted(count, 'gate')} of the approval still {verb}"


def gates_gone_on(count: int) -> str:
    """Return that *count* gates go on."""
    return "the gate goes on" if count == 1 else f"{count} gates go on"


def _waits(gate: WaitingGate, step_ids: Collection[str], needed: int) -> bool:
    """Return whether a gate waits; one just approved is listed until its run has moved on."""
    if gate["stepId"] not in step_ids:
        return True
    return needed > 1 and len(gate.get("approvedBy", [])) < needed
