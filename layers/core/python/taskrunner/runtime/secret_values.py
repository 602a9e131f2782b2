"""The values of the secrets that a step reads: looked up when it is reached, and kept nowhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from taskrunner.errors import TaskRunnerError, TryAgainError
from taskrunner.expressions import templates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.expressions import Reference
    from taskrunner.model.redaction import Redactor
    from taskrunner.ports.world import World


def secret_values(read: Iterable[Reference], tenant: str, world: World) -> dict[str, str]:
    """The secrets among the names that are *read*, by name.

    Who reads none asks for no port, so that a function without the right to secrets may call this.

    Raises:
        SecretError: one cannot be used.
    """
    names = templates.secrets(read)
    return world.secrets.values(tenant, names) if names else {}


@contextmanager
def told_without_secrets(redactor: Redactor) -> Iterator[None]:
    """Let no error out that tells a secret.

    What nobody foresaw is shown in the console and the logs, with a text that may hold any value
    that was about; so may the texts of what it came of.
    """
    try:
        yield
    except Exception as error:
        if redactor.is_idle:
            raise
        if isinstance(error, TaskRunnerError) and redactor.text(str(error)) == str(error):
            raise error from None
        # Not str(): a KeyError's is escaped, whatever else escaped it before.
        told = redactor.text(" ".join(str(part) for part in error.args))
        if isinstance(error, TryAgainError):
            raise TryAgainError(told) from None
        raise RuntimeError(f"{type(error).__name__}: {told}") from None
