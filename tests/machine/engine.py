"""TaskRunner in one process: moto's AWS, the real handlers, and the machines that were compiled.

Requests come from outside, as API Gateway's events. Machines call the handlers as Lambda would, and
errors are reported to them as Lambda reports errors. Tables and routes are the template's.
"""

from __future__ import annotations

import importlib
import json
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache, lru_cache
from threading import Condition
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.utils import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.stepfunctions.parser import models
from moto.stepfunctions.parser.asl.component.common.catch.catch_outcome import CatchOutcome
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (  # noqa: E501
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from taskrunner.bootstrap import AwsWorld
from taskrunner.sandbox.launcher import ForkedSandbox
from tests.machine.client import Client, LambdaContext
from tests.machine.deployment import (
    EXECUTOR_PREFIX,
    MACHINE_FUNCTIONS,
    SECRET_PREFIX,
    TABLE,
    deploy,
    name_of_function,
)
from tests.moto_aws import REGION, moto_aws, session
from tests.quick_machines import parse, quick_texts
from tests.security.permissions.grants import missing, names_of
from tests.security.permissions.needs import Recorder
from tests.template import folder, routes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The longest test takes 70 seconds, because its gates expire after 60.
_DEADLINE_S = 240.0
# Whether moto finds a machine's definition valid. It takes long and depends on the text alone.
_validate = staticmethod(cache(StepFunctionsParserBackend._validate_definition))
_set_next_by_moto = CommonStateField._set_next


@dataclass
class Engine:
    """The whole of TaskRunner.

    - *calls*: each function that a machine called, and the event, in order.
    - *before*: what runs before a machine's call of a function; it may fail as Lambda does.
    - *functions*: the deployment's executor functions, by their names in packs.
    - *worlds*: the world of each handler that does not use *world*.
    - *recorder*: what each function asks of AWS, all of which its role must grant.
    - *around*: returns a context for each call of a handler, by the handler's name.
    """

    world: AwsWorld
    states: Any
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    before: dict[str, Callable[[dict[str, Any]], None]] = field(default_factory=dict)
    functions: dict[str, Callable[[dict[str, Any]], Any]] = field(default_factory=dict)
    worlds: dict[str, AwsWorld] = field(default_factory=dict)
    recorder: Recorder = field(default_factory=Recorder)
    around: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext()
    _progress: Condition = field(default_factory=Condition)
    _table: Any = field(default_factory=lambda: boto3.client("dynamodb"))

    def client(self, **who: str) -> Client:
        return Client(self, **who)

    def handler_of(self, method: str, resource: str) -> Callable[..., Any]:
        return self._handler(folder(routes()[method, resource]))

    def _handler(self, name: str) -> Callable[..., Any]:
        module = importlib.import_module(f"functions.{name}.app")

        def call(event: dict[str, Any], context: object) -> Any:  # noqa: ANN401
            if name in {"console", "describe_api"}:
                return module.handler(event, context)
            with self.recorder.playing(name), self.around(name):
                return module.handler(event, context, world=self.worlds.get(name, self.world))

        return call

    def invoke(self, name: str, event: dict[str, Any]) -> Any:  # noqa: ANN401
        """Call a function as Lambda would."""
        self.calls.append((name, event))
        try:
            if name in self.before:
                self.before[name](event)
            return self._handler(name)(event, LambdaContext())
        finally:
            with self._progress:
                self._progress.notify_all()

    def as_lambda(
        self,
        function_name: str,
        _qualifier: str | None,
        body: Any,  # noqa: ANN401
        _headers: Any,  # noqa: ANN401
        response_headers: dict[str, Any],
    ) -> bytes:
        """moto's Lambda, answered by the real handlers and by *functions*."""
        name = MACHINE_FUNCTIONS.get(name_of_function(function_name))
        executor = self.functions.get(function_name.removeprefix(EXECUTOR_PREFIX))
        if name is None and executor is None:
            raise UnknownFunctionException(function_name)
        try:
            event = json.loads(body)
            result = executor(event) if executor is not None else self.invoke(str(name), event)
        except Exception as error:  # noqa: BLE001 - Lambda reports whatever a function raises
            response_headers["x-amz-function-error"] = "Unhandled"
            result = {"errorMessage": str(error), "errorType": type(error).__name__}
        return json.dumps(result).encode()

    def store_secret(self, tenant: str, name: str, value: str) -> None:
        """Store a secret where an operator would."""
        boto3.client("secretsmanager").create_secret(
            Name=f"{SECRET_PREFIX}{tenant}/{name}", SecretString=value
        )

    def until(self, condition: Callable[[], bool], problem: str) -> None:
        """Wait until *condition* holds, which it may whenever a function has been called.

        Looking takes a tenth of the time at most: machines run in this process, and would wait.

        Raises:
            TimeoutError: it does not hold in time; the error says *problem*.
        """
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            start = time.monotonic()
            if condition():
                return
            if time.monotonic() > deadline:
                raise TimeoutError(problem)
            pause_s = 9 * (time.monotonic() - start)
            next_look = time.monotonic() + pause_s
            with self._progress:
                # A call may end between the look and the wait, so the wait has an end as well.
                self._progress.wait_for(
                    lambda next_look=next_look: time.monotonic() >= next_look,  # type: ignore[misc]
                    timeout=max(pause_s, 0.1),
                )

    def wait(self, client: Client, run_id: str, *statuses: str) -> dict[str, Any]:
        """Return the run's state once its status is one of *statuses*."""
        state: dict[str, Any] = {}

        def is_reached() -> bool:
            state.update(client("GET", f"runs/{run_id}").json)
            return state["status"] in statuses

        self.until(is_reached, f"{run_id} never is one of {statuses}")
        return state

    def rest(self) -> None:
        """Wait until each run that has ended has its evidence, so that no machine goes on.

        It would go on without AWS under it, and retry for minutes beside the tests that follow. A
        cancelled run has no evidence here, because nothing reports the end of its execution.

        The execution may have a last state or two to enter: see `all_executed` and `execution_of`.
        """
        self.until(lambda: not self._unsealed(), "a run that has ended was not sealed")

    def _unsealed(self) -> list[str]:
        items = self._table.scan(TableName=TABLE, IndexName="unfinished-runs")["Items"]
        ended = {"succeeded", "failed"}
        return [item["run_id"]["S"] for item in items if item.get("outcome", {}).get("S") in ended]

    def all_executed(self) -> None:
        """Wait until every execution has ended, so that its history is whole."""
        self.until(lambda: not self._executing(), "an execution does not end")

    def _executing(self) -> bool:
        return any(
            self.states.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"]
            for machine in self.states.list_state_machines()["stateMachines"]
            for arn in [machine["stateMachineArn"]]
        )


def _set_next_unless_caught(state: CommonStateField, env: Any) -> None:  # noqa: ANN401 - moto's own
    """Let a catcher lead back to its own state, as on AWS; moto would go on as after a success."""
    if not env.stack or env.stack[-1] is not CatchOutcome.Caught:
        _set_next_by_moto(state, env)


def _retry_with_a_new_token(
    state: StateTaskServiceCallback,
    env: Any,  # noqa: ANN401 - moto's own
    failure_event: Any,  # noqa: ANN401 - moto's own
) -> Any:  # noqa: ANN401 - moto's own
    """Let a retry wait with a token of its own, as on AWS; moto's would find the last answer."""
    outcome = ExecutionState._handle_retry(state, env=env, failure_event=failure_event)
    env.callback_pool_manager.add(env.states.context_object.update_task_token())
    return outcome


@cache
def _sandbox() -> ForkedSandbox:
    """The sandbox of all engines, whose servers take long to start and keep nothing of an attempt.

    An engine with one of its own would leave a server behind until it is collected as garbage.
    """
    return ForkedSandbox()


def _program(definition: str) -> tuple[Any, Any]:
    """The program of a definition for one execution, which changes it, and the definition's tree.

    moto parses a definition to validate it and for each execution.
    """
    program, tree = _parsed(definition)
    return program.pop() if program else Preprocessor().visit(tree), tree


@lru_cache(maxsize=32)
def _parsed(definition: str) -> tuple[list[Any], Any]:
    """The program of a definition until an execution takes it, and the tree, which none changes."""
    program, tree = parse(definition)
    return [program], tree


@contextmanager
def engine() -> Iterator[Engine]:
    """A fresh TaskRunner; fails at its end if a function did what its role does not grant."""
    configuration: Any = {
        "stepfunctions": {"execute_state_machine": True},
        "lambda": {"use_docker": False},
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setattr(StateTaskServiceCallback, "_handle_retry", _retry_with_a_new_token)
        patch.setattr(CommonStateField, "_set_next", _set_next_unless_caught)
        patch.setattr(StepFunctionsParserBackend, "_validate_definition", _validate)
        patch.setattr(models, "AmazonStateLanguageParser", SimpleNamespace(parse=_parsed))
        patch.setattr(AmazonStateLanguageParser, "parse", staticmethod(_program))
        with quick_texts(), moto_aws(configuration):
            deployed = deploy()
            running = Engine(AwsWorld(deployed, session()), boto3.client("stepfunctions"))
            vars(running.world)["sandbox"] = _sandbox()
            running.recorder.attach()
            backend: Any = get_backend(DEFAULT_ACCOUNT_ID, REGION)
            backend.invoke = running.as_lambda
            yield running
            running.rest()
            lacking = missing(running.recorder.by_logical_id(), names_of(deployed))
            assert not lacking, "\n".join(lacking)
