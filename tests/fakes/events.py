"""A bus in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskrunner.errors import TryAgainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.lifecycle import LifecycleEvent


@dataclass
class MemoryEvents:
    """A bus that keeps what is published, in its order. With *is_down* it refuses everything."""

    published: list[LifecycleEvent] = field(default_factory=list)
    is_down: bool = False

    def publish(self, events: Sequence[LifecycleEvent]) -> None:
        if self.is_down:
            raise TryAgainError("the event bus refused events: ThrottlingException")
        self.published += events
