"""The work that is due for the reconciler; see `model.due_work`.

Runs and approvals record due work in the writes that it follows from: `Runs.create`, `Runs.end`,
`Approvals.open`, `Approvals.decide`, and each write that stops a block. `Runs.seal` and
`Approvals.record_notified` remove it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.due_work import DueItem, DueKind
    from taskrunner.model.run import Run


class DueWork(Protocol):
    """The due work of all runs of a deployment."""

    def due(self, kind: DueKind, now: str, limit: int) -> Sequence[DueItem]:
        """Return at most *limit* items of *kind* that are due at *now*, the longest due first."""
        ...

    def tenants(self, limit: int) -> Sequence[str]:
        """Return at most *limit* tenants with runs that go on, those that wait longest first.

        It is one read of some runs, so a tenant with few of many runs may be missing.
        """
        ...

    def lease(self, item: DueItem, until: str) -> DueItem | None:
        """Take *item* until then, and count the look; None when it has changed since it was read.

        If the holder neither finishes nor postpones it, it is due again at that time.
        """
        ...

    def postpone(self, item: DueItem, until: str) -> None:
        """Let *item* be due at that time, as if never looked at, unless it has changed."""
        ...

    def look_at_run(self, run: Run, until: str, *, now: str) -> None:
        """Let *run* be due at that time, as if never looked at.

        One that has ended, or is due already, stays as it is.
        """
        ...

    def finish(self, item: DueItem) -> None:
        """Remove *item* unless it has changed. Twice is once."""
        ...
