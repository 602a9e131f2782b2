"""The topic on which approvers are notified of gates. The operator decides who subscribes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskrunner.model.notification import Notification


class Notifications(Protocol):
    """The topic of a deployment."""

    def publish(self, notification: Notification) -> bool:
        """Publish a notification within seconds; return False when that failed, which is logged.

        A notification that is published twice may be delivered twice, with the same id.
        """
        ...
