"""Registries of container images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskrunner.executors.work import Images
    from taskrunner.model.plan import Sandbox


class Registries(Protocol):
    """The records that registries have of images."""

    def within(self, sandbox: Sandbox) -> Images:
        """Return the records of those registries that a pack's *sandbox* allows."""
        ...
