"""The metrics of the deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskrunner.model.metrics import Measurement


class Metrics(Protocol):
    """Takes measurements. Their dimensions are the deployment and a pool, so series are few."""

    def record(self, *measurements: Measurement, **properties: str) -> None:
        """Record *measurements*, which may have several of one metric.

        *properties*, such as a tenant, are found in the log and make no series of their own.
        """
        ...
