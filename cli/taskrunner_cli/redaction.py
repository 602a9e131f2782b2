"""The redactor of the service on this machine; its errors become errors of the command line."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from taskrunner.errors import SecretError
from taskrunner.model import redaction
from taskrunner_cli.errors import CommandError
from taskrunner_cli.json_types import JsonValue


class Redactor(Protocol):
    """Finds secrets, and puts `***` in their place."""

    def text(self, text: str) -> str:
        """Return *text* without secrets."""

    def data(self, data: bytes) -> bytes:
        """Return *data* without secrets."""

    def json(self, value: JsonValue) -> JsonValue:
        """Return *value* without secrets."""

    def find(self, chunks: Iterable[bytes]) -> str | None:
        """Return the name of a secret in a stream; None if it has none."""

    def settled_bytes(self, data: bytes) -> int:
        """Return how many bytes of *data* can be redacted before the rest of a stream is known."""


def new_redactor(secrets: Mapping[str, str]) -> Redactor:
    """Return the redactor of secrets by name.

    Raises:
        CommandError: a secret is too short to be found reliably.

    """
    try:
        return redaction.Redactor(secrets)
    except SecretError as error:
        raise CommandError(str(error)) from error
