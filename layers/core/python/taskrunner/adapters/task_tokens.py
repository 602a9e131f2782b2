"""Task tokens of Step Functions: each wakes one waiting state, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from taskrunner.adapters.aws_errors import code, translated

if TYPE_CHECKING:
    from collections.abc import Callable

_TOKEN_IS_USED: Final = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


class TaskTokens:
    """Answers the states that wait with task tokens; *client* is boto3's for Step Functions."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - boto3 has no static types
        """Call nothing yet."""
        self._client = client

    def succeed(self, token: str) -> None:
        """Let the state that waits with *token* succeed. Nothing happens if the token was used."""
        self._send(lambda: self._client.send_task_success(taskToken=token, output="{}"))

    def fail(self, token: str, error: str, cause: str) -> None:
        """Let the state that waits with *token* fail with *error*, like `succeed`."""
        self._send(
            lambda: self._client.send_task_failure(taskToken=token, error=error, cause=cause)
        )

    def _send(self, call: Callable[[], object]) -> None:
        try:
            with translated("answer the waiting state"):
                call()
        except ClientError as error:
            if code(error) not in _TOKEN_IS_USED:
                raise
