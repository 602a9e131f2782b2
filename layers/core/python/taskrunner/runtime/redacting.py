"""Services that keep what a step knows of secrets out of whatever is stored by them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from taskrunner.executors.work import ExecutorFailure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskrunner.executors.work import Bundle, Bundles, Environments, Revision, Services
    from taskrunner.model.redaction import Redactor

_BLOCK_BYTES: Final = 1024 * 1024


def guarded(services: Services, redactor: Redactor) -> Services:
    """*services*, of which those that store look at what they are given first."""
    return replace(
        services,
        bundles=_Bundles(services.bundles, redactor),
        environments=_Environments(services.environments, redactor),
    )


def secret_in(file: Path, redactor: Redactor) -> str | None:
    """The name of a secret that stands in *file*, in any spelling; None when there is none."""
    return redactor.find(_blocks(file))


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while block := content.read(_BLOCK_BYTES):
            yield block


@dataclass(frozen=True, slots=True)
class _Bundles:
    bundles: Bundles
    redactor: Redactor

    def put(self, file: Path) -> Bundle:
        if (name := secret_in(file, self.redactor)) is not None:
            raise ExecutorFailure(
                f"the bundle holds the secret '{name}', and bundles are kept for long and for all; "
                "leave it out, and let what is deployed read it where it runs"
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
            raise ExecutorFailure("a secret is no name for an environment")
        return self.environments.promote(environment, bundle)
