"""The workers that ask pools for work, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskrunner.model import timestamp
from taskrunner.model.job import labels_digest
from taskrunner.model.worker_wait import LATELY, MAX_KINDS, NOTED_EVERY, WorkerKind
from tests.fakes.atomic import atomic

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import timedelta


@dataclass
class MemoryPools:
    """The kinds of workers by tenant and pool, and by the digest of their labels."""

    stored: dict[tuple[str, str], dict[str, WorkerKind]] = field(default_factory=dict)

    @atomic
    def note(self, tenant: str, pool: str, labels: Mapping[str, str], now: str) -> None:
        kinds = self.stored.setdefault((tenant, pool), {})
        digest = labels_digest(labels)
        if digest in kinds and kinds[digest].seen_at > _earlier(now, NOTED_EVERY):
            return
        if digest not in kinds and len(kinds) >= MAX_KINDS:
            oldest = min(kinds, key=lambda name: kinds[name].seen_at)
            if kinds[oldest].seen_at > _earlier(now, LATELY):
                return
            del kinds[oldest]
        kinds[digest] = WorkerKind(pool=pool, labels=dict(labels), seen_at=now)

    @atomic
    def kinds(self, tenant: str, pools: Collection[str]) -> Sequence[WorkerKind]:
        return [
            kind
            for (owner, pool), kinds in sorted(self.stored.items())
            for kind in kinds.values()
            if owner == tenant and pool in pools
        ]


def _earlier(time: str, by: timedelta) -> str:
    return timestamp.to_text(timestamp.from_text(time) - by)
