"""Lambda's snapshots of an initialised function (SnapStart): what they hold, and what is renewed.

Lambda starts each environment of a version from one snapshot, weeks after it was taken. So whatever
is in it is old, and the same in all environments.

    in the snapshot             after a restore
    imported modules, clients   as they are; making them is most of a cold start
    the seed of `random`        renewed here: callers that conflict would pause for equally long
    ids and secrets             not in it: they come from the system, which Lambda gives new entropy
    credentials                 botocore fetches new ones by the wall clock, when they are used
    connections                 none: clients connect with their first call
    caches, and their clocks    empty: they fill with the first event, such as an issuer's keys
    environment variables       those of the version, which no deployment changes
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def register(make: Callable[[], object], environment: Mapping[str, str]) -> None:
    """Let Lambda call *make* before it takes a snapshot of this process, if it takes one.

    Must be called while the function is imported; later, Lambda ignores it.
    """
    if environment.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "snap-start":
        return
    # Lambda's runtimes bring it from Python 3.12 on, which snapshots need.
    from snapshot_restore_py import (  # noqa: PLC0415
        register_after_restore,
        register_before_snapshot,
    )

    register_before_snapshot(make)
    register_after_restore(random.seed)
