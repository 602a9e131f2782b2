"""The port Notifications: subscribers get what was published, and a failure raises nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from taskrunner.model.notification import Notification

if TYPE_CHECKING:
    from tests.contract.ports import Ports

NOTIFICATION = Notification(
    id="0123456789abcdef0123456789abcdef",
    subject="Approval needed: security of deploy-app 1.4.0 (acme)",
    attributes={
        "tenant": "acme",
        "pack": "deploy-app",
        "approvalId": "security",
        "kind": "awaiting-approval",
    },
    body='{\n  "id": "0123456789abcdef0123456789abcdef",\n  "message": "<&> \\"☃\\" \\u202e"\n}',
)


def received(notification: Notification) -> Notification:
    """Return it as a subscriber gets it: its id is only in the body."""
    return replace(notification, id="")


def test_subscribers_get_the_published_notification(world: Ports) -> None:
    assert world.notifications.publish(NOTIFICATION) is True

    assert world.topic.received() == [received(NOTIFICATION)]


def test_subscribers_get_a_repeated_notification_twice(world: Ports) -> None:
    assert [world.notifications.publish(NOTIFICATION) for _ in range(2)] == [True, True]

    assert world.topic.received() == [received(NOTIFICATION)] * 2


def test_subscribers_get_a_long_notification_whole(world: Ports) -> None:
    long = replace(NOTIFICATION, body=f'"{"ä" * 100_000}"')

    assert world.notifications.publish(long) is True

    assert world.topic.received() == [received(long)]


def test_publishing_to_a_missing_topic_returns_false(world: Ports) -> None:
    world.topic.delete()

    assert world.notifications.publish(NOTIFICATION) is False

    assert world.topic.received() == []
