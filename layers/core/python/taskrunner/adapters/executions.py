"""The port Machines over Step Functions: state machines and their executions."""

from __future__ import annotations

import json
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from taskrunner.adapters.aws_errors import code, translated
from taskrunner.errors import TryAgainError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run

_MAX_NAME_LENGTH: Final = 80
# Tenants share machines by name. 128 bits keep anybody from finding two definitions with one name.
_HASH_DIGITS: Final = 32
# CreateStateMachine is limited to one a second. A new machine is known everywhere within seconds.
_PAUSES_S: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
# The execution never started, or its machine was removed.
_NO_EXECUTION: Final = frozenset({"ExecutionDoesNotExist", "StateMachineDoesNotExist"})
# An execution that has ended is a ValidationException.
_NOTHING_TO_STOP: Final = _NO_EXECUTION | {"ValidationException"}


class StepFunctionsMachines:
    """`ports.Machines`: one machine for each definition, one execution for each run.

    *prototype_arn* names the deployed frame, which every pack's machine is a clone of: it provides
    the functions, role, logging and tracing. *prefix* begins every machine's name and is followed
    by an underscore. It has no underscore itself, so no other deployment's machine has our prefix.
    """

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - boto3 has no static types
        prototype_arn: str,
        prefix: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Call nothing yet."""
        self._client = client
        self._prototype_arn = prototype_arn
        self._prefix = prefix
        self._sleep = sleep

    def name(self, pack_name: str, definition_hash: str) -> str:
        """See the port. A long pack name is cut; the hash never is."""
        digits = definition_hash.removeprefix("sha256:")[:_HASH_DIGITS]
        room = max(0, _MAX_NAME_LENGTH - len(self._prefix) - len(digits) - 2)
        return f"{self._prefix}_{pack_name[:room].rstrip('-')}-{digits}"

    def start(
        self, run: Run, definition: JsonObject, execution_input: Mapping[str, object]
    ) -> None:
        """See the port. Creates the machine if the first try to start finds none."""
        text = json.dumps(execution_input, ensure_ascii=False, separators=(",", ":"))
        created = False
        for pause_s in (*_PAUSES_S, None):
            try:
                with translated("start the execution"):
                    self._client.start_execution(
                        stateMachineArn=self._machine_arn(run), name=run.execution, input=text
                    )
            except ClientError as error:
                if code(error) == "ExecutionAlreadyExists":
                    return
                if code(error) not in {"StateMachineDoesNotExist", "StateMachineDeleting"}:
                    raise
                created = created or self._create_machine(run, definition)
            else:
                return
            if pause_s is not None:
                self._sleep(pause_s)
        raise TryAgainError(f"the machine {run.machine} is not ready yet")

    def _create_machine(self, run: Run, definition: JsonObject) -> bool:
        """Create the run's machine, or return False if AWS asks to try again later."""
        # Only this method needs the compiler; waking a gate and stopping a run do not.
        from taskrunner.compiler.machine import frame  # noqa: PLC0415

        prototype = self._prototype
        bound = frame.bind(definition, frame.bindings(json.loads(prototype["definition"])))
        try:
            with translated("create the state machine"):
                self._client.create_state_machine(
                    name=run.machine,
                    type="STANDARD",
                    roleArn=prototype["roleArn"],
                    definition=json.dumps(bound, ensure_ascii=False, separators=(",", ":")),
                    loggingConfiguration=prototype.get("loggingConfiguration", {"level": "OFF"}),
                    tracingConfiguration=prototype.get("tracingConfiguration", {"enabled": False}),
                )
        except TryAgainError:
            return False
        except ClientError as error:
            if code(error) == "StateMachineDeleting":
                return False
            if code(error) not in {"StateMachineAlreadyExists", "ConflictException"}:
                raise
        return True

    @cached_property
    def _prototype(self) -> JsonObject:
        with translated("describe the prototype machine"):
            response: JsonObject = self._client.describe_state_machine(
                stateMachineArn=self._prototype_arn
            )
        return response

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
        arn = self._machine_arn(run).replace(":stateMachine:", ":execution:", 1)
        return f"{arn}:{run.execution}"

    def _machine_arn(self, run: Run) -> str:
        return f"{self._prototype_arn.rsplit(':', 1)[0]}:{run.machine}"
