"""The secrets that a step reads: looked up when the step is reached, and stored nowhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from taskrunner.errors import TaskRunnerError, TryAgainError
from taskrunner.expressions import templates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.expressions import Reference
    from taskrunner.model.redaction import Redactor
    from taskrunner.ports import World


def read_secrets(references: Iterable[Reference], tenant: str, world: World) -> dict[str, str]:
    """Return the secrets among the names that *references* read, by name.

    Without one the port is not used, so that a function without the right to secrets may call this.

    Raises:
        SecretError: one cannot be used.
    """
    names = templates.secrets(references)
    return world.secrets.values(tenant, names) if names else {}


@contextmanager
def redacted_errors(redactor: Redactor) -> Iterator[None]:
    """Redact every error that is raised inside.

    Lambda shows an unforeseen error in its console and its logs. The error's text, and the texts of
    its causes, may contain any value that was in use.
    """
    try:
        yield
    except Exception as error:
        if redactor.is_idle:
            raise
        if isinstance(error, TaskRunnerError) and redactor.text(str(error)) == str(error):
            raise error from None
        # Not str(error): that of a KeyError is escaped once more, which hides a secret.
        redacted = redactor.text(" ".join(str(part) for part in error.args))
        if isinstance(error, TryAgainError):
            raise TryAgainError(redacted) from None
        raise RuntimeError(f"{type(error).__name__}: {redacted}") from None
