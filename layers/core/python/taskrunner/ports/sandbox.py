"""The place where executors run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from taskrunner.executors.work import Services
    from taskrunner.sandbox.attempt import AttemptRequest, AttemptResult, Limits


class Sandbox(Protocol):
    """A process of its own for each attempt, which is held to its limits."""

    def prepare(self) -> None:
        """Begin to prepare for the next attempt, without waiting."""
        ...

    def prepare_for(self, uses: str, limits: Limits) -> None:
        """Begin to prepare for an attempt of the executor *uses* within *limits*, without waiting.

        The attempt need not follow, and another one may.
        """
        ...

    def begun(self, request: AttemptRequest) -> AbstractContextManager[None]:
        """Begin *request* without waiting, and end it with the block if it was not executed inside.

        `execute` with the same request goes on with it. No call of its executor is answered before
        that, so it has no effect outside its process and its folder. A large attempt begins when it
        is executed.
        """
        ...

    def execute(self, request: AttemptRequest, services: Services) -> AttemptResult:
        """Execute *request* within its limits, and serve what it requests by *services*.

        Raises:
            TryAgainError: a service, or the sandbox itself, is busy; nothing has ended.
        """
        ...
