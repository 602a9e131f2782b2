"""The costs of an idle deployment in docs/: counts are those of a pass, and no two sums differ."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.machine.cost_page import (
    CALL_S,
    MINUTES_OF_A_MONTH,
    PAGE,
    PRICES,
    sums_in,
    table,
)
from tests.machine.counted import counted
from tests.template import ROOT, template

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.machine.counted import Counts
    from tests.machine.engine import Engine

ROWS: Final = table("| what | a month |")
# The rows of the page, with their prices in $.
KEY = "the KMS key that signs evidence"
INVOCATIONS = "invocations of `reconcile`, one a minute"
TIME = "time of `reconcile`, 0.1 s with 1 GiB, in GB-s"
READS = "read units of `reconcile`, 5 a pass"
METRICS = "metrics of `reconcile`"
DAILY_METRICS = "metrics of `remove_machines`, for one hour a day"
TRACES = "traces of `reconcile`"
LOG = "log of `reconcile`, in MB"
ALARMS = "alarms of CloudWatch"
DASHBOARD = "its dashboard, after the account's first three"
A_METRIC = 0.30  # which CloudWatch divides by the hours in which the metric has data
A_TRACE = 5.00 / 1_000_000
A_GB_OF_LOG = 0.50
A_CUSTOM_EVENT = 1.00 / 1_000_000  # of EventBridge
PRICES_OF_IDLE = {
    KEY: 1.00,
    INVOCATIONS: PRICES["invocations of functions"],
    TIME: PRICES["their time, in GB-s"],
    READS: PRICES["read units of DynamoDB"],
    METRICS: A_METRIC,
    DAILY_METRICS: A_METRIC / 24,
    TRACES: A_TRACE,
    LOG: A_GB_OF_LOG / 1000,
    ALARMS: 0.10,
    DASHBOARD: 3.00,
}
# Lambda's own lines of an invocation, `platform.start` and `platform.report`. This is assumed.
LAMBDAS_LINES_BYTES = 800
EVENT_BYTES = 26  # CloudWatch adds so much to each line
LINES_OF_LAMBDA = 2


def invoked(
    name: str, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> tuple[Counts, list[str]]:
    """Return what the function *name* takes while there is nothing to do, and its log."""
    with counted(engine) as counts:
        capsys.readouterr()
        engine.invoke(name, {})
    captured = capsys.readouterr()
    assert captured.err == ""
    return counts, captured.out.splitlines()


def metrics_in(lines: Iterable[str]) -> set[tuple[str, ...]]:
    """Return the metrics that CloudWatch makes of *lines*, by names and values of dimensions.

    CloudWatch takes money for each of these.
    """
    found = set()
    for line in map(json.loads, lines):
        for directive in line["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = [f"{name}={line[name]}" for name in names]
                found |= {
                    (directive["Namespace"], metric["Name"], *dimensions)
                    for metric in directive["Metrics"]
                }
    return found


def test_a_pass_with_nothing_due_takes_what_the_page_says(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    counts, lines = invoked("reconcile", engine, capsys)

    assert counts.calls == {"dynamodb:Query": 10}
    assert counts.units == {"half read": 10}
    assert ROWS[READS][0] == counts.read_units * MINUTES_OF_A_MONTH
    assert ROWS[METRICS][0] == len(metrics_in(lines))
    bytes_ = sum(len(line) for line in lines) + LAMBDAS_LINES_BYTES
    bytes_ += (len(lines) + LINES_OF_LAMBDA) * EVENT_BYTES
    assert ROWS[LOG][0] == pytest.approx(bytes_ * MINUTES_OF_A_MONTH / 1_000_000, rel=0.1)


def test_passes_write_the_same_metrics(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    passes = [metrics_in(invoked("reconcile", engine, capsys)[1]) for _ in range(3)]

    assert passes[0] == passes[1] == passes[2]


def test_the_daily_removal_of_machines_writes_as_many_metrics_as_the_page_says(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    _, lines = invoked("remove_machines", engine, capsys)

    assert ROWS[DAILY_METRICS][0] == len(metrics_in(lines))


def test_the_page_counts_all_that_is_called_on_a_schedule() -> None:
    scheduled = {
        name: event["Properties"]["Schedule"]
        for name, function in template()["Resources"].items()
        if function["Type"] == "AWS::Serverless::Function"
        for event in function["Properties"].get("Events", {}).values()
        if event["Type"] in {"Schedule", "ScheduleV2"}
    }

    assert scheduled == {
        "ReconcileFunction": "rate(1 minute)",
        "RemoveMachinesFunction": "rate(1 day)",
    }
    assert ROWS[INVOCATIONS][0] == MINUTES_OF_A_MONTH
    assert ROWS[TIME][0] == pytest.approx(MINUTES_OF_A_MONTH * CALL_S * memory_gib())


def memory_gib() -> float:
    properties: dict[str, Any] = template()["Resources"]["ReconcileFunction"]["Properties"]
    memory_mib: int = template()["Globals"]["Function"]["MemorySize"]
    assert "MemorySize" not in properties
    return memory_mib / 1024


def test_each_pass_is_traced() -> None:
    """X-Ray's default rule records the first request of each second, and a pass is one a minute."""
    assert template()["Globals"]["Function"]["Tracing"] == "Active"
    assert "Tracing" not in template()["Resources"]["ReconcileFunction"]["Properties"]
    assert ROWS[TRACES][0] == MINUTES_OF_A_MONTH


