"""The port Machines over Step Functions: state machines and their executions."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from taskrunner.adapters.aws_errors import code, translated
from taskrunner.errors import MachineQuotaError, StartRefusedError, TryAgainError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskrunner.compiler.machine.creation import Deployment
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run

_FULL: Final = "StateMachineLimitExceeded"
# CreateStateMachine is limited to one a second. A new machine is known everywhere within seconds.
_PAUSES_S: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
# For how long a deployment is read off its prototype again. It changes when a stack is updated.
_DEPLOYMENT_S: Final = 60
# For how long the account is taken to have all the machines that it may have.
_FULL_S: Final = 300
# The execution never started, or its machine was removed.
_NO_EXECUTION: Final = frozenset({"ExecutionDoesNotExist", "StateMachineDoesNotExist"})
# An execution that has ended is a ValidationException.
_NOTHING_TO_STOP: Final = _NO_EXECUTION | {"ValidationException"}
# Errors of a machine or an execution itself, which AWS would refuse again. It may grant other
# things that it refuses, such as a right of the role, once an operator has changed them.
_REFUSED_FOR_GOOD: Final = frozenset(
    {
        "InvalidArn",
        "InvalidDefinition",
        "InvalidExecutionInput",
        "InvalidName",
        "StateMachineTypeNotSupported",
        "TooManyTags",
        "ValidationException",
    }
)


class StepFunctionsMachines:
    """`ports.Machines`: one machine for each version of a pack, one execution for each run.

    *prototype_arn* names the deployed frame, which every pack's machine is a clone of: it provides
    the functions, partition, role, logging and tracing. *stack* begins every machine's name.
    *now* is the wall clock, because a monotonic one may stand still while a function is frozen.
    """

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - boto3 has no static types
        prototype_arn: str,
        stack: str,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Call nothing yet."""
        self._client = client
        self._prototype_arn = prototype_arn
        self._stack = stack
        self._sleep = sleep
        self._now = now
        self._read: tuple[float, Deployment] | None = None
        self._full_until = 0.0

    def name(self, pack_name: str, pack_version: str, definition: JsonObject) -> str:
        """See the port.

        Whether the account has all the machines that it may have is known from a creation that AWS
        has refused in the last minutes, so that it costs no call before that.
        """
        # Waking a gate and stopping a run do not need the compiler.
        from taskrunner.compiler.machine.creation import creation  # noqa: PLC0415

        name = str(creation(pack_name, pack_version, definition, self._deployment())["name"])
        if self._now() < self._full_until and not self._exists(name):
            raise MachineQuotaError
        return name

    def start(
        self, run: Run, definition: JsonObject, execution_input: Mapping[str, object]
    ) -> bool:
        """See the port. Creates the machine if the first try to start finds none."""
        try:
            return self._start(run, definition, execution_input)
        except ClientError as error:
            reason = code(error)
            raise StartRefusedError(reason, for_good=reason in _REFUSED_FOR_GOOD) from error

    def _start(
        self, run: Run, definition: JsonObject, execution_input: Mapping[str, object]
    ) -> bool:
        text = json.dumps(execution_input, ensure_ascii=False, separators=(",", ":"))
        began, made = self._now(), None
        for pause_s in (*_PAUSES_S, None):
            try:
                with translated("start the execution"):
                    self._client.start_execution(
                        stateMachineArn=self._machine_arn(run.machine),
                        name=run.execution,
                        input=text,
                    )
            except ClientError as error:
                if code(error) == "ExecutionAlreadyExists":
                    return bool(made)
                if code(error) not in {"StateMachineDoesNotExist", "StateMachineDeleting"}:
                    raise
                if made is None:
                    made = self._create_machine(run, definition)
            else:
                return bool(made)
            if pause_s is not None:
                self._sleep(pause_s)
        if made is None and self._full_until >= began + _FULL_S:  # AWS has refused this machine
            raise MachineQuotaError
        raise TryAgainError(f"the machine {run.machine} is not ready yet")

    def _create_machine(self, run: Run, definition: JsonObject) -> bool | None:
        """Create the run's machine, or return None if AWS asks to try again later.

        Returns False if another call has created it just before with other settings. With the same
        ones, AWS answers as if this call had created it.

        Raises:
            TryAgainError: since the run was recorded, the stack has been updated, so its machine
                now has another name.
        """
        from taskrunner.compiler.machine.creation import creation  # noqa: PLC0415

        request = creation(run.pack_name, run.pack_version, definition, self._deployment())
        if request["name"] != run.machine:
            raise TryAgainError(f"the stack has been updated since {run.machine} was named")
        try:
            with translated("create the state machine"):
                self._client.create_state_machine(**request)
        except TryAgainError as error:
            if isinstance(error.__cause__, ClientError) and code(error.__cause__) == _FULL:
                self._full_until = self._now() + _FULL_S
            return None
        except ClientError as error:
            if code(error) == "StateMachineDeleting":
                return None
            if code(error) not in {"StateMachineAlreadyExists", "ConflictException"}:
                raise
            return False
        return True

    def _exists(self, name: str) -> bool:
        try:
            with translated("describe the state machine"):
                self._client.describe_state_machine(stateMachineArn=self._machine_arn(name))
        except ClientError as error:
            if code(error) != "StateMachineDoesNotExist":
                raise
            return False
        return True

    def _deployment(self) -> Deployment:
        """Return the deployment, read off its prototype now or within the last minute.

        Raises:
            TryAgainError: the prototype is of another release, so the stack is being updated.
        """
        from taskrunner.compiler.machine import frame  # noqa: PLC0415
        from taskrunner.compiler.machine.creation import Deployment  # noqa: PLC0415

        now = self._now()
        if self._read is not None and now < self._read[0] + _DEPLOYMENT_S:
            return self._read[1]
        with translated("describe the prototype machine"):
            prototype = self._client.describe_state_machine(stateMachineArn=self._prototype_arn)
        deployment = Deployment(
            stack=self._stack,
            values=frame.bindings(json.loads(prototype["definition"])),
            role_arn=prototype["roleArn"],
            logging=prototype.get("loggingConfiguration", {"level": "OFF"}),
            tracing=prototype.get("tracingConfiguration", {"enabled": False}),
        )
        self._read = (now, deployment)
        return deployment

    def status(self, run: Run) -> str | None:
        """See the port."""
        try:
            with translated("describe the execution"):
                found = self._client.describe_execution(executionArn=self._execution_arn(run))
        except ClientError as error:
            if code(error) not in _NO_EXECUTION:
                raise
            return None
        return str(found["status"])

    def stop(self, run: Run) -> None:
        """See the port."""
        try:
            with translated("stop the execution"):
                self._client.stop_execution(
                    executionArn=self._execution_arn(run),
                    error="Cancelled",
                    cause="Cancelled by API",
                )
        except ClientError as error:
            if code(error) not in _NOTHING_TO_STOP:
                raise

    def _execution_arn(self, run: Run) -> str:
        arn = self._machine_arn(run.machine).replace(":stateMachine:", ":execution:", 1)
        return f"{arn}:{run.execution}"

    def _machine_arn(self, name: str) -> str:
        return f"{self._prototype_arn.rsplit(':', 1)[0]}:{name}"
