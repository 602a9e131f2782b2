"""A clock of machine tests that can be put ahead."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.machine.engine import Engine


class LaterClock:
    """The clock of a world, which a test can put ahead."""

    def __init__(self, engine: Engine) -> None:
        self._clock = engine.world.clock
        self.ahead = timedelta()
        vars(engine.world)["clock"] = self

    def now(self) -> Any:  # noqa: ANN401 - a datetime
        return self._clock.now() + self.ahead

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)
