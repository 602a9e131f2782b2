"""The approvals that a run waits for at several gates, of which each needs its own decision."""

from collections import Counter
from typing import TYPE_CHECKING

from taskrunner_cli.api.documents import WAITING_REASONS, RunState
from taskrunner_cli.errors import RefusedError, UnreachableError

if TYPE_CHECKING:
    from taskrunner_cli.api.client import Client


class ApprovalScopes:
    """Asks the API for an approval's scope, once, because a run's state does not have it.

    Args:
        client: the API.

    """

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._is_by_gate: dict[str, bool] = {}

    def decided_by_gate(self, run: RunState) -> frozenset[str]:
        """Return the approvals for which several gates wait, and each needs its own decision.

        Nothing is known of an approval that the service does not describe.
        """
        waiting = Counter(
            step.get("approvalId", "")
            for step in run["steps"]
            if step.get("statusReason") in WAITING_REASONS
        )
        return frozenset(
            approval
            for approval, gates in waiting.items()
            if approval and gates > 1 and self._has_gate_scope(run["runId"], approval)
        )

    def _has_gate_scope(self, run_id: str, approval: str) -> bool:
        if approval not in self._is_by_gate:
            try:
                entry = self._client.approval(run_id, approval).view
            except UnreachableError:
                return False
            except RefusedError:
                self._is_by_gate[approval] = False
            else:
                self._is_by_gate[approval] = entry.get("scope") == "gate"
        return self._is_by_gate[approval]
