"""The tenant's bundles and environments, which executors use beside their run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskrunner.executors.work import Bundles, Environments
    from taskrunner.model.run import Run


class Releases(Protocol):
    """The bundles and environments of all tenants."""

    def bundles(self, run: Run) -> Bundles:
        """Return the tenant's bundles, as this run sees them."""
        ...

    def environments(self, run: Run, path: str) -> Environments:
        """Return the tenant's environments, as the run's step at *path* sees them."""
        ...
