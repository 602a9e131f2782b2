"""A topic in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskrunner.model.notification import Notification


@dataclass
class MemoryNotifications:
    """A topic that keeps what is published, in its order. With *is_down* it accepts nothing."""

    published: list[Notification] = field(default_factory=list)
    is_down: bool = False

    def publish(self, notification: Notification) -> bool:
        if not self.is_down:
            self.published.append(notification)
        return not self.is_down
