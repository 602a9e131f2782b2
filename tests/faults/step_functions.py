"""Step Functions in one thread: its API, and its executions, which a test moves on one at a time.

Nothing happens by itself. `ready` lists what could happen now: a function may be called, or a lane
may go on because its token was answered. `next_timer` is when a pause or a timeout ends. So a test
decides the order, no test waits, and every run can be repeated exactly.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.faults.interpreter import (
    Call,
    Context,
    Fork,
    Lane,
    Sleep,
    StateError,
    Tokens,
    run_states,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.clock import StoppedClock

_ARN = "arn:aws:states:us-east-1:123456789012"


class RefusedError(Exception):
    """An answer of the API that is an error."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code, message)
        self.code = code


@dataclass(eq=False)
class Thread:
    """A lane that is under way, and what it waits for."""

    lane: Lane
    execution: Execution
    parent: Thread | None = None
    effect: Call | Sleep | Fork | None = None
    wakes_at: datetime | None = None
    # The answer of a call or a token, before the lane has gone on with it.
    answer: Callable[[], Any] | None = None
    was_called: bool = False
    # These are for a Fork:
    waiting: list[Thread] = field(default_factory=list)
    running: list[Thread] = field(default_factory=list)
    results: dict[Thread, Any] = field(default_factory=dict)
    order: list[Thread] = field(default_factory=list)


@dataclass(eq=False)
class Execution:
    """One execution of a machine."""

    arn: str
    input: str
    status: str = "RUNNING"
    threads: list[Thread] = field(default_factory=list)


