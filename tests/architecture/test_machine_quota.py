"""One parameter says when the account nears AWS's quota of machines, to the alarm and the API."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from taskrunner.adapters.table_layout import MACHINE_COUNT
from taskrunner.model.machine_count import NEAR, REACHED
from tests.architecture.policies import actions, statements
from tests.template import ROOT, functions, template

PARAMETER = "MachineWarningCount"
PAGES = {
    name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("api.md", "operations.md")
}


def granted(function: str) -> list[dict[str, Any]]:
    """Return the statements that let *function* reach the item of the count."""
    return [
        statement
        for _, statement in statements(functions()[function].get("Policies"))
        if MACHINE_COUNT.pk in json.dumps(statement.get("Condition", {})).split('"')
    ]


def test_the_alarm_rings_from_the_number_on_that_the_api_warns_of() -> None:
    alarm = template()["Resources"]["MachineQuotaAlarm"]["Properties"]
    variables = functions()["RemoveMachinesFunction"]["Environment"]["Variables"]

    assert alarm["Threshold"] == variables["MACHINE_WARNING_COUNT"] == {"Ref": PARAMETER}
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert alarm["Statistic"] == "Maximum"


def test_the_parameter_is_nine_tenths_of_awss_quota() -> None:
    parameter = template()["Parameters"][PARAMETER]

    assert parameter["Default"] == 0.9 * 100_000
    assert (parameter["MinValue"], parameter["MaxValue"]) == (1, 150_000)
    assert f"`{PARAMETER}` state machines in the Region (90,000)" in " ".join(
        PAGES["operations.md"].split()
    )


def test_another_number_publishes_a_version_of_the_function() -> None:
    description = json.dumps(functions()["RemoveMachinesFunction"]["VersionDescription"])

    assert f"${{{PARAMETER}}}" in description


def test_the_daily_pass_alone_writes_the_count_and_create_run_alone_reads_it() -> None:
    may = {
        name: [action for statement in granted(name) for action in actions(statement)]
        for name in functions()
        if granted(name)
    }

    assert may == {
        "RemoveMachinesFunction": ["dynamodb:PutItem"],
        "CreateRunFunction": ["dynamodb:GetItem"],
    }


@pytest.mark.parametrize("name", ["RemoveMachinesFunction", "CreateRunFunction"])
def test_they_reach_no_other_item_by_that(name: str) -> None:
    (statement,) = granted(name)

    keys = {"dynamodb:LeadingKeys": [MACHINE_COUNT.pk]}
    assert statement["Condition"] == {"ForAllValues:StringLike": keys}
    assert statement["Resource"] == {"Fn::GetAtt": "RunTable.Arn"}


def test_the_page_and_the_document_have_the_codes_of_warnings() -> None:
    section = PAGES["api.md"].partition("\n## Warnings\n")[2].partition("\n## ")[0]
    document = yaml.load(
        (ROOT / "functions/describe_api/openapi.yaml").read_text(encoding="utf-8"),
        yaml.CSafeLoader,
    )
    described = document["components"]["schemas"]["RunWarning"]["properties"]["code"]["description"]

    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [NEAR, REACHED]
    assert re.findall(r"(\w+):", described) == [NEAR, REACHED]
