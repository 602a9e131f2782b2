"""TaskRunner in one thread, over moto and `step_functions`, with a clock that a test moves.

Each invocation of a function is a cold start: it has a world of its own, so it makes every call of
AWS that it can make. `run_step` can be warm, and then remembers the runs that it has seen.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import boto3
import jwt
import pytest
from botocore.retries.standard import ExponentialBackoff
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

from taskrunner.adapters.machine_events import has_timed_out, step_reference
from tests.fakes.clock import StoppedClock
from tests.faults.aws import Aws, FunctionDiedError, NotBegunError
from tests.faults.interpreter import StateError
from tests.faults.step_functions import StepFunctions
from tests.faults.stored import table_items
from tests.faults.world import CountingSandbox, World
from tests.machine.client import Answer, Client, LambdaContext
from tests.machine.deployment import (
    CALLED_MACHINE_PREFIX,
    EXECUTOR_PREFIX,
    MACHINE_FUNCTIONS,
    SECRET_PREFIX,
    called_machine_arn,
    deploy,
    name_of_function,
)
from tests.moto_aws import REGION, moto_aws
from tests.template import folder, routes
from tests.unit.adapters.key_server import ISSUER, OURS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.faults.call_packs import Definitions
    from tests.faults.executions import Execution
    from tests.machine.engine import Engine

TENANT = "tenant-prod"
_METHOD = "arn:aws:execute-api:us-east-1:123456789012:abc123/live/POST/v1/task-runner/simulations"
# Lambda calls a function once more after these pauses when an event's invocation has failed.
_EVENT_PAUSES_S = (60, 120)


@dataclass
class Event:
    """An event for a function, which Lambda has accepted, and when it is delivered."""

    payload: dict[str, Any]
    due_at: datetime
    function: str = "settle_run"
    failures: int = 0


@dataclass
class Service:
    """The whole of TaskRunner.

    - *events*: those that Lambda has accepted and not delivered.
    - *calls*: each function that a machine called, and its payload, in order.
    - *clients*: those of AWS, by service and settings.
    - *warm*: the number of the warm environment in which `run_step` is invoked; None is a cold one.
    """

    environment: dict[str, str]
    aws: Aws
    states: StepFunctions
    clock: StoppedClock = field(default_factory=StoppedClock)
    sandbox: CountingSandbox = field(default_factory=CountingSandbox)
    events: list[Event] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    clients: dict[str, Any] = field(default_factory=dict)
    warm: int | None = None
    _worlds: dict[int, World] = field(default_factory=dict)

    # --- functions ----------------------------------------------------------------------------

    def invoke(self, function: str, event: dict[str, Any], label: str) -> Any:  # noqa: ANN401
        """Call a function; *label* says what for."""
        handler = importlib.import_module(f"functions.{function}.app").handler
        world = self._world_of(function)
        given: dict[str, Any] = {"world": world}
        if function == "authorize":
            given = {"authority": world.authority}
        elif function in {"console", "describe_api"}:
            given = {}
        try:
            with self.aws.invocation(f"{function} {label}".strip()):
                return handler(event, LambdaContext(), **given)
        except FunctionDiedError:
            self._worlds = {n: other for n, other in self._worlds.items() if other is not world}
            raise

    def _world_of(self, function: str) -> World:
        if function != "run_step" or self.warm is None:
            return World(self)
        if self.warm not in self._worlds:
            self._worlds[self.warm] = World(self)
        return self._worlds[self.warm]

    def world(self) -> World:
        """A world in which nothing goes wrong, for a test to look at what is recorded."""
        return World(self)

    def call_of_machine(self, arn: str, payload: dict[str, Any]) -> Any:  # noqa: ANN401
        """Call a function for a machine, and report its errors as Lambda does."""
        self.calls.append((MACHINE_FUNCTIONS[name_of_function(arn)], payload))
        return self.call_by_arn(arn, payload)

    def call_by_arn(self, arn: str, payload: dict[str, Any]) -> Any:  # noqa: ANN401
        """Call a function that machines call, and report its errors as Lambda does.

        Raises:
            StateError: the function failed, or did not begin.
        """
        function = MACHINE_FUNCTIONS[name_of_function(arn)]
        try:
            return self.invoke(function, payload, _label(payload))
        except FunctionDiedError:
            raise StateError("Runtime.ExitError", "the function died") from None
        except NotBegunError as error:
            raise StateError(error.error, "the function did not begin") from None
        except Exception as error:
            raise StateError(type(error).__name__, str(error)) from error

    def repeat(self, function: str, payload: dict[str, Any]) -> None:
        """Call a function as a machine has called it; nobody waits for the answer."""
        with suppress(Exception):
            self.invoke(function, payload, f"{_label(payload)} again")

    # --- requests -----------------------------------------------------------------------------

    def request(
        self,
        subject: str,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make a request of the API, as *subject*, who may do everything.

        Raises:
            FunctionDiedError: API Gateway would answer 502.
        """
        client = Client(cast("Engine", self), subject=subject, grants="packs.approve")
        return client(method, path, body, headers=headers)

    def work(self, path: str, body: object) -> Answer:
        """Make a request of a worker.

        Raises:
            FunctionDiedError: API Gateway would answer 502.
        """
        engine = cast("Engine", self)
        client = Client(engine, subject="workers", scopes="worker", pools="linux rare")
        return client("POST", path, body)

    def handler_of(self, method: str, resource: str) -> Callable[..., Any]:
        """The function of a route, for `Client`."""
        function = folder(routes()[method, resource])
        what = f"{resource.rpartition('/')[2]} " * (function == "serve_workers")

        def call(event: dict[str, Any], _context: object) -> Any:  # noqa: ANN401
            label = event["requestContext"]["authorizer"]["subject"]
            return self.invoke(function, event, f"{method} {what}by {label}")

        return call

    def authorize(self, subject: str) -> Answer:
        """Have a token of *subject* checked, as API Gateway does, which answers 503 for it."""
        claims = {"iss": ISSUER, "sub": subject, "exp": time.time() + 3600}
        token = jwt.encode(claims, OURS, algorithm="RS256", headers={"kid": "key-1"})
        event = {"authorizationToken": f"Bearer {token}", "methodArn": _METHOD}
        try:
            policy = self.invoke("authorize", event, f"of {subject}")
        except NotBegunError:
            raise
        except Exception:  # noqa: BLE001 - API Gateway drops the error
            return Answer(503, {}, "")
        return Answer(200, {}, json.dumps(policy))

    def remove_machines(self) -> Answer:
        """Remove unused machines, as EventBridge asks every day."""
        try:
            removed = self.invoke("remove_machines", {}, "of a day")
        except NotBegunError:
            raise
        except Exception:  # noqa: BLE001 - Lambda calls the function again
            return Answer(503, {}, "")
        return Answer(200, {}, json.dumps(removed))

    def deploy_called(self, definitions: Definitions) -> None:
        """Have machines that packs can call, by the names in packs."""
        for name, definition in definitions.items():
            self.states.add(CALLED_MACHINE_PREFIX + name, definition)

    def announced(self, approval: str) -> bool:
        """Return whether approvers have been notified of an approval."""
        topics = sns_backends[DEFAULT_ACCOUNT_ID][REGION].topics.values()
        return any(
            f'"{approval}"' in body for topic in topics for _, body, *_ in topic.sent_notifications
        )

    def has_files(self) -> bool:
        """Return whether an attempt is under way, which holds the lock of its folder."""
        return any(map(_is_locked, Path(tempfile.gettempdir()).glob("taskrunner-attempts-*/*")))

    # --- what happens by itself ---------------------------------------------------------------

    def collect_events(self) -> None:
        """Take the ended executions that EventBridge reports, by the rules of the template."""
        while self.states.ended:
            execution = self.states.ended.pop(0)
            event = Event({"detail": _status_change(execution)}, self.clock.now())
            if execution.machine_arn.startswith(called_machine_arn("")):
                self.events.append(replace(event, function="end_machine_call"))
            elif execution.status != "SUCCEEDED":
                self.events.append(event)

    def accept(self, payload: dict[str, Any]) -> None:
        """Accept an event for settle_run."""
        self.events.append(Event(payload, self.clock.now()))

    def due_events(self) -> list[Event]:
        return [event for event in self.events if event.due_at <= self.clock.now()]

    def deliver_event(self, event: Event) -> None:
        """Call a function as Lambda does for an event: twice more if it fails."""
        try:
            self.invoke(event.function, event.payload, "event")
        except (Exception, FunctionDiedError):  # noqa: BLE001 - Lambda drops the error
            is_lost = self.aws.is_caller_gone()
            if not is_lost and event.failures < len(_EVENT_PAUSES_S):
                event.due_at += timedelta(seconds=_EVENT_PAUSES_S[event.failures])
                event.failures += 1
                return
        self.events.remove(event)

    def begin(self) -> None:
        """Begin anew: no runs, no executions, noon."""
        table_items().clear()
        for topic in sns_backends[DEFAULT_ACCOUNT_ID][REGION].topics.values():
            topic.sent_notifications.clear()
        prototype = {self.environment["PACK_RUN_MACHINE_ARN"]: self._prototype}
        self.clock.time = StoppedClock().time
        self.states = StepFunctions(self.clock, self.call_of_machine, machines=prototype)
        self.aws.states = self.states
        self.aws.accept = self.accept
        self.aws.call = self.call_by_arn
        self.sandbox.executed.clear()
        self.sandbox.requests.clear()
        self.events.clear()
        self.calls.clear()
        self.warm = None
        self._worlds.clear()
        self.aws.begin()

    @cached_property
    def _prototype(self) -> dict[str, Any]:
        return self.states.machines[self.environment["PACK_RUN_MACHINE_ARN"]]


