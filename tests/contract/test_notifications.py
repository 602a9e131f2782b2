"""The port Notifications: what is published is heard as it is, and what is not is no error."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from taskrunner.model.notification import Notification

if TYPE_CHECKING:
    from tests.contract.ports import Ports

ONE = Notification(
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


def heard(notification: Notification) -> Notification:
    """As a subscriber has it: the id is in the body."""
    return replace(notification, id="")


def test_what_is_published_is_heard_as_it_is(world: Ports) -> None:
    assert world.notifications.publish(ONE) is True

    assert world.topic.received() == [heard(ONE)]


def test_what_is_published_twice_is_heard_twice_alike(world: Ports) -> None:
    assert [world.notifications.publish(ONE) for _ in range(2)] == [True, True]

    assert world.topic.received() == [heard(ONE)] * 2


def test_as_much_as_a_notification_may_be_is_heard_whole(world: Ports) -> None:
    long = replace(ONE, body=f'"{"ä" * 100_000}"')

    assert world.notifications.publish(long) is True

    assert world.topic.received() == [heard(long)]


def test_where_there_is_no_topic_nothing_is_published_and_nothing_raised(world: Ports) -> None:
    world.topic.delete()

    assert world.notifications.publish(ONE) is False

    assert world.topic.received() == []
