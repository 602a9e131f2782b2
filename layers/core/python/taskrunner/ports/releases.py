"""The tenant's bundles and environments, which executors use beside their run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.executors.work import Bundle, Environments
    from taskrunner.model.run import Run


class BundleStore(Protocol):
    """The bundles of one tenant."""

    def put(self, file: Path) -> Bundle:
        """Store a file; the same content gives the same bundle."""
        ...

    def find(self, reference: str) -> Bundle | None:
        """Return the bundle with that reference or digest, or None."""
        ...


class Releases(Protocol):
    """The bundles and environments of all tenants."""

    def bundles(self, tenant: str) -> BundleStore:
        """Return the tenant's bundles."""
        ...

    def environments(self, run: Run, path: str) -> Environments:
        """Return the tenant's environments, as the run's step at *path* sees them."""
        ...
