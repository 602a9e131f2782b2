"""The port Metrics by CloudWatch's embedded metric format: a line of the log that makes metrics.

So a metric costs no call of AWS. See AWS's "Specification: Embedded metric format". Powertools has
a writer too, whose import costs a cold start 119 ms; this one needs `json`.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskrunner.model.metrics import Measurement, Metric
    from taskrunner.ports import Clock

NAMESPACE: Final = "TaskRunner"
DIMENSION: Final = "Stack"
POOL_DIMENSION: Final = "Pool"
_MOST_VALUES: Final = 100  # of one metric in one line
_MS_PER_S: Final = 1000


class EmbeddedMetrics:
    """`ports.Metrics` of the deployment *stack*; *write* writes a line to the function's log."""

    def __init__(
        self, stack: str, clock: Clock, write: Callable[[str], None] | None = None
    ) -> None:
        """Write nothing yet."""
        self._stack = stack
        self._clock = clock
        self._write = write or _write_line

    def record(self, *measurements: Measurement, **properties: str) -> None:
        """See the port. The measurements of each pool have lines of their own."""
        pools = dict.fromkeys(measurement.pool for measurement in measurements)
        for pool in pools:
            dimensions = {DIMENSION: self._stack}
            if pool is not None:
                dimensions[POOL_DIMENSION] = pool
            self._record([m for m in measurements if m.pool == pool], dimensions, properties)

    def _record(
        self,
        measurements: Sequence[Measurement],
        dimensions: Mapping[str, str],
        properties: Mapping[str, str],
    ) -> None:
        """Write lines of at most 100 metrics, which is more than there are."""
        values: defaultdict[Metric, list[float]] = defaultdict(list)
        for measurement in measurements:
            values[measurement.metric].append(measurement.value)
        longest = max(map(len, values.values()), default=0)
        for start in range(0, longest, _MOST_VALUES):
            part = {metric: many[start : start + _MOST_VALUES] for metric, many in values.items()}
            line = {metric: many for metric, many in part.items() if many}
            self._write(json.dumps(self._document(line, dimensions, properties)))

    def _document(
        self,
        values: Mapping[Metric, list[float]],
        dimensions: Mapping[str, str],
        properties: Mapping[str, str],
    ) -> dict[str, object]:
        directive = {
            "Namespace": NAMESPACE,
            "Dimensions": [list(dimensions)],
            "Metrics": [{"Name": metric.value, "Unit": metric.unit.value} for metric in values],
        }
        return {
            **properties,
            "_aws": {
                "Timestamp": round(self._clock.now().timestamp() * _MS_PER_S),
                "CloudWatchMetrics": [directive],
            },
            **dimensions,
            **{metric.value: _target(many) for metric, many in values.items()},
        }


def _write_line(line: str) -> None:
    """Write a line and its end at once. `print` writes them apart, and threads may come between."""
    sys.stdout.write(f"{line}\n")


def _target(values: list[float]) -> float | list[float]:
    return values[0] if len(values) == 1 else values
