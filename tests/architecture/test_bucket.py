"""The bucket's lifecycle goes by the tags that the adapters write; steps have their room."""

from __future__ import annotations

import pytest

from taskrunner.adapters import retention
from taskrunner.model.plan import Sandbox
from tests.template import functions, template

PARAMETERS = template()["Parameters"]
DAYS_IN_A_YEAR = 366


def rules() -> dict[str, object]:
    """After how many days the objects of a tag go."""
    configuration = template()["Resources"]["RunBucket"]["Properties"]["LifecycleConfiguration"]
    return {
        f"{tag['Key']}={tag['Value']}": rule["ExpirationInDays"]
        for rule in configuration["Rules"]
        for tag in rule.get("TagFilters", [])
        if rule["Status"] == "Enabled"
    }


def test_there_is_one_rule_for_each_tag() -> None:
    assert rules() == {
        retention.OF_A_RUN: {"Ref": "RetentionDays"},
        retention.OF_A_LONG_RUN: {"Ref": "LongRunRetentionDays"},
    }


def test_nothing_expires_without_its_tag() -> None:
    configuration = template()["Resources"]["RunBucket"]["Properties"]["LifecycleConfiguration"]

    without = [rule for rule in configuration["Rules"] if "TagFilters" not in rule]

    assert [rule["Id"] for rule in without] == ["abort-incomplete-uploads"]
    assert not any("ExpirationInDays" in rule for rule in without)


def test_by_default_all_is_kept_for_a_month() -> None:
    shared = template()["Globals"]["Function"]["Environment"]["Variables"]

    assert PARAMETERS["RetentionDays"]["Default"] == 30
    assert shared["RETENTION_DAYS"] == {"Ref": "RetentionDays"}


def test_a_long_runs_objects_outlive_its_items() -> None:
    days = {name: PARAMETERS[name] for name in ("RetentionDays", "LongRunRetentionDays")}
    short, long = days["RetentionDays"], days["LongRunRetentionDays"]

    for bound in ("Default", "MinValue", "MaxValue"):
        assert long[bound] >= short[bound] + DAYS_IN_A_YEAR


@pytest.mark.parametrize(
    ("where", "parameter", "default"),
    [("MemorySize", "StepMemoryMiB", 1024), ("EphemeralStorage", "StepDiskMiB", 2048)],
)
def test_the_steps_have_the_memory_and_the_disk_that_a_deployment_chooses(
    where: str, parameter: str, default: int
) -> None:
    chosen = functions()["RunStepFunction"][where]

    assert chosen in ({"Ref": parameter}, {"Size": {"Ref": parameter}})
    assert PARAMETERS[parameter]["Default"] == default
    assert Sandbox().memory_limit_mib < PARAMETERS["StepMemoryMiB"]["Default"]


@pytest.mark.parametrize(
    "name", ["ReadRunFunction", "DecideApprovalFunction", "RunStepFunction", "SettleRunFunction"]
)
def test_who_tells_what_has_expired_may_tell_it_from_what_is_forbidden(name: str) -> None:
    """S3 says 404 only to those who may list the bucket, and 403 to others."""
    policies = [one for one in functions()[name]["Policies"] if "Statement" in one]
    allowed = {one["Sid"]: one for policy in policies for one in policy["Statement"]}

    assert allowed["DistinguishMissingFromForbidden"] == {
        "Sid": "DistinguishMissingFromForbidden",
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": {"Fn::GetAtt": "RunBucket.Arn"},
    }
