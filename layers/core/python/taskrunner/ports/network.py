"""Network connections of a pack's sandbox, limited to its egress allowlist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskrunner.executors.work import Network
    from taskrunner.model.plan import Sandbox


class Networks(Protocol):
    """The network, as far as packs may use it."""

    def within(self, sandbox: Sandbox) -> Network:
        """Return as much of the network as a pack's *sandbox* allows."""
        ...
