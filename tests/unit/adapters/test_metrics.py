"""The embedded metric format: what CloudWatch makes metrics of."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from taskrunner.adapters.metrics import EmbeddedMetrics
from taskrunner.model.metrics import Measurement, Metric
from tests.fakes.clock import StoppedClock

# The schema in AWS's "Specification: Embedded metric format", with its limits.
_TARGET = {"type": "string", "minLength": 1, "maxLength": 1024}
EMF_SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "properties": {
                            "Namespace": _TARGET,
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {
                                    "type": "array",
                                    "minItems": 1,
                                    "maxItems": 30,
                                    "items": {"type": "string", "minLength": 1, "maxLength": 250},
                                },
                            },
                            "Metrics": {
                                "type": "array",
                                "minItems": 1,
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "properties": {
                                        "Name": _TARGET,
                                        "Unit": {"enum": ["Seconds", "Count"]},
                                        "StorageResolution": {"enum": [1, 60]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}


def written(*measurements: Measurement, **properties: str) -> list[dict[str, Any]]:
    lines: list[str] = []
    EmbeddedMetrics("taskrunner-dev", StoppedClock(), lines.append).record(
        *measurements, **properties
    )
    documents = [json.loads(line) for line in lines]
    for document in documents:
        jsonschema_rs.validate(EMF_SCHEMA, document)
        _assert_targets_exist(document)
    return documents


class Output:
    """Keeps each write."""

    def __init__(self) -> None:
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


def _assert_targets_exist(document: dict[str, Any]) -> None:
    """Each dimension is a text, and each metric a number or at most 100 of them, in the line."""
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            assert all(isinstance(document[name], str) for name in names)
        for metric in directive["Metrics"]:
            value = document[metric["Name"]]
            values = value if isinstance(value, list) else [value]
            assert 1 <= len(values) <= 100
            assert all(isinstance(number, int | float) for number in values)


def test_writes_one_line_with_all_metrics() -> None:
    (line,) = written(Measurement(Metric.RUNS_FAILED, 1), Measurement(Metric.RUN_TIME, 12.5))

    assert (line["Stack"], line["RunsFailed"], line["RunTime"]) == ("taskrunner-dev", 1, 12.5)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "TaskRunner"
    assert directive["Metrics"] == [
        {"Name": "RunsFailed", "Unit": "Count"},
        {"Name": "RunTime", "Unit": "Seconds"},
    ]


def test_a_tenant_is_in_the_line_and_no_dimension() -> None:
    (line,) = written(Measurement(Metric.RUNS_FAILED, 1), tenant="acme")

    assert line["tenant"] == "acme"
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Stack"]]


def test_the_measurements_of_a_pool_have_a_line_with_its_dimension() -> None:
    total, linux, gpu = written(
        Measurement(Metric.WAITING_JOBS, 3),
        Measurement(Metric.WAITING_JOBS, 2, "linux"),
        Measurement(Metric.OLDEST_JOB_AGE, 90, "linux"),
        Measurement(Metric.WAITING_JOBS, 1, "gpu"),
    )

    dimensions = [
        line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] for line in (total, linux, gpu)
    ]
    assert dimensions == [[["Stack"]], [["Stack", "Pool"]], [["Stack", "Pool"]]]
    assert (total["WaitingJobs"], linux["WaitingJobs"], gpu["WaitingJobs"]) == (3, 2, 1)
    assert (linux["Pool"], linux["OldestJobAge"], gpu["Pool"]) == ("linux", 90, "gpu")
    assert "Pool" not in total


def test_the_time_is_in_milliseconds() -> None:
    (line,) = written(Measurement(Metric.RUNS_FAILED, 1))

    assert line["_aws"]["Timestamp"] == StoppedClock().now().timestamp() * 1000


@pytest.mark.parametrize(("count", "lines"), [(100, [100]), (101, [100, 1]), (250, [100, 100, 50])])
def test_many_values_of_one_metric_are_divided(count: int, lines: list[int]) -> None:
    found = written(*[Measurement(Metric.STEP_TIME, n) for n in range(count)])

    values = [line["StepTime"] for line in found]
    assert [len(value) if isinstance(value, list) else 1 for value in values] == lines


def test_writes_nothing_when_there_is_nothing_to_write() -> None:
    assert written() == []


def test_a_line_and_its_end_are_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of the reconciler write too, and nothing may come between."""
    output = Output()
    monkeypatch.setattr("sys.stdout", output)

    EmbeddedMetrics("taskrunner", StoppedClock()).record(
        Measurement(Metric.NOTIFICATIONS_FAILED, 1)
    )

    (line,) = output.writes
    assert line.endswith("}\n")


def test_a_broken_line_does_not_pass() -> None:
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(EMF_SCHEMA, {"_aws": {"Timestamp": "now", "CloudWatchMetrics": []}})