@contextmanager
def service(
    secrets: Mapping[str, str], functions: Mapping[str, Callable[[dict[str, Any]], Any]]
) -> Iterator[Service]:
    """A fresh TaskRunner with a tenant's *secrets* and executor *functions*, by their names.

    `begin` makes it fresh again, in no time.
    """
    aws = Aws()
    clock = StoppedClock()
    aws.states = StepFunctions(clock, _nothing_to_call)
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(tempfile, "tempdir", folder)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        # A pool does its work at once and in order, so that every call has its number.
        patch.setattr(ThreadPoolExecutor, "submit", _at_once)
        # The SDK makes all of its tries, without the pauses between them.
        patch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
        with moto_aws(between=aws.between):
            deployed = deploy()
            running = Service(deployed, aws, aws.states, clock)
            for name, value in secrets.items():
                _store_secret(name, value)
            aws.functions = {EXECUTOR_PREFIX + name: answer for name, answer in functions.items()}
            running.begin()
            yield running


def _store_secret(name: str, value: str) -> None:
    """Store a secret of the tenant where an operator would."""
    boto3.client("secretsmanager").create_secret(
        Name=f"{SECRET_PREFIX}{TENANT}/{name}", SecretString=value
    )


def _at_once(
    _pool: ThreadPoolExecutor,
    work: Callable[..., Any],
    *arguments: Any,  # noqa: ANN401 - any work
    **more: Any,  # noqa: ANN401 - any work
) -> Future[Any]:
    done: Future[Any] = Future()
    try:
        done.set_result(work(*arguments, **more))
    except BaseException as error:  # noqa: BLE001 - raised by whoever asks for the result
        done.set_exception(error)
    return done


def _nothing_to_call(arn: str, _payload: dict[str, Any]) -> Any:  # noqa: ANN401
    raise AssertionError(f"nobody calls {arn} yet")


def _label(payload: dict[str, Any]) -> str:
    """Return the purpose of a machine's call of a function."""
    path = step_reference(payload).path if "step" in payload else ""
    words = [path, payload.get("ask"), "expired" * has_timed_out(payload)]
    return " ".join(filter(None, words))


def _status_change(execution: Execution) -> dict[str, Any]:
    dates = {"startDate": execution.started_at, "stopDate": execution.stopped_at}
    return {
        "executionArn": execution.arn,
        "stateMachineArn": execution.machine_arn,
        "name": execution.name,
        "status": execution.status,
        "input": execution.input,
        **{name: int(date.timestamp() * 1000) for name, date in dates.items() if date is not None},
        **execution.end,
    }


def _is_locked(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
