"""Note that a worker is there, so that steps which wait for one can say why."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from taskrunner.errors import TryAgainError
from taskrunner.model import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taskrunner.ports import World


def note_worker(tenants: Iterable[str], pool: str, labels: Mapping[str, str], world: World) -> None:
    """Note a worker with *labels* in *pool* for each of the *tenants* that it serves.

    It is a note for people: if AWS is busy, nothing is noted, and the worker gets its answer.
    """
    now = timestamp.to_text(world.clock.now())
    with suppress(TryAgainError):
        for tenant in tenants:
            world.pools.note(tenant, pool, labels, now)
