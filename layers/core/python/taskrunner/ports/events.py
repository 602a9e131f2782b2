"""The bus on which a deployment publishes what happens to its runs and gates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.lifecycle import LifecycleEvent


class Events(Protocol):
    """The bus of a deployment."""

    def publish(self, events: Sequence[LifecycleEvent]) -> None:
        """Publish *events*, of which a second call may publish some again.

        Raises:
            TryAgainError: the bus did not take all of them.
        """
        ...
