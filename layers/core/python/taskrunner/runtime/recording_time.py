"""The time that a function has to record what it has run.

A record that is given up loses what has run, or lets it run again. So recording waits for other
writers for as long as the function has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from taskrunner.ports import World

# Reserved after the record, to answer the machine.
_ANSWERING_S: Final = 5.0


def patience_s(deadline: datetime, world: World) -> float:
    """Return for how many seconds to try to record, in a function that ends at *deadline*."""
    left_s = (deadline - world.clock.now()).total_seconds()
    return max(0.0, left_s - _ANSWERING_S)
