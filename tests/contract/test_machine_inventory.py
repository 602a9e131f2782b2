"""The port MachineInventory over moto, and how it waits for AWS.

A test sets which machines of the fake are in use. So fake and adapter share only the contract of
`listing` and `delete`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from taskrunner.adapters.machine_inventory import StepFunctionsInventory
from taskrunner.errors import TryAgainError
from taskrunner.ports.machine_inventory import PackMachine
from tests.contract.ports import client, moto
from tests.fakes.machine_inventory import MemoryInventory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.ports import MachineInventory

HASHES = ["0" * 32, "1" * 32]
OURS = [f"taskrunner_a-pack-{digits}" for digits in HASHES]
OTHERS = [
    "taskrunner_pack-run",
    f"taskrunner_machine_a-pack-{HASHES[0]}",
    f"taskrunner-dev_a-pack-{HASHES[0]}",
    f"other_taskrunner_a-pack-{HASHES[0]}",
    "somebody-elses",
]
WAITS = {"StartAt": "w", "States": {"w": {"Type": "Wait", "Seconds": 600, "End": True}}}
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture(name="states")
def _states() -> Iterator[Any]:
    with moto():
        role = client("iam").create_role(RoleName="machines", AssumeRolePolicyDocument="{}")
        states = client("stepfunctions")
        for name in OURS + OTHERS:
            states.create_state_machine(
                name=name, definition=json.dumps(WAITS), roleArn=role["Role"]["Arn"]
            )
        yield states


def over(states: Any) -> StepFunctionsInventory:  # noqa: ANN401 - boto3's own
    return StepFunctionsInventory(states, "taskrunner", 30 * DAY, 90_000, lambda _: None)


def in_memory() -> MemoryInventory:
    return MemoryInventory(created=dict.fromkeys(OURS, NOW), others_in_account=len(OTHERS))


@pytest.mark.parametrize("kind", ["memory", "aws"])
def test_lists_and_deletes_the_machines_of_the_stacks_packs_alone(
    states: Any,  # noqa: ANN401 - boto3's own
    kind: str,
) -> None:
    port: MachineInventory = in_memory() if kind == "memory" else over(states)
    listing = port.listing()
    assert sorted(machine.name for machine in listing.machines) == OURS
    assert listing.in_account == len(OURS) + len(OTHERS)
    assert all(NOW - DAY < machine.created_at < NOW + DAY for machine in listing.machines)
    first, second = sorted(listing.machines)

    for _ in range(2):
        port.delete(first)

    assert [machine.name for machine in port.listing().machines] == [second.name]
    assert port.listing().in_account == len(OURS) + len(OTHERS) - 1


class TestUse:
    def machine(self, states: Any) -> PackMachine:  # noqa: ANN401 - boto3's own
        return next(found for found in over(states).listing().machines if found.name == OURS[0])

    def test_a_machine_without_executions_is_unused(self, states: Any) -> None:  # noqa: ANN401
        assert over(states).is_unused(self.machine(states), NOW - DAY)

    @pytest.mark.parametrize("since", [NOW - DAY, NOW + 40 * DAY])
    def test_a_machine_with_a_running_execution_is_used_however_old_that_is(
        self,
        states: Any,  # noqa: ANN401
        since: datetime,
    ) -> None:
        states.start_execution(stateMachineArn=self.machine(states).arn, name="one")

        assert not over(states).is_unused(self.machine(states), since)

    def test_a_machine_is_used_until_its_last_execution_ended_long_ago(self, states: Any) -> None:  # noqa: ANN401
        machine = self.machine(states)
        started = states.start_execution(stateMachineArn=machine.arn, name="one")
        states.stop_execution(executionArn=started["executionArn"])

        assert not over(states).is_unused(machine, NOW - DAY)
        assert over(states).is_unused(machine, NOW + 2 * DAY)

    def test_a_machine_that_is_gone_is_left_alone(self, states: Any) -> None:  # noqa: ANN401
        machine = self.machine(states)
        states.delete_state_machine(stateMachineArn=machine.arn)

        assert not over(states).is_unused(machine, NOW + DAY)


class Busy:
    """Step Functions, which refuses the first calls."""

    def __init__(self, refusals: int, error: str = "ThrottlingException") -> None:
        self.refusals, self.error = refusals, error
        self.deleted: list[str] = []
        self.pages = [["x"] * 1000, ["x"] * 3]

    def delete_state_machine(self, *, stateMachineArn: str) -> None:  # noqa: N803 - boto3's name
        if self.refusals:
            self.refusals -= 1
            raise ClientError({"Error": {"Code": self.error}}, "DeleteStateMachine")
        self.deleted.append(stateMachineArn)

    def list_state_machines(self, *, maxResults: int, nextToken: str = "0") -> dict[str, Any]:  # noqa: N803
        assert maxResults == 1000
        number = int(nextToken)
        found = [
            {"name": name, "stateMachineArn": "arn", "creationDate": NOW}
            for name in self.pages[number]
        ]
        more = {"nextToken": str(number + 1)} if number + 1 < len(self.pages) else {}
        return {"stateMachines": found, **more}


MACHINE = PackMachine(OURS[0], f"arn:{OURS[0]}", NOW)


def test_waits_a_second_for_each_deletion_that_aws_postpones() -> None:
    pauses: list[float] = []
    states = Busy(5)

    StepFunctionsInventory(states, "taskrunner", DAY, 90_000, pauses.append).delete(MACHINE)

    assert states.deleted == [MACHINE.arn]
    assert pauses == [1.0] * 5


def test_gives_up_after_half_a_minute() -> None:
    pauses: list[float] = []

    with pytest.raises(TryAgainError):
        StepFunctionsInventory(Busy(99), "taskrunner", DAY, 90_000, pauses.append).delete(MACHINE)

    assert sum(pauses) == 29


def test_does_not_wait_for_a_refusal_that_stays() -> None:
    pauses: list[float] = []
    states = Busy(1, "AccessDeniedException")

    with pytest.raises(ClientError):
        StepFunctionsInventory(states, "taskrunner", DAY, 90_000, pauses.append).delete(MACHINE)

    assert pauses == []


def test_reads_every_page_of_the_account() -> None:
    listing = StepFunctionsInventory(Busy(0), "taskrunner", DAY, 90_000, lambda _: None).listing()

    assert listing == ([], 1003)
