"""The port Notifications over an SNS topic; the operator chooses its subscribers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from taskrunner.adapters.aws_errors import code

if TYPE_CHECKING:
    from taskrunner.model.notification import Notification

# The gate's state machine waits while its notification is published: about 7 s at most.
CONNECT_TIMEOUT_S: Final = 1
READ_TIMEOUT_S: Final = 2
ATTEMPTS: Final = 2


class SnsNotifications:
    """`ports.Notifications`; *client* is boto3's for SNS, with the limits above."""

    def __init__(self, client: Any, topic_arn: str) -> None:  # noqa: ANN401 - boto3 has no static types
        """Call nothing yet."""
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
            # Even an error that will never pass must not fail the gate: it is open and listed.
            _log(notification, error)
            return False
        return True


def _log(notification: Notification, error: ClientError | BotoCoreError) -> None:
    """Log one line with a constant message, to count by.

    The error's own text is left out, because it may quote the notification.
    """
    # Imported here, because only a failure needs it.
    from taskrunner.adapters.logs import logger  # noqa: PLC0415

    reason = code(error) if isinstance(error, ClientError) else type(error).__name__
    fields = {"notification": notification.id, **notification.attributes}
    logger.error("a notification was not published", extra={"reason": reason, **fields})
