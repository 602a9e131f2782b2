"""Where the emulator differs from AWS, as facts: a test that fails here tells that a gap is closed.

The code follows AWS's documentation and knows nothing of these. docs/architecture.md says what each
of them means for a run on the local stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stack.conftest import Api


def test_the_class_of_an_error_does_not_reach_the_machine(
    operator: Api, aws: Callable[[str], Any]
) -> None:
    """AWS reports StepFailedError, so that `ErrorEquals: [ConflictError]` and others can match."""
    run_id = operator.run(pack("- {id: broken, run: {uses: builtin:fail, with: {message: no}}}"))
    operator.ended(run_id)
    states = aws("stepfunctions")
    (execution,) = [
        one["executionArn"]
        for machine in states.list_state_machines()["stateMachines"]
        if "_a-pack-" in machine["name"]
        for one in states.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]
        if run_id in states.describe_execution(executionArn=one["executionArn"])["input"]
    ]

    history = states.get_execution_history(executionArn=execution)["events"]

    errors = {details["error"] for event in history for details in _failures(event)}
    assert "Runtime.HandlerError" in errors
    assert "StepFailedError" not in errors


def test_the_class_of_an_executor_functions_error_does_not_reach_its_step(operator: Api) -> None:
    """AWS reports BadParametersError, which would stand before the message."""
    run_id = operator.run(pack("- {id: it, run: {uses: 'lambda:change-window', with: {}}}"))

    (step,) = operator.ended(run_id)["steps"]

    assert "failed: Runtime.HandlerError: 'environment' is missing" in step["errorMessage"]


def _failures(event: dict[str, Any]) -> list[dict[str, Any]]:
    names = ("taskFailedEventDetails", "lambdaFunctionFailedEventDetails")
    return [event[name] for name in names if "error" in event.get(name, {})]
