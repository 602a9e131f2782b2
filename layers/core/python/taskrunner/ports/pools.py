"""The workers that ask the pools of a tenant for work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from taskrunner.model.worker_wait import WorkerKind


class Pools(Protocol):
    """The kinds of workers by tenant and pool. No tenant learns of another one's workers."""

    def note(self, tenant: str, pool: str, labels: Mapping[str, str], now: str) -> None:
        """Note that a worker with *labels*, which serves the tenant, was seen in the pool *now*.

        A kind is noted once a minute, and then this is one write; else it costs nothing. A pool
        keeps `MAX_KINDS` kinds, and a new one only takes the place of one that has gone.

        Raises:
            TryAgainError: AWS was busy.
        """
        ...

    def kinds(self, tenant: str, pools: Collection[str]) -> Sequence[WorkerKind]:
        """Return the kinds of workers that were seen in *pools*, by one query."""
        ...
