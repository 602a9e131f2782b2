"""The bucket's lifecycle has a rule for each tag that the adapters write."""

from __future__ import annotations

import pytest

from taskrunner.adapters import retention
from taskrunner.model.plan import Sandbox
from tests.architecture.policies import actions, statements
from tests.template import functions, template

PARAMETERS = template()["Parameters"]
DAYS_IN_A_YEAR = 366


def rules() -> dict[str, object]:
    """Return for each tag the number of days after which its objects expire."""
    configuration = template()["Resources"]["RunBucket"]["Properties"]["LifecycleConfiguration"]
    return {
        f"{tag['Key']}={tag['Value']}": rule["ExpirationInDays"]
        for rule in configuration["Rules"]
        for tag in rule.get("TagFilters", [])
        if rule["Status"] == "Enabled"
    }


def test_each_tag_has_one_rule() -> None:
    assert rules() == {
        retention.SHORT_RUN_TAG: {"Ref": "RetentionDays"},
        retention.LONG_RUN_TAG: {"Ref": "LongRunRetentionDays"},
    }


def test_objects_without_a_tag_never_expire() -> None:
    configuration = template()["Resources"]["RunBucket"]["Properties"]["LifecycleConfiguration"]

    untagged = [rule for rule in configuration["Rules"] if "TagFilters" not in rule]

    assert [rule["Id"] for rule in untagged] == ["abort-incomplete-uploads"]
    assert not any("ExpirationInDays" in rule for rule in untagged)


def test_everything_is_kept_for_30_days_by_default() -> None:
    shared = template()["Globals"]["Function"]["Environment"]["Variables"]

    assert PARAMETERS["RetentionDays"]["Default"] == 30
    assert shared["RETENTION_DAYS"] == {"Ref": "RetentionDays"}


def test_the_objects_of_a_long_run_outlive_its_items() -> None:
    days = {name: PARAMETERS[name] for name in ("RetentionDays", "LongRunRetentionDays")}
    short, long = days["RetentionDays"], days["LongRunRetentionDays"]

    for bound in ("Default", "MinValue", "MaxValue"):
        assert long[bound] >= short[bound] + DAYS_IN_A_YEAR


@pytest.mark.parametrize(
    ("property_name", "parameter", "default"),
    [("MemorySize", "StepMemoryMiB", 1769), ("EphemeralStorage", "StepDiskMiB", 2048)],
)
def test_a_deployment_chooses_the_memory_and_the_disk_of_steps(
    property_name: str, parameter: str, default: int
) -> None:
    chosen = functions()["RunStepFunction"][property_name]

    assert chosen in ({"Ref": parameter}, {"Size": {"Ref": parameter}})
    assert PARAMETERS[parameter]["Default"] == default
    assert Sandbox().memory_limit_mib < PARAMETERS["StepMemoryMiB"]["Default"]


@pytest.mark.parametrize(
    "name", ["ReadRunFunction", "DecideApprovalFunction", "RunStepFunction", "SettleRunFunction"]
)
def test_functions_that_read_expiring_objects_may_list_the_bucket(name: str) -> None:
    """S3 answers 404 for a missing object only to callers who may list the bucket, else 403."""
    listing = [
        statement
        for _, statement in statements(functions()[name]["Policies"])
        if "s3:ListBucket" in actions(statement)
    ]

    assert [(statement["Effect"], statement["Resource"]) for statement in listing] == [
        ("Allow", {"Fn::GetAtt": "RunBucket.Arn"})
    ]
