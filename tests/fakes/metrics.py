"""Metrics in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskrunner.model.metrics import Measurement, Metric


@dataclass
class MemoryMetrics:
    """Keeps what is recorded, each measurement with its properties, in its order."""

    recorded: list[tuple[Measurement, dict[str, str]]] = field(default_factory=list)

    def record(self, *measurements: Measurement, **properties: str) -> None:
        self.recorded += [(measurement, properties) for measurement in measurements]

    def values(self, metric: Metric) -> list[float]:
        """Return the values of *metric* in the order in which they were recorded."""
        return [found.value for found, _ in self.recorded if found.metric is metric]
