"""DynamoDB with the names of the operations that were called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.ports import client

if TYPE_CHECKING:
    from collections.abc import Callable


class CountedDynamodb:
    """A client of DynamoDB; *calls* has the names of the operations, in order."""

    def __init__(self) -> None:
        self._dynamodb = client("dynamodb")
        self.calls: list[str] = []

    def __getattr__(self, operation: str) -> Callable[..., object]:
        def call(**arguments: object) -> object:
            self.calls.append(operation)
            response: object = getattr(self._dynamodb, operation)(**arguments)
            return response

        return call
