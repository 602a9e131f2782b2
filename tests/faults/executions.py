"""Executions of machines in one thread, whose lanes a test moves on one at a time.

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
    from collections.abc import Callable, Mapping

    from tests.fakes.clock import StoppedClock


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
    """One execution of a machine. *end* is what Step Functions reports of one that has ended."""

    arn: str
    input: str
    started_at: datetime
    status: str = "RUNNING"
    stopped_at: datetime | None = None
    end: dict[str, str] = field(default_factory=dict)
    threads: list[Thread] = field(default_factory=list)

    @property
    def machine_arn(self) -> str:
        """The ARN of its machine."""
        return self.arn.rpartition(":")[0].replace(":execution:", ":stateMachine:")

    @property
    def name(self) -> str:
        """Its name."""
        return self.arn.rpartition(":")[2]


@dataclass
class Executions:
    """All executions. *call* calls a function by its ARN and raises a `StateError`.

    - *joins_all*: a Parallel or a Map whose lane has failed waits for its other lanes. AWS stops
      them; the emulator of the local stack does not.
    - *ended*: executions that have ended, which EventBridge is about to report.
    """

    clock: StoppedClock
    call: Callable[[str, dict[str, Any]], Any]
    joins_all: bool = False
    executions: dict[str, Execution] = field(default_factory=dict)
    ended: list[Execution] = field(default_factory=list)
    _tokens: Tokens = field(default_factory=Tokens)

    def start(self, execution: Execution, definition: Mapping[str, Any]) -> None:
        """Begin an execution of a machine with a *definition*."""
        self.executions[execution.arn] = execution
        context = Context(self._tokens, {"Execution": execution.name})
        lane = run_states(definition, json.loads(execution.input), context)
        self.begin(Thread(lane, execution))

    def answer_token(self, token: str, answer: Callable[[], Any]) -> bool:
        """Give the lane that waits with a token its answer; return whether there is one."""
        for thread in self._threads():
            effect = thread.effect
            if isinstance(effect, Call) and effect.token == token and thread.answer is None:
                thread.answer = answer
                return True
        return False

    def end(self, execution: Execution, status: str, **end: str) -> None:
        """End an execution, and let nothing more happen in it."""
        execution.status, execution.end, execution.threads = status, end, []
        execution.stopped_at = self.clock.now()
        self.ended.append(execution)

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
            self._go_on(thread, raising(StateError("States.Timeout")))

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
            thread.answer = thread.answer or raising(error)
        else:
            if effect.token is None:
                thread.answer = returning({"Payload": result})

    # --- lanes --------------------------------------------------------------------------------

    def begin(self, thread: Thread) -> None:
        """Begin a lane."""
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
            self._end(thread, returning(stop.value))
        except StateError as error:
            self._end(thread, raising(error))
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
            self.begin(child)
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
        try:
            output = json.dumps(result())
        except StateError as error:
            self.end(execution, "FAILED", error=error.error, cause=error.cause)
        else:
            self.end(execution, "SUCCEEDED", output=output)


def returning(value: Any) -> Callable[[], Any]:  # noqa: ANN401 - any JSON
    """Return an answer that is a value."""
    return lambda: value


class _Raising:
    def __init__(self, error: StateError) -> None:
        self._error = error

    def __call__(self) -> Any:  # noqa: ANN401 - it never returns
        raise self._error


def raising(error: StateError) -> Callable[[], Any]:
    """Return an answer that is an error."""
    return _Raising(error)


def _fails(result: Callable[[], Any]) -> bool:
    return isinstance(result, _Raising)
