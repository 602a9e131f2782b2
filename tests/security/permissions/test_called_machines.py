"""Machines of others, which steps call: only one function starts them, and no pack's machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.compiler.machine.names import machine_name
from taskrunner.model.machine_call import machine_of
from tests.security.permissions.evaluation import Account, Call
from tests.template import functions, template

if TYPE_CHECKING:
    from tests.security.permissions.covering import Play

HERE = "arn:aws:states:us-east-1:123456789012"
CALLED = f"{HERE}:stateMachine:taskrunner_machine_import-orders"
EXECUTION = f"{HERE}:execution:taskrunner_machine_import-orders:run-7"
OF_A_PACK = f"{HERE}:stateMachine:taskrunner_machine-import-{'0' * 32}"


@pytest.fixture(name="account", scope="module")
def _account(played: Play) -> Account:
    return Account(played.names)


def may(account: Account, action: str, resource: str) -> set[str]:
    return {name for name in functions() if account.allows(Call(name, action, resource))}


def test_one_function_alone_starts_machines_of_others(account: Account) -> None:
    assert may(account, "states:StartExecution", CALLED) == {"CallMachineFunction"}


def test_it_starts_no_machine_of_a_pack(account: Account) -> None:
    starters = {"CreateRunFunction", "ReconcileFunction"}

    assert may(account, "states:StartExecution", OF_A_PACK) == starters


def test_nobody_makes_or_deletes_machines_of_others(account: Account) -> None:
    for name in ("taskrunner_machine_import-orders", f"taskrunner_machine_a-{'0' * 32}"):
        resource = f"{HERE}:stateMachine:{name}"
        for action in ("states:CreateStateMachine", "states:DeleteStateMachine"):
            assert may(account, action, resource) == set()


def test_nobody_reads_machines_of_others(account: Account) -> None:
    of_a_pack = f"{HERE}:stateMachine:taskrunner_a-pack-{'0' * 32}"

    for resource in (CALLED, f"{HERE}:stateMachine:taskrunner_machine_a-{'0' * 32}"):
        assert may(account, "states:DescribeStateMachine", resource) == set()
    for resource in (OF_A_PACK, of_a_pack):
        assert may(account, "states:DescribeStateMachine", resource) == {
            "CreateRunFunction",
            "ReconcileFunction",
        }


def test_few_functions_see_and_stop_their_executions(account: Account) -> None:
    assert may(account, "states:DescribeExecution", EXECUTION) == {
        "EndMachineCallFunction",
        "ReconcileFunction",
    }
    assert may(account, "states:StopExecution", EXECUTION) == {
        "CallMachineFunction",
        "CancelRunFunction",
        "ReconcileFunction",
    }


def test_the_machine_role_starts_none() -> None:
    policies = template()["Resources"]["MachineRole"]["Properties"]["Policies"]
    [denied] = [
        statement
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
    ]

    assert denied["Action"] == "states:StartExecution"
    assert denied["Resource"]["Fn::Sub"].endswith(":stateMachine:${AWS::StackName}_machine_*")


@pytest.mark.parametrize("pack_name", ["a", "machine", "machine-a", "m" * 63])
def test_no_step_can_name_the_machine_of_a_pack(pack_name: str) -> None:
    name = machine_name("taskrunner", pack_name, "0" * 64)

    called = name.removeprefix("taskrunner_machine_")

    assert called == name or machine_of(f"states:{called}") is None


def rule(logical_id: str) -> dict[str, Any]:
    [event] = [
        event
        for event in functions()[logical_id]["Events"].values()
        if event["Type"] == "EventBridgeRule"
    ]
    detail: dict[str, Any] = event["Properties"]["Pattern"]["detail"]
    return detail


def test_an_end_of_an_execution_is_reported_to_one_function() -> None:
    of_packs, of_calls = rule("SettleRunFunction"), rule("EndMachineCallFunction")
    [[prefix]] = [entry.values() for entry in of_calls["stateMachineArn"]]
    [[excluded]] = [entry.values() for entry in of_packs["executionArn"]]

    assert prefix["Fn::Sub"].endswith(":stateMachine:${AWS::StackName}_machine_")
    assert excluded["prefix"]["Fn::Sub"] == prefix["Fn::Sub"].replace("stateMachine", "execution")
    assert of_calls["status"] == ["SUCCEEDED", *of_packs["status"]]
