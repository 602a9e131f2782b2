"""The port CalledMachines: executions of machines of others, which are started once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import boto3
import pytest
from botocore.exceptions import ClientError

from taskrunner.adapters.called_machines import StepFunctionsCalledMachines
from taskrunner.errors import TryAgainError
from taskrunner.executors.work import ExecutorFailure
from taskrunner.model.machine_call import Execution, ExecutionReport, ExecutionStatus
from tests.fakes.called_machines import MemoryCalledMachines
from tests.moto_aws import REGION, moto_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.ports import CalledMachines

STACK = "taskrunner"
PREFIX_ARN = f"arn:aws:states:us-east-1:123456789012:stateMachine:{STACK}_machine_"
WAITS = Execution("waits", "run-7-one")
PASSES = Execution("passes", "run-7-one")
STATES: dict[str, dict[str, Any]] = {
    "waits": {"Type": "Wait", "Seconds": 600, "End": True},
    "passes": {"Type": "Pass", "Result": {"n": 1}, "End": True},
    "fails": {"Type": "Fail", "Error": "OutOfStock", "Cause": "the warehouse is empty"},
}


class Observed(Protocol):
    """The port of either world, and how its machines end executions."""

    @property
    def port(self) -> CalledMachines: ...

    def let_end(self, execution: Execution) -> None: ...


@dataclass
class InMemory:
    port: MemoryCalledMachines

    def let_end(self, execution: Execution) -> None:
        if execution.machine == "passes":
            self.port.end(execution, output_text='{"n": 1}')
        else:
            self.port.end(
                execution,
                ExecutionStatus.FAILED,
                error="OutOfStock",
                cause="the warehouse is empty",
            )


@dataclass
class OnAws:
    port: StepFunctionsCalledMachines

    def let_end(self, _execution: Execution) -> None:
        """Do nothing: moto runs the machine to its end."""


@pytest.fixture(name="observed", params=["memory", "aws"])
def _observed(request: pytest.FixtureRequest) -> Iterator[Observed]:
    if request.param == "memory":
        yield InMemory(MemoryCalledMachines(machines=set(STATES)))
        return
    configuration = {"stepfunctions": {"execute_state_machine": True}}
    with moto_aws(configuration):
        states = boto3.client("stepfunctions", REGION)
        role = boto3.client("iam").create_role(RoleName="machines", AssumeRolePolicyDocument="{}")
        for name, state in STATES.items():
            states.create_state_machine(
                name=f"{STACK}_machine_{name}",
                definition=json.dumps({"StartAt": "Only", "States": {"Only": state}}),
                roleArn=role["Role"]["Arn"],
            )
        yield OnAws(StepFunctionsCalledMachines(states, PREFIX_ARN))


def test_a_started_execution_runs_with_its_input(observed: Observed) -> None:
    observed.port.start(WAITS, '{"file":"orders.csv"}')
    report = observed.port.describe(WAITS)
    observed.port.stop(WAITS)

    assert report is not None
    assert report.status is ExecutionStatus.RUNNING
    assert not report.has_ended
    assert report.input_text == '{"file":"orders.csv"}'
    assert report.output_text is None
    assert report.duration_s is None


def test_there_is_no_execution_that_was_not_started(observed: Observed) -> None:
    observed.port.start(WAITS, "{}")

    others = [Execution("waits", "run-7-two"), PASSES, Execution("missing", "run-7-one")]

    assert [observed.port.describe(other) for other in others] == [None, None, None]
    observed.port.stop(WAITS)


def test_starting_again_starts_nothing_and_keeps_the_input(observed: Observed) -> None:
    for text in ('{"n":1}', '{"n":1}', '{"n":2}'):
        observed.port.start(WAITS, text)

    report = observed.port.describe(WAITS)
    observed.port.stop(WAITS)
    observed.port.start(WAITS, '{"n":3}')

    assert report is not None
    assert report.input_text == '{"n":1}'
    assert ended(observed, WAITS).status is ExecutionStatus.ABORTED


def test_an_execution_that_succeeded_has_its_output(observed: Observed) -> None:
    observed.port.start(PASSES, "{}")
    observed.let_end(PASSES)

    report = ended(observed, PASSES)

    assert report.status is ExecutionStatus.SUCCEEDED
    assert json.loads(report.output_text or "") == {"n": 1}
    assert report.duration_s is not None
    assert report.duration_s >= 0


def test_an_execution_that_failed_has_its_error_and_cause(observed: Observed) -> None:
    execution = Execution("fails", "run-7-one")
    observed.port.start(execution, "{}")
    observed.let_end(execution)

    report = ended(observed, execution)

    assert report.status is ExecutionStatus.FAILED
    assert (report.error, report.cause) == ("OutOfStock", "the warehouse is empty")


def test_stopping_aborts_and_changes_nothing_that_has_ended(observed: Observed) -> None:
    observed.port.start(WAITS, "{}")
    observed.port.start(PASSES, "{}")
    observed.let_end(PASSES)
    ended(observed, PASSES)

    for execution in (WAITS, WAITS, PASSES, Execution("waits", "never")):
        observed.port.stop(execution)

    assert ended(observed, WAITS).status is ExecutionStatus.ABORTED
    assert ended(observed, PASSES).status is ExecutionStatus.SUCCEEDED


def test_a_machine_that_does_not_exist_cannot_be_started(observed: Observed) -> None:
    with pytest.raises(ExecutorFailure, match="there is no machine 'missing'"):
        observed.port.start(Execution("missing", "run-7-one"), "{}")


def ended(observed: Observed, execution: Execution) -> ExecutionReport:
    """Return the report of *execution* once it has ended; moto runs it in a thread."""
    while True:
        report = observed.port.describe(execution)
        assert report is not None
        if report.has_ended:
            return report


class Refusing:
    """A client of Step Functions that answers every call with an error."""

    def __init__(self, code: str) -> None:
        self._error = ClientError({"Error": {"Code": code, "Message": "no"}}, "StartExecution")

    def start_execution(self, **_: str) -> None:
        raise self._error

    def describe_execution(self, **_: str) -> None:
        raise self._error

    def stop_execution(self, **_: str) -> None:
        raise self._error


def refused(code: str) -> StepFunctionsCalledMachines:
    return StepFunctionsCalledMachines(Refusing(code), PREFIX_ARN)


@pytest.mark.parametrize("code", ["StateMachineDoesNotExist", "StateMachineDeleting", "InvalidArn"])
def test_a_missing_machine_is_named_as_aws_names_it(code: str) -> None:
    with pytest.raises(ExecutorFailure, match="would be taskrunner_machine_waits"):
        refused(code).start(WAITS, "{}")


@pytest.mark.parametrize(
    "code", ["InvalidExecutionInput", "KmsAccessDeniedException", "ValidationException"]
)
def test_a_refusal_for_good_is_a_failure_of_the_step(code: str) -> None:
    with pytest.raises(ExecutorFailure, match=f"'waits' cannot be started: {code}"):
        refused(code).start(WAITS, "{}")


@pytest.mark.parametrize("code", ["ThrottlingException", "ExecutionLimitExceeded"])
def test_a_busy_aws_is_asked_again(code: str) -> None:
    port = refused(code)
    with pytest.raises(TryAgainError):
        port.start(WAITS, "{}")
    with pytest.raises(TryAgainError):
        port.describe(WAITS)
    with pytest.raises(TryAgainError):
        port.stop(WAITS)


def test_an_unknown_error_passes_unchanged() -> None:
    port = refused("AccessDeniedException")
    with pytest.raises(ClientError):
        port.start(WAITS, "{}")
    with pytest.raises(ClientError):
        port.describe(WAITS)
    with pytest.raises(ClientError):
        port.stop(WAITS)


def test_an_express_machine_is_refused() -> None:
    class Express:
        def start_execution(self, **_: str) -> dict[str, str]:
            return {"executionArn": "arn:aws:states:us-east-1:1:express:m:run-7-one:uuid"}

    with pytest.raises(ExecutorFailure, match="Express"):
        StepFunctionsCalledMachines(Express(), PREFIX_ARN).start(WAITS, "{}")
