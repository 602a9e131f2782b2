"""The local stack, as a port: the package `local` is imported when it is first used.

`local` imports boto3 and psutil, which take half a second. They are not dependencies of the
package, because the local stack needs a clone, and `make setup` installs them there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from taskrunner_cli.clone import find_clone
from taskrunner_cli.errors import NoCloneError, UnreachableError

if TYPE_CHECKING:
    from taskrunner_cli.local import Stack, Status


class LocalStack(Protocol):
    """The local stack as commands use it.

    Every method raises `NoCloneError` outside a clone, and `UnreachableError` if it fails.
    """

    def up(self, progress: Callable[[str], None], port: int | None = None) -> "Stack":
        """Start the local stack unless it runs, calling *progress* before each step."""

    def down(self, progress: Callable[[str], None]) -> bool:
        """Stop the local stack; return whether it was running."""

    def status(self) -> "Status":
        """Return the state of the local stack."""


class CloneLocalStack:
    """The local stack of the clone that `clone.find_clone` finds."""

    def up(self, progress: Callable[[str], None], port: int | None = None) -> "Stack":
        """Start the local stack unless it runs, calling *progress* before each step."""
        with _translated_errors():
            from taskrunner_cli import local  # noqa: PLC0415 -- slow, see the module's docstring

            return local.up(progress, port)

    def down(self, progress: Callable[[str], None]) -> bool:
        """Stop the local stack; return whether it was running."""
        with _translated_errors():
            from taskrunner_cli import local  # noqa: PLC0415 -- slow, see the module's docstring

            return local.down(progress)

    def status(self) -> "Status":
        """Return the state of the local stack."""
        with _translated_errors():
            from taskrunner_cli import local  # noqa: PLC0415 -- slow, see the module's docstring

            return local.status()


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Raise the errors of `local`, and those of importing it, as errors of the command line."""
    clone = find_clone()
    try:
        from taskrunner_cli.local import LocalStackError  # noqa: PLC0415 -- slow, see above
    except ModuleNotFoundError as error:
        raise NoCloneError(
            f"this installation of taskrunner cannot run the local stack: {error.name} is missing",
            cure=f"run make setup in {clone}, and then its own .venv/bin/taskrunner",
        ) from error
    try:
        yield
    except LocalStackError as error:
        raise UnreachableError(error.message, cure=error.cure, code="local_stack") from error
