"""The scan results that container registries have stored of their images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskrunner.executors.work import Images
    from taskrunner.model.plan import Sandbox


class Registries(Protocol):
    """The scan results that registries have stored."""

    def within(self, sandbox: Sandbox) -> Images:
        """Return the scan results of those registries that a pack's *sandbox* allows."""
        ...
