"""AWS would allow every call of the play, and would refuse its variations.

test_permissions.py compares calls with what a role's own policies grant. Here the boundary, the
policies of the bucket, the topic and the key, and all conditions take part.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.security.permissions.evaluation import TLS, Account, Call
from tests.template import functions

if TYPE_CHECKING:
    from tests.security.permissions.covering import Play

PLAIN_HTTP = {"aws:SecureTransport": ["false"]}


@pytest.fixture(name="account", scope="module")
def _account(played: Play) -> Account:
    return Account(played.names)


@pytest.fixture(name="calls", scope="module")
def _calls(played: Play) -> list[Call]:
    return [Call.of(function, need) for function, needs in played.needs.items() for need in needs]


def test_every_call_of_the_play_is_allowed(account: Account, calls: list[Call]) -> None:
    assert len(calls) > 100
    assert [call for call in calls if not account.allows(call)] == []


def test_the_bucket_and_the_topic_refuse_every_call_over_plain_http(
    account: Account, calls: list[Call], played: Play
) -> None:
    guarded = tuple(played.names.text({"Ref": name}) for name in ("RunBucket.Arn", "ApprovalTopic"))
    plain = [
        replace(call, context={**call.context, **PLAIN_HTTP})
        for call in calls
        if call.resource.startswith(guarded)
    ]

    assert {call.action.partition(":")[0] for call in plain} == {"s3", "sns"}
    assert [call for call in plain if account.allows(call)] == []


def test_no_other_function_may_sign(account: Account, played: Play) -> None:
    key = played.names.text({"Ref": "EvidenceKey.Arn"})

    may = {name for name in functions() if account.allows(Call(name, "kms:Sign", key))}

    assert may == {"SettleRunFunction"}


def test_the_boundary_keeps_functions_to_their_own_log_group(account: Account) -> None:
    """SAM gives each function AWS's policy for the logs of every group."""
    ours = "arn:aws:logs:us-east-1:123456789012:log-group:ours"

    for function in functions():
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            assert account.allows(Call(function, action, f"{ours}:log-stream:a"))
            assert not account.allows(Call(function, action, f"{ours}-other:log-stream:a"))
        assert not account.allows(Call(function, "logs:CreateLogGroup", ours))
        assert account.allows(Call(function, "xray:PutTraceSegments", "*"))


def test_a_role_is_passed_to_step_functions_only(account: Account, calls: list[Call]) -> None:
    passed = [call for call in calls if call.action == "iam:PassRole"]

    assert passed
    for call in passed:
        elsewhere = {**TLS, "iam:PassedToService": ["lambda.amazonaws.com"]}
        assert not account.allows(replace(call, context=elsewhere))


def test_no_function_reaches_a_partition_of_another_kind(
    account: Account, calls: list[Call], played: Play
) -> None:
    """A client's entry says what it may do, so only administrators of the account write them."""
    table = played.names.text({"Ref": "RunTable.Arn"})
    tables = [call for call in calls if call.resource == table]

    assert tables
    for key in ("X#any", "tenant-prod"):
        context = {**TLS, "dynamodb:LeadingKeys": [key]}
        assert not any(account.allows(replace(call, context=context)) for call in tables)
    writes = ("dynamodb:PutItem", "dynamodb:UpdateItem")
    count = {**TLS, "dynamodb:LeadingKeys": ["M"]}
    assert [
        function
        for function in functions()
        if any(account.allows(Call(function, action, table, count)) for action in writes)
    ] == ["RemoveMachinesFunction"]
    registry = {**TLS, "dynamodb:LeadingKeys": ["C#anybody"]}
    assert not any(
        account.allows(Call(function, action, table, registry))
        for function in functions()
        for action in writes
    )
