"""Warn the creator of a run when the account nears AWS's quota of state machines.

Only a new machine brings the quota nearer. So `create_run` asks here only when a run needed one,
which is once for each version of a pack: no run of a known version pays for the question. The
daily pass has counted the machines (`remove_machines`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from taskrunner.model.machine_count import at_quota, near_quota

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.ports import World

_log: Final = logging.getLogger(__name__)


def near(world: World) -> list[JsonObject]:
    """Return the API's warnings to the creator of a run for which a machine was made.

    The run has begun, so its creator is answered also if the count cannot be read.
    """
    try:
        count = world.machine_counts.last()
    except Exception:  # noqa: BLE001 - the log has it
        _log.exception("the count of state machines could not be read")
        return []
    if count is None or not count.is_near_the_quota:
        return []
    _log.warning("a state machine was made near the quota", extra=count._asdict())
    return [near_quota(count)]


def reached() -> list[JsonObject]:
    """Return the API's warning to the creator of a run that AWS has refused a new machine for.

    The run is recorded, and the reconciler starts it once there is room. Later requests that need
    a new machine are refused before their record, for some minutes.
    """
    _log.warning("a state machine was refused, because the account has as many as AWS allows")
    return [at_quota()]
