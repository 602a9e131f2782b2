"""Container images in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.fakes.executor_world import MemoryImages

if TYPE_CHECKING:
    from taskrunner.model.plan import Sandbox


@dataclass
class MemoryRegistries:
    """The same images for every pack."""

    images: MemoryImages = field(default_factory=MemoryImages)

    def within(self, sandbox: Sandbox) -> MemoryImages:  # noqa: ARG002 - the port's form
        return self.images
