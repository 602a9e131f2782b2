"""docs/operations.md, the template's alarms and dashboard, and the metrics agree."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from taskrunner.adapters.metrics import DIMENSION, NAMESPACE, POOL_DIMENSION
from taskrunner.model import timestamp
from taskrunner.model.due_work import lease_until
from taskrunner.model.metrics import Metric
from tests.template import ROOT, functions, template

PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
ALARMS: dict[str, dict[str, Any]] = {
    name: resource["Properties"]
    for name, resource in template()["Resources"].items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
NOON = datetime(2025, 12, 6, 12, tzinfo=UTC)
OURS = {name: alarm for name, alarm in ALARMS.items() if alarm["Namespace"] == NAMESPACE}


def test_every_alarm_has_its_section_and_every_section_its_alarm() -> None:
    sections = re.findall(r"^### (\w+Alarm)$", PAGE, re.MULTILINE)

    assert sections == list(ALARMS)


def test_the_table_has_every_metric_and_no_others() -> None:
    table = PAGE.partition("## Metrics")[2].partition("## Alarms")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)

    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(metric.value for metric in Metric)


def test_an_alarm_looks_at_a_metric_that_is_written() -> None:
    metrics = {metric.value for metric in Metric}

    assert {alarm["MetricName"] for alarm in OURS.values()} <= metrics
    for alarm in OURS.values():
        assert alarm["Dimensions"] == [{"Name": DIMENSION, "Value": {"Ref": "AWS::StackName"}}]


def test_a_gauge_is_compared_by_its_maximum_and_a_count_by_its_sum() -> None:
    gauges = {
        "OpenGates",
        "OldestGateAge",
        "DueWork",
        "DueWorkAge",
        "OldestJobAge",
        "StateMachines",
    }

    assert {name: alarm["Statistic"] for name, alarm in OURS.items()} == {
        name: "Maximum" if alarm["MetricName"] in gauges else "Sum" for name, alarm in OURS.items()
    }


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_notifies_the_topic_and_says_where_it_is_explained(name: str) -> None:
    alarm = ALARMS[name]
    notified = [{"Fn::If": ["WithAlarmTopic", {"Ref": "AlarmTopic"}, {"Ref": "AWS::NoValue"}]}]

    assert alarm["AlarmActions"] == alarm["OKActions"] == notified
    assert alarm["AlarmDescription"].endswith("; see docs/operations.md")


def test_only_a_stopped_reconciler_is_seen_by_missing_data() -> None:
    breaching = [name for name, a in ALARMS.items() if a["TreatMissingData"] == "breaching"]

    assert breaching == ["ReconcilerStoppedAlarm"]


def test_the_alarm_of_notifications_lasts_as_long_as_sns_refuses_one() -> None:
    """Passes come every minute, and each look sets the time before which there is none."""
    alarm = ALARMS["NotificationsFailedAlarm"]
    refused = [NOON, NOON + timedelta(minutes=1)]
    for looks in range(30):
        refused.append(timestamp.from_text(lease_until(refused[-1], looks)) + timedelta(minutes=1))
    periods = sorted({(at - NOON).total_seconds() // alarm["Period"] for at in refused})

    needed, window = alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]
    gaps = [last - first for first, last in zip(periods, periods[needed:], strict=False)]
    assert max(gaps) <= window
    assert periods[needed - 1] * alarm["Period"] <= 20 * 60
    # A disturbance of less than a period is in two of them at most.
    assert needed > 2


def test_no_alarm_looks_at_lambdas_errors() -> None:
    """They count the failures of packs, because a failed step raises."""
    assert [name for name, alarm in ALARMS.items() if alarm["MetricName"] == "Errors"] == []


def dashboard_rows() -> list[list[Any]]:
    body = template()["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(body.replace("${AWS::StackName}", "s").replace("${AWS::Region}", "r"))
    return [metric for w in widgets["widgets"] for metric in w["properties"]["metrics"]]


def test_throttled_steps_are_seen_though_none_of_our_code_runs_then() -> None:
    alarm = ALARMS["ThrottledStepsAlarm"]

    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", "Throttles")
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "RunStepFunction"}}]
    shown = ["AWS/Lambda", "Throttles", "FunctionName", "${RunStepFunction}"]
    assert shown in [row[:4] for row in dashboard_rows()]


def test_the_dashboard_shows_every_metric() -> None:
    rows = dashboard_rows()
    shown = [row for row in rows if not isinstance(row[0], dict)]
    (pools,) = (row[0]["expression"] for row in rows if isinstance(row[0], dict))
    assert pools.startswith(f"SEARCH('{{{NAMESPACE},{POOL_DIMENSION},{DIMENSION}}}")
    assert {name for space, name, *_ in shown if space == NAMESPACE} == {m.value for m in Metric}
    assert all(rest[:2] == [DIMENSION, "s"] for space, _, *rest in shown if space == NAMESPACE)


def test_what_is_called_asynchronously_has_a_dead_letter_queue() -> None:
    queue = {"Fn::GetAtt": "DeadLetters.Arn"}
    asynchronous = {
        name: properties
        for name, properties in functions().items()
        if any(
            e["Type"] in {"Schedule", "EventBridgeRule"}
            for e in properties.get("Events", {}).values()
        )
    }

    assert set(asynchronous) == {
        "EndMachineCallFunction",
        "ReconcileFunction",
        "RemoveMachinesFunction",
        "SettleRunFunction",
    }
    for properties in asynchronous.values():
        assert properties["DeadLetterQueue"]["TargetArn"] == queue
        for event in properties["Events"].values():
            assert event["Properties"]["DeadLetterConfig"] == {"Arn": queue}
    stream = template()["Resources"]["RunStream"]["Properties"]
    assert stream["DestinationConfig"] == {"OnFailure": {"Destination": queue}}


def test_the_table_of_dead_letters_has_every_sender_and_no_others() -> None:
    resources = template()["Resources"]
    queued = {name: f for name, f in functions().items() if "DeadLetterQueue" in f}
    senders = {
        (event, called(name)) for name, f in queued.items() for event in f.get("Events", {})
    } | {
        (resource["Type"], called(resource["Properties"]["ServiceToken"]["Ref"]))
        for resource in resources.values()
        if resource["Type"].startswith("Custom::")
    }
    stream = resources["RunStream"]["Properties"]["FunctionName"]["Ref"]
    senders |= {("RunStream", called(stream)), ("reconcile", "settle_run")}

    section = PAGE.partition("\n## Dead letters\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| .*? \| (.*?) \| .*? \|$", section, re.MULTILINE)[1:]
    named = [tuple(re.findall(r"`(.*?)`", row)) for row in rows]
    assert sorted(named) == sorted(senders)
    # A queued function without an event or a resource is called by a sender that is not counted.
    assert {called(name) for name in queued} <= {function for _, function in senders}


def called(reference: str) -> str:
    """Return the name of the function that a reference of the template means."""
    code: str = functions()[reference.removesuffix(".Alias")]["CodeUri"]
    return code.strip("/").rpartition("/")[2]


def test_the_stream_brings_no_item_that_has_a_task_token() -> None:
    filters = template()["Resources"]["RunStream"]["Properties"]["FilterCriteria"]["Filters"]
    patterns = [json.loads(entry["Pattern"]) for entry in filters]

    prefixes = [p["dynamodb"]["Keys"]["sk"]["S"][0]["prefix"] for p in patterns]
    assert prefixes == ["J#", "A#"]
    assert all("REMOVE" not in pattern["eventName"] for pattern in patterns)