def test_the_page_counts_what_a_deployment_has_by_default() -> None:
    resources = [
        resource["Type"]
        for resource in template()["Resources"].values()
        if resource["Type"] != "AWS::CloudWatch::Alarm" or _is_by_default(resource)
    ]

    assert ROWS[ALARMS][0] == resources.count("AWS::CloudWatch::Alarm")
    assert ROWS[DASHBOARD][0] == resources.count("AWS::CloudWatch::Dashboard")
    assert ROWS[KEY][0] == resources.count("AWS::KMS::Key")
    assert "AWS::CloudWatch::CompositeAlarm" not in resources


def _is_by_default(alarm: dict[str, Any]) -> bool:
    """Return whether the alarm has no condition, or one on a parameter whose default is not 0."""
    assert "Metrics" not in alarm["Properties"]  # each of these would cost as much as an alarm
    if "Condition" not in alarm:
        return True
    reference, zero = template()["Conditions"][alarm["Condition"]]["Fn::Not"][0]["Fn::Equals"]
    assert zero == 0
    return bool(template()["Parameters"][reference["Ref"]]["Default"])


def test_the_sums_of_an_idle_deployment_are_right() -> None:
    right = {name: round(count * PRICES_OF_IDLE[name], 2) for name, (count, _) in ROWS.items()}

    assert ROWS.keys() == PRICES_OF_IDLE.keys()
    assert {name: stated for name, (_, stated) in ROWS.items()} == right


def stated_in_docs(words: str) -> dict[str, list[str]]:
    """Return the sums that each page states after *words*, for the pages that state any."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    found = {page.name: sums_in(page.read_text(encoding="utf-8"), words) for page in pages}
    return {name: sums for name, sums in found.items() if sums}


def test_all_pages_state_the_same_total_of_an_idle_deployment() -> None:
    total = f"{sum(stated for _, stated in ROWS.values()):.2f}"

    assert stated_in_docs("a deployment costs about") == {"aws.md": [total, total]}


def test_all_pages_state_the_same_total_of_the_reconciler() -> None:
    total = sum(stated for name, (_, stated) in ROWS.items() if "`reconcile`" in name)
    expected = [f"{total:.2f}"]

    stated = stated_in_docs("the reconciler costs about")
    assert stated == {"architecture.md": expected, "aws.md": expected}


def test_the_architecture_states_the_sum_of_the_metrics() -> None:
    (metrics,) = stated_in_docs("of which its nine metrics are").values()

    assert ROWS[METRICS] == (9, float(metrics[0]))


def test_the_page_states_the_prices_of_what_it_does_not_count() -> None:
    assert sums_in(PAGE, "CloudWatch takes") == [f"{A_METRIC:.2f}"]
    assert sums_in(PAGE, "It takes") == [f"{A_GB_OF_LOG:.2f}"]
    assert sums_in(PAGE, "and X-Ray takes") == [f"{A_TRACE * 1_000_000:.2f}"]
    assert sums_in(PAGE, "it would be") == [f"{MINUTES_OF_A_MONTH * A_CUSTOM_EVENT:.2f}"]
