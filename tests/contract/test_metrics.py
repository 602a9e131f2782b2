"""The port Metrics: measurements with their properties."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from taskrunner.adapters.metrics import EmbeddedMetrics
from taskrunner.model.metrics import Measurement, Metric
from tests.fakes.clock import StoppedClock
from tests.fakes.metrics import MemoryMetrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner import ports


@dataclass
class Recorded:
    """The port, and the values of a metric that were recorded for a tenant."""

    metrics: ports.Metrics
    values: Callable[[Metric, str], list[float]]


@pytest.fixture(name="recorded", params=["memory", "aws"])
def _recorded(request: pytest.FixtureRequest) -> Recorded:
    if request.param == "memory":
        fake = MemoryMetrics()
        return Recorded(
            fake,
            lambda metric, tenant: [
                found.value
                for found, properties in fake.recorded
                if found.metric is metric and properties.get("tenant") == tenant
            ],
        )
    lines: list[str] = []

    def values(metric: Metric, tenant: str) -> list[float]:
        documents = [json.loads(line) for line in lines]
        found = [d[metric] for d in documents if metric in d and d.get("tenant") == tenant]
        return [n for value in found for n in (value if isinstance(value, list) else [value])]

    return Recorded(EmbeddedMetrics("taskrunner", StoppedClock(), lines.append), values)


def test_records_each_measurement_with_its_properties(recorded: Recorded) -> None:
    recorded.metrics.record(
        Measurement(Metric.STEP_TIME, 1.5),
        Measurement(Metric.RUNS_FAILED, 1),
        Measurement(Metric.STEP_TIME, 2),
        tenant="acme",
    )
    recorded.metrics.record(Measurement(Metric.STEP_TIME, 3), tenant="other")

    assert recorded.values(Metric.STEP_TIME, "acme") == [1.5, 2]
    assert recorded.values(Metric.RUNS_FAILED, "acme") == [1]
    assert recorded.values(Metric.STEP_TIME, "other") == [3]