@dataclass
class StepFunctions:
    """Machines and executions. *call* calls a function by its ARN and raises a `StateError`.

    - *joins_all*: a Parallel or a Map whose lane has failed waits for its other lanes. AWS stops
      them; the emulator of the local stack does not.
    - *left_over*: the names of machines that nothing has used for long.
    - *ended*: executions that did not succeed, which EventBridge is about to report.
    """

    clock: StoppedClock
    call: Callable[[str, dict[str, Any]], Any]
    joins_all: bool = False
    machines: dict[str, dict[str, Any]] = field(default_factory=dict)
    executions: dict[str, Execution] = field(default_factory=dict)
    ended: list[Execution] = field(default_factory=list)
    left_over: set[str] = field(default_factory=set)
    _tokens: Tokens = field(default_factory=Tokens)

    # --- what can happen ----------------------------------------------------------------------

    def ready(self) -> list[Thread]:
        """The lanes that can go on now, in the order in which they got there."""
        return [thread for thread in self._threads() if self._is_ready(thread)]

    def next_timer(self) -> datetime | None:
        """The first time at which a pause or a timeout ends."""
        times = [thread.wakes_at for thread in self._threads() if thread.wakes_at is not None]
        return min(times, default=None)

    def waiting_tokens(self) -> list[str]:
        """The tokens that running executions wait for."""
        effects = [thread.effect for thread in self._threads() if thread.was_called]
        return [
            effect.token
            for effect in effects
            if isinstance(effect, Call) and effect.token is not None
        ]

    def run(self, thread: Thread) -> None:
        """Let one lane go on: call its function, or give it what came."""
        effect = thread.effect
        if thread.answer is None and isinstance(effect, Call) and not thread.was_called:
            self._call(thread, effect)
        elif thread.answer is not None:
            self._go_on(thread, thread.answer)
        elif isinstance(effect, Sleep):
            self._go_on(thread, lambda: None)
        else:
            self._go_on(thread, _raising(StateError("States.Timeout")))

    def _threads(self) -> list[Thread]:
        running = [
            execution for execution in self.executions.values() if execution.status == "RUNNING"
        ]
        return [thread for execution in running for thread in execution.threads]

    def _is_ready(self, thread: Thread) -> bool:
        if thread.answer is not None:
            return True
        if isinstance(thread.effect, Call) and not thread.was_called:
            return True
        return thread.wakes_at is not None and thread.wakes_at <= self.clock.now()

    def _call(self, thread: Thread, effect: Call) -> None:
        thread.was_called = True
        thread.wakes_at = self.clock.now() + timedelta(seconds=effect.timeout_s)
        try:
            result = self.call(effect.function, effect.payload)
        except StateError as error:
            # A token that was answered before the function failed has ended the state.
            thread.answer = thread.answer or _raising(error)
        else:
            if effect.token is None:
                thread.answer = _returning({"Payload": result})

    # --- lanes --------------------------------------------------------------------------------

    def _begin(self, thread: Thread) -> None:
        thread.execution.threads.append(thread)
        self._go_on(thread, lambda: None)

    def _go_on(self, thread: Thread, answer: Callable[[], Any]) -> None:
        """Give *answer* to the lane, and let it run to its next effect or its end."""
        if thread not in thread.execution.threads:
            return
        thread.answer, thread.effect, thread.wakes_at = None, None, None
        thread.was_called = False
        try:
            try:
                result = answer()
            except StateError as error:
                effect = thread.lane.throw(error)
            else:
                effect = thread.lane.send(result)
        except StopIteration as stop:
            self._end(thread, _returning(stop.value))
        except StateError as error:
            self._end(thread, _raising(error))
        else:
            self._wait(thread, effect)

    def _wait(self, thread: Thread, effect: Call | Sleep | Fork) -> None:
        thread.effect = effect
        if isinstance(effect, Sleep):
            thread.wakes_at = self.clock.now() + timedelta(seconds=effect.seconds)
        elif isinstance(effect, Fork):
            thread.order = [Thread(lane, thread.execution, thread) for lane in effect.lanes]
            thread.waiting, thread.running, thread.results = list(thread.order), [], {}
            self._fill(thread, effect)

    def _fill(self, thread: Thread, effect: Fork) -> None:
        """Begin as many lanes of a Fork as may run; go on when all have ended."""
        while thread.waiting and (not effect.limit or len(thread.running) < effect.limit):
            child = thread.waiting.pop(0)
            thread.running.append(child)
            self._begin(child)
            if thread.effect is not effect:
                return
        if not thread.waiting and not thread.running and thread.answer is None:
            results = [thread.results[child] for child in thread.order]
            thread.answer = lambda: [result() for result in results]

    def _end(self, thread: Thread, result: Callable[[], Any]) -> None:
        thread.execution.threads.remove(thread)
        parent = thread.parent
        if parent is None:
            self._end_execution(thread.execution, result)
            return
        assert isinstance(parent.effect, Fork)
        parent.running.remove(thread)
        parent.results[thread] = result
        if _fails(result) and not self.joins_all:
            self._stop_children(parent)
            parent.answer = result
        else:
            if _fails(result):
                for child in parent.waiting:
                    parent.results[child] = result
                parent.waiting = []
            self._fill(parent, parent.effect)

    def _stop_children(self, thread: Thread) -> None:
        for child in thread.running:
            if child in child.execution.threads:
                child.execution.threads.remove(child)
            self._stop_children(child)
        thread.running, thread.waiting = [], []

    def _end_execution(self, execution: Execution, result: Callable[[], Any]) -> None:
        execution.status = "FAILED" if _fails(result) else "SUCCEEDED"
        execution.threads = []
        if execution.status != "SUCCEEDED":
            self.ended.append(execution)

    # --- the API ------------------------------------------------------------------------------

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer a request.

        Raises:
            RefusedError: the answer is an error.
        """
        answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "CreateStateMachine": self._create_machine,
            "DescribeStateMachine": self._describe_machine,
            "StartExecution": self._start,
            "StopExecution": self._stop,
            "DescribeExecution": self._describe,
            "SendTaskSuccess": self._succeed,
            "SendTaskFailure": self._fail,
            "ListStateMachines": self._list_machines,
            "ListExecutions": self._list_executions,
            "DeleteStateMachine": self._delete_machine,
        }
        return answers[operation](request)

    def _create_machine(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = f"{_ARN}:stateMachine:{request['name']}"
        if arn in self.machines and self.machines[arn] != request:
            raise RefusedError("StateMachineAlreadyExists")
        self.machines[arn] = request
        return {"stateMachineArn": arn, "creationDate": self.clock.now().timestamp()}

    def _describe_machine(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = request["stateMachineArn"]
        machine = self.machines[arn]
        names = ("name", "definition", "roleArn")
        described = {name: machine[name] for name in names}
        created_at = self.clock.now().timestamp()
        return {"stateMachineArn": arn, "type": "STANDARD", "creationDate": created_at} | described

    def leave(self, name: str) -> None:
        """Have a machine that was made forty days ago, and that nothing has used since."""
        self.machines[f"{_ARN}:stateMachine:{name}"] = {"name": name}
        self.left_over.add(name)

    def _list_machines(self, _: dict[str, Any]) -> dict[str, Any]:
        now = self.clock.now()
        return {
            "stateMachines": [
                {
                    "stateMachineArn": arn,
                    "name": machine["name"],
                    "type": "STANDARD",
                    "creationDate": (
                        now - timedelta(days=40 * (machine["name"] in self.left_over))
                    ).timestamp(),
                }
                for arn, machine in self.machines.items()
            ]
        }

    def _list_executions(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["stateMachineArn"] not in self.machines:
            raise RefusedError("StateMachineDoesNotExist")
        beginning = request["stateMachineArn"].replace(":stateMachine:", ":execution:") + ":"
        assert not any(arn.startswith(beginning) for arn in self.executions)
        return {"executions": []}

    def _delete_machine(self, request: dict[str, Any]) -> dict[str, Any]:
        self.machines.pop(request["stateMachineArn"], None)
        return {}

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        machine = request["stateMachineArn"]
        if machine not in self.machines:
            raise RefusedError("StateMachineDoesNotExist")
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{request['name']}"
        known = self.executions.get(arn)
        if known is None:
            execution = Execution(arn, request["input"])
            self.executions[arn] = execution
            definition = json.loads(self.machines[machine]["definition"])
            value = json.loads(request["input"])
            context = Context(self._tokens, {"Execution": request["name"]})
            lane = run_states(definition, value, context)
            self._begin(Thread(lane, execution))
        elif known.status != "RUNNING" or known.input != request["input"]:
            raise RefusedError("ExecutionAlreadyExists")
        return {"executionArn": arn, "startDate": self.clock.now().timestamp()}

    def _execution(self, request: dict[str, Any]) -> Execution:
        execution = self.executions.get(request["executionArn"])
        if execution is None:
            raise RefusedError("ExecutionDoesNotExist")
        return execution

    def _describe(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._execution(request)
        machine, _, name = execution.arn.rpartition(":")
        return {
            "executionArn": execution.arn,
            "stateMachineArn": machine.replace(":execution:", ":stateMachine:"),
            "name": name,
            "status": execution.status,
            "startDate": self.clock.now().timestamp(),
            "input": execution.input,
        }

    def abort(self) -> None:
        """Stop each execution that is running, as an operator does in the console."""
        for execution in self.executions.values():
            self._stop({"executionArn": execution.arn})

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._execution(request)
        if execution.status == "RUNNING":
            execution.status = "ABORTED"
            execution.threads = []
            self.ended.append(execution)
        return {"stopDate": self.clock.now().timestamp()}

    def _succeed(self, request: dict[str, Any]) -> dict[str, Any]:
        self._waiting(request["taskToken"]).answer = _returning(json.loads(request["output"]))
        return {}

    def _fail(self, request: dict[str, Any]) -> dict[str, Any]:
        error = StateError(request.get("error", ""), request.get("cause", ""))
        self._waiting(request["taskToken"]).answer = _raising(error)
        return {}

    def _waiting(self, token: str) -> Thread:
        for thread in self._threads():
            effect = thread.effect
            if isinstance(effect, Call) and effect.token == token and thread.answer is None:
                return thread
        raise RefusedError("TaskTimedOut")


def _returning(value: Any) -> Callable[[], Any]:  # noqa: ANN401 - any JSON
    return lambda: value


class _Raising:
    def __init__(self, error: StateError) -> None:
        self._error = error

    def __call__(self) -> Any:  # noqa: ANN401 - it never returns
        raise self._error


def _raising(error: StateError) -> Callable[[], Any]:
    return _Raising(error)


def _fails(result: Callable[[], Any]) -> bool:
    return isinstance(result, _Raising)
