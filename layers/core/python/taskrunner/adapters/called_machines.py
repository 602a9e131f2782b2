"""The port CalledMachines over Step Functions: machines of this account with a prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from taskrunner.adapters.aws_errors import code, translated
from taskrunner.executors.work import ExecutorFailure
from taskrunner.model.machine_call import ExecutionReport, ExecutionStatus

if TYPE_CHECKING:
    from taskrunner.model.machine_call import Execution

_ALREADY: Final = "ExecutionAlreadyExists"
_MISSING: Final = frozenset({"InvalidArn", "StateMachineDoesNotExist", "StateMachineDeleting"})
_REFUSED: Final = frozenset(
    {
        "InvalidExecutionInput",
        "InvalidName",
        "KmsAccessDeniedException",
        "KmsInvalidStateException",
        "StateMachineTypeNotSupported",
        "ValidationException",
    }
)
_NO_EXECUTION: Final = frozenset(
    {"ExecutionDoesNotExist", "InvalidArn", "StateMachineDoesNotExist"}
)
# An execution that has ended is a ValidationException.
_NOTHING_TO_STOP: Final = _NO_EXECUTION | {"ValidationException"}
_EXPRESS: Final = ":express:"


class StepFunctionsCalledMachines:
    """`ports.CalledMachines`. *prefix_arn* and a machine's name in packs are the machine's ARN."""

    def __init__(self, client: Any, prefix_arn: str) -> None:  # noqa: ANN401 - boto3 has no static types
        """Call nothing yet."""
        self._client = client
        self._prefix_arn = prefix_arn

    def start(self, execution: Execution, input_text: str) -> None:
        """See the port."""
        try:
            with translated("start the execution"):
                started = self._client.start_execution(
                    stateMachineArn=self._prefix_arn + execution.machine,
                    name=execution.name,
                    input=input_text,
                )
        except ClientError as error:
            if code(error) != _ALREADY:
                raise self._meaning(execution, error) from error
        else:
            if _EXPRESS in started["executionArn"]:
                raise ExecutorFailure(
                    f"the machine '{execution.machine}' is an Express machine, which does not "
                    "report its end; a step can call a Standard machine"
                )

    def _meaning(self, execution: Execution, error: ClientError) -> ExecutorFailure | ClientError:
        """Return the error that Step Functions' refusal means; an unknown one is itself."""
        if code(error) in _MISSING:
            in_aws = (self._prefix_arn + execution.machine).rpartition(":")[2]
            return ExecutorFailure(
                f"there is no machine '{execution.machine}' for this deployment; its name in AWS "
                f"would be {in_aws}"
            )
        if code(error) in _REFUSED:
            return ExecutorFailure(
                f"the machine '{execution.machine}' cannot be started: {code(error)}"
            )
        return error

    def describe(self, execution: Execution) -> ExecutionReport | None:
        """See the port."""
        try:
            with translated("describe the execution"):
                found = self._client.describe_execution(executionArn=self._arn(execution))
        except ClientError as error:
            if code(error) not in _NO_EXECUTION:
                raise
            return None
        stopped_at = found.get("stopDate")
        return ExecutionReport(
            status=ExecutionStatus(found["status"]),
            input_text=found.get("input"),
            output_text=found.get("output"),
            error=found.get("error"),
            cause=found.get("cause"),
            duration_s=(
                None if stopped_at is None else (stopped_at - found["startDate"]).total_seconds()
            ),
        )

    def stop(self, execution: Execution) -> None:
        """See the port."""
        try:
            with translated("stop the execution"):
                self._client.stop_execution(
                    executionArn=self._arn(execution),
                    error="Stopped",
                    cause="Stopped by TaskRunner, because its step has ended",
                )
        except ClientError as error:
            if code(error) not in _NOTHING_TO_STOP:
                raise

    def _arn(self, execution: Execution) -> str:
        machine_arn = self._prefix_arn + execution.machine
        return f"{machine_arn.replace(':stateMachine:', ':execution:', 1)}:{execution.name}"
