"""Notifications on an SNS topic, which hands them to whoever the operator has subscribed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from taskrunner.adapters.aws_errors import code

if TYPE_CHECKING:
    from taskrunner.model.notification import Notification

# The gate is open already, and the answer to its machine waits for this: some 7 s at the most.
CONNECT_TIMEOUT_S: Final = 1
READ_TIMEOUT_S: Final = 2
ATTEMPTS: Final = 2


class SnsNotifications:
    """`usecases.ports.Notifications`; *client* is boto3's for SNS, with the bounds of above."""

    def __init__(self, client: Any, topic_arn: str) -> None:  # noqa: ANN401 - boto3 has no static types
        """Hold the client; nothing is called yet."""
        self._client = client
        self._topic_arn = topic_arn

    def publish(self, notification: Notification) -> bool:
        """See the port."""
        try:
            self._client.publish(
                TopicArn=self._topic_arn,
                Subject=notification.subject,
                Message=notification.body,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in notification.attributes.items()
                },
            )
        except (ClientError, BotoCoreError) as error:
            # Whatever SNS has against it, also for good: the gate waits, and is on its list.
            _log(notification, error)
            return False
        return True


def _log(notification: Notification, error: ClientError | BotoCoreError) -> None:
    """One line with the same message each time, to count by. An error's own text may quote ours."""
    # Nobody pays for its import where SNS answers.
    from taskrunner.adapters.logs import logger  # noqa: PLC0415

    reason = code(error) if isinstance(error, ClientError) else type(error).__name__
    about = {"notification": notification.id, **notification.attributes}
    logger.error("a notification was not published", extra={"reason": reason, **about})
