"""State machines, executions and task tokens of Step Functions."""

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

_NAME_LENGTH: Final = 80
# Tenants share machines by name: 128 bits, so that nobody finds two definitions with one name.
_HASH_DIGITS: Final = 32
# CreateStateMachine is throttled at one a second; a new machine is known everywhere within seconds.
_PAUSES_S: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
# Never started, its machine was removed, or it has ended, which is told as a ValidationException.
_NOTHING_TO_STOP: Final = frozenset(
    {"ExecutionDoesNotExist", "StateMachineDoesNotExist", "ValidationException"}
)
_TOKEN_IS_USED: Final = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


class Executions:
    """`usecases.ports.Machines`: one machine per definition, one execution per run.

    *prototype* is the ARN of the deployed frame, of which every pack's machine is a clone: it lends
    its functions, role, logging and tracing. *prefix*, which has no underscore, begins every
    machine's name up to one: a deployment whose prefix goes on from ours has no machine like ours.
    """

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - boto3 has no static types
        prototype: str,
        prefix: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Hold the client; nothing is called yet."""
        self._client = client
        self._prototype = prototype
        self._prefix = prefix
        self._sleep = sleep

    def name(self, pack_name: str, definition_hash: str) -> str:
        """See the port. The pack's name is cut to what the length allows; the hash never is."""
        digits = definition_hash.removeprefix("sha256:")[:_HASH_DIGITS]
        room = max(0, _NAME_LENGTH - len(self._prefix) - len(digits) - 2)
        return f"{self._prefix}_{pack_name[:room].rstrip('-')}-{digits}"

    def start(
        self, run: Run, definition: JsonObject, execution_input: Mapping[str, object]
    ) -> None:
        """See the port. The machine is made when starting shows that there is none."""
        text = json.dumps(execution_input, ensure_ascii=False, separators=(",", ":"))
        made = False
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
                if not made:
                    made = self._make(run, definition)
            else:
                return
            if pause_s is not None:
                self._sleep(pause_s)
        raise TryAgainError(f"the machine {run.machine} is not ready yet")

    def _make(self, run: Run, definition: JsonObject) -> bool:
        """Create the run's machine; False when AWS wants us to ask again later."""
        # Nobody else here needs the compiler: not who wakes a gate, nor who stops a run.
        from taskrunner.compiler.machine import frame  # noqa: PLC0415

        prototype = self._deployed
        bound = frame.bind(definition, frame.bindings(json.loads(prototype["definition"])))
        try:
            with translated("create the state machine"):
                self._client.create_state_machine(
                    name=run.machine,
                    type="STANDARD",
                    roleArn=prototype["roleArn"],
                    definition=json.dumps(bound, ensure_ascii=False),
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
    def _deployed(self) -> JsonObject:
        with translated("describe the prototype machine"):
            answer: JsonObject = self._client.describe_state_machine(
                stateMachineArn=self._prototype
            )
        return answer

    def stop(self, run: Run) -> None:
        """See the port."""
        arn = self._machine_arn(run).replace(":stateMachine:", ":execution:", 1)
        try:
            with translated("stop the execution"):
                self._client.stop_execution(
                    executionArn=f"{arn}:{run.execution}",
                    error="Cancelled",
                    cause="Cancelled by API",
                )
        except ClientError as error:
            if code(error) not in _NOTHING_TO_STOP:
                raise

    def _machine_arn(self, run: Run) -> str:
        return f"{self._prototype.rsplit(':', 1)[0]}:{run.machine}"


class Tokens:
    """Task tokens: each wakes one state, once."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - boto3 has no static types
        """Hold the client; nothing is called yet."""
        self._client = client

    def succeed(self, token: str) -> None:
        """Let the state that waits with *token* succeed; a token that was used stays used."""
        self._send(lambda: self._client.send_task_success(taskToken=token, output="{}"))

    def fail(self, token: str, error: str, cause: str) -> None:
        """Let the state that waits with *token* fail with *error*."""
        self._send(
            lambda: self._client.send_task_failure(taskToken=token, error=error, cause=cause)
        )

    def _send(self, call: Callable[[], Any]) -> None:
        try:
            with translated("answer the waiting state"):
                call()
        except ClientError as error:
            if code(error) not in _TOKEN_IS_USED:
                raise
