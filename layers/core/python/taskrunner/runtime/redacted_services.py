"""Services for a step that reads secrets, which store nothing that contains a secret."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from taskrunner.executors.work import ExecutorFailure
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from taskrunner.executors.work import Bundle, Bundles, Environments, Revision, Services
    from taskrunner.model.redaction import Redactor

_BLOCK_BYTES: Final = 1024 * 1024


def redacted_services(services: Services, redactor: Redactor) -> Services:
    """Return *services* that search what they are to store for the secrets of *redactor*."""
    return replace(
        services,
        bundles=_Bundles(services.bundles, redactor),
        environments=_Environments(services.environments, redactor),
    )


def find_secret(
    file: Path, redactor: Redactor, *, may_go_on: Callable[[], bool] = lambda: True
) -> str | None:
    """Return the name of a secret that *file* contains in any spelling, or None.

    Raises:
        TimeoutError: *may_go_on*, which is asked once for each MiB, said no.
    """
    return redactor.find(_blocks(file, may_go_on))


def _blocks(file: Path, may_go_on: Callable[[], bool]) -> Iterator[bytes]:
    with file.open("rb") as content:
        while block := content.read(_BLOCK_BYTES):
            if not may_go_on():
                raise TimeoutError
            yield block


@dataclass(frozen=True, slots=True)
class _Bundles:
    bundles: Bundles
    redactor: Redactor

    def put(self, file: Path) -> Bundle:
        if (name := find_secret(file, self.redactor)) is not None:
            raise ExecutorFailure(
                f"the bundle holds the secret '{name}', and bundles are kept and shared; "
                "leave the secret out, and let the deployed software read it where it runs"
            )
        return self.bundles.put(file)

    def find(self, reference: str) -> Bundle | None:
        return self.bundles.find(reference)

    def last_of_run(self) -> Bundle | None:
        return self.bundles.last_of_run()


@dataclass(frozen=True, slots=True)
class _Environments:
    environments: Environments
    redactor: Redactor

    def promote(self, environment: str, bundle: Bundle) -> Revision:
        if self.redactor.text(environment) != environment:
            raise ExecutorFailure("the name of an environment must not contain a secret")
        return self.environments.promote(environment, bundle)
