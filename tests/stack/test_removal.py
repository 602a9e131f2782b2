"""A stack that is deleted takes the machines of its packs with it, and no others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner_cli.local import deployment, emulator
from tests.stack.own_stack import own_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

STACK = "leaving"
WAITS = {"StartAt": "w", "States": {"w": {"Type": "Wait", "Seconds": 600, "End": True}}}
OURS = [f"{STACK}_a-pack-{digit * 32}" for digit in "01"]
OTHERS = [f"{STACK}-dev_a-pack-{'0' * 32}", f"{STACK}_by-somebody-else"]


@pytest.mark.usefixtures("stack")
def test_a_deleted_stack_takes_the_machines_of_its_packs_with_it(
    aws: Callable[[str], Any],
) -> None:
    here = own_workspace()
    process = emulator.running(here)
    assert process is not None
    with here.locked():
        outputs = deployment.deploy(here, process, STACK)
    states, cloudformation = aws("stepfunctions"), aws("cloudformation")
    frame = states.describe_state_machine(stateMachineArn=outputs["PackRunMachineArn"])
    for name in OURS + OTHERS:
        machine = states.create_state_machine(
            name=name, definition=json.dumps(WAITS), roleArn=frame["roleArn"]
        )
        states.start_execution(stateMachineArn=machine["stateMachineArn"])

    cloudformation.delete_stack(StackName=STACK)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 400}
    )

    pages = states.get_paginator("list_state_machines").paginate()
    left = {machine["name"] for page in pages for machine in page["stateMachines"]}
    assert left & {*OURS, *OTHERS} == set(OTHERS)
    for name in OTHERS:
        arn = outputs["PackRunMachineArn"].rpartition(":")[0] + f":{name}"
        states.delete_state_machine(stateMachineArn=arn)
