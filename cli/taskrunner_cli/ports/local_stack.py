"""The door to `taskrunner_cli.local`, which is imported only by those who go through it.

It brings boto3 and psutil along, half a second that a command of the API need not pay; and its
errors become the command line's own here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from taskrunner_cli.errors import UnreachableError

if TYPE_CHECKING:
    from taskrunner_cli.local import Stack, Status


class LocalStack(Protocol):
    """The local stack as the commands use it; every method raises `UnreachableError`."""

    def up(self, progress: Callable[[str], None], port: int | None = None) -> "Stack":
        """Bring it up, or find it up, telling *progress* what happens."""

    def down(self, progress: Callable[[str], None]) -> bool:
        """End it; whether there was one."""

    def status(self) -> "Status":
        """Say what is up."""


class InstalledLocalStack:
    """The local stack of the project that this package is installed from."""

    def up(self, progress: Callable[[str], None], port: int | None = None) -> "Stack":
        """Bring it up, or find it up, telling *progress* what happens."""
        with translated():
            from taskrunner_cli import local  # noqa: PLC0415 -- see the module's docstring

            return local.up(progress, port)

    def down(self, progress: Callable[[str], None]) -> bool:
        """End it; whether there was one."""
        with translated():
            from taskrunner_cli import local  # noqa: PLC0415 -- see the module's docstring

            return local.down(progress)

    def status(self) -> "Status":
        """Say what is up."""
        with translated():
            from taskrunner_cli import local  # noqa: PLC0415 -- see the module's docstring

            return local.status()


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the local stack refuses into an error of the command line."""
    from taskrunner_cli.local import LocalStackError  # noqa: PLC0415 -- see the module's docstring

    try:
        yield
    except LocalStackError as error:
        raise UnreachableError(error.message, cure=error.cure, code="local_stack") from error
