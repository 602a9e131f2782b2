"""Steps that call a state machine of the account, over HTTP on the real template."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.packs import pack
from tests.stack.api import statuses, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner_cli.local import Stack
    from tests.stack.api import Api

# Names that no interrupted session has left behind.
NUMBER = uuid4().hex[:8]
ROLE = f"machine-calls-{NUMBER}"
PASS = {"Type": "Pass", "End": True}
FAIL = {"Type": "Fail", "Error": "OutOfStock", "Cause": "the warehouse is empty"}
WAIT = {"Type": "Wait", "Seconds": 3600, "End": True}


@pytest.fixture(name="states", scope="module")
def _states(aws: Callable[[str], Any]) -> Iterator[Any]:
    iam = aws("iam")
    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "states.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(policy))
    try:
        yield aws("stepfunctions")
    finally:
        iam.delete_role(RoleName=ROLE)


@contextmanager
def machine(
    states: Any,  # noqa: ANN401 - boto3's own
    stack: Stack,
    name: str,
    state: dict[str, Any],
) -> Iterator[str]:
    """Make the machine that packs call by *name*, and yield its ARN; it is deleted at the end."""
    definition = {"StartAt": "Only", "States": {"Only": state}}
    arn: str = states.create_state_machine(
        name=f"{stack.machine_prefix}_machine_{name}-{NUMBER}",
        definition=json.dumps(definition),
        roleArn=f"arn:aws:iam::000000000000:role/{ROLE}",
    )["stateMachineArn"]
    try:
        yield arn
    finally:
        states.delete_state_machine(stateMachineArn=arn)


def step(name: str, more: str = "") -> str:
    uses = f"states:{name}-{NUMBER}"
    return f"{{id: {name}, {more} run: {{uses: '{uses}', with: {{file: orders.csv}}}}}}"


def test_a_machine_is_a_step_and_its_output_is_read(
    operator: Api,
    states: Any,  # noqa: ANN401 - boto3's own
    stack: Stack,
) -> None:
    steps = f"- {step('stack-passes')}\n- {step('stack-fails', 'continueOnError: true,')}\n"
    manifest = pack(
        steps
        + "- {id: after, run: {uses: 'builtin:noop', with: "
        + "{f: '{{ steps.stack-passes.outputs.file }}'}}}",
        spec="outputs: [{name: file, type: object, expression: steps.after.outputs.f}]",
    )

    with (
        machine(states, stack, "stack-passes", PASS),
        machine(states, stack, "stack-fails", FAIL),
    ):
        run_id = operator.run(manifest)
        state = operator.ended(run_id)

    assert statuses(state) == {
        "stack-passes": "Succeeded",
        "stack-fails": "Failed executor-error",
        "after": "Succeeded",
    }
    assert state["steps"][1]["errorMessage"] == "OutOfStock: the warehouse is empty"
    assert operator.artifacts(run_id)["file"]["expressionJson"] == '"orders.csv"'


def test_a_cancelled_run_stops_the_execution_of_its_step(
    operator: Api,
    states: Any,  # noqa: ANN401 - boto3's own
    stack: Stack,
) -> None:
    with machine(states, stack, "stack-waits", WAIT) as arn:

        def found() -> list[dict[str, Any]]:
            executions: list[dict[str, Any]] = states.list_executions(stateMachineArn=arn)[
                "executions"
            ]
            return executions

        run_id = operator.run(pack(f"- {step('stack-waits')}"))
        until(lambda: bool(found()), "the machine is called")
        operator("POST", f"runs/{run_id}/cancel")
        until(lambda: found()[0]["status"] == "ABORTED", "its execution is stopped")

    assert statuses(operator.state(run_id)) == {"stack-waits": "Skipped cancelled"}
