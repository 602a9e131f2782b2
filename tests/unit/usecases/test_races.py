"""Somebody cancels a run, or stops its execution, right before any call that a use case makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus, StepReference
from taskrunner.usecases.begin_finally import begin_finally
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.enter_gate import enter_gate
from taskrunner.usecases.expire_gate import expire_gate
from taskrunner.usecases.read_state import run_state
from taskrunner.usecases.settle_run import settle_run
from tests.fakes.failing_world import CrashError, FailingWorld, Failure
from tests.packs import pack
from tests.unit.usecases.scenarios import TENANT, a_world, decide, gate, result_of, step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner.model.journal import Entry
    from taskrunner.ports import World
    from tests.fakes.world import MemoryWorld

PACK = pack(
    """
    - {id: build, run: {uses: builtin:noop}}
    - id: lanes
      parallel:
        steps:
          - {id: review, gate: {approval: {id: security}}}
          - {id: ship, run: {uses: builtin:noop}}
    """,
    spec="""
    approvals: [{id: security}]
    finally: [{id: notify, run: {uses: builtin:noop}}]
    """,
)
BEGINNINGS = {Event.STEP_STARTED, Event.GATE_AWAITING}
REVIEW = StepReference(TENANT, "run-7", "review", "")


class _WorldWithAnother(FailingWorld):
    """*world*, in which *other* happens right before call number *call*."""

    def __init__(self, world: MemoryWorld, call: int, other: Callable[[MemoryWorld], Any]) -> None:
        super().__init__(world, Failure(call=0, effect_lost=True, error=CrashError))
        self._memory, self._call, self._other = world, call, other
        self.has_happened = False

    def perform(self, name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401
        self.calls.append(name)
        if len(self.calls) == self._call:
            self._other(self._memory)
            self.has_happened = True
        return call()


def at_work() -> MemoryWorld:
    world = a_world(PACK)
    step(world, "build")
    return world


def at_the_gate() -> MemoryWorld:
    world = at_work()
    gate(world)
    return world


def after_the_steps() -> MemoryWorld:
    world = at_the_gate()
    decide(world)
    step(world, "ship")
    return world


def in_finally() -> MemoryWorld:
    world = after_the_steps()
    begin(world)
    return world


def at_the_end() -> MemoryWorld:
    world = in_finally()
    step(world, "notify")
    return world


def begin(world: World, error: str | None = None) -> None:
    execution = world.runs.snapshot(TENANT, "run-7").run.execution
    begin_finally(TENANT, "run-7", error, execution, world)


def cancel(world: World) -> None:
    cancel_run(TENANT, "run-7", "ana", world)


def stop(world: World) -> None:
    """An operator stops the execution, and EventBridge reports it."""
    run = world.runs.snapshot(TENANT, "run-7").run
    execution = f"{run.machine}:{run.execution}"
    settle_run(TENANT, "run-7", "ABORTED", world, execution=execution)


ACTS: dict[str, tuple[Callable[[], MemoryWorld], Callable[[Any], Any]]] = {
    "a step starts": (at_work, lambda world: step(world, "ship", is_retry=False)),
    "a gate opens": (at_work, lambda world: enter_gate(REVIEW, "token-1", world)),
    "a gate is approved": (at_the_gate, decide),
    "a gate expires": (at_the_gate, lambda world: expire_gate(REVIEW, world)),
    "finally begins": (after_the_steps, begin),
    "finally begins after a failure": (at_the_gate, lambda world: begin(world, "States.Timeout")),
    "a step of finally starts": (in_finally, lambda world: step(world, "notify")),
    "the run ends": (at_the_end, lambda world: settle_run(TENANT, "run-7", None, world)),
}


def raced(act: str, other: Callable[[MemoryWorld], Any]) -> Iterator[MemoryWorld]:
    """The world after an act, for each of its calls before which *other* happened."""
    arrange, perform = ACTS[act]
    for call in range(1, 60):
        world = arrange()
        racing = _WorldWithAnother(world, call, other)
        result_of(lambda racing=racing: perform(cast("World", racing)))  # type: ignore[misc]
        if not racing.has_happened:
            assert call > 3, "the act made no calls"
            return
        yield world
    raise AssertionError("the act makes very many calls")


def journal(world: MemoryWorld) -> list[Entry]:
    return [placed.entry for placed in world.runs.journal(TENANT, "run-7")]


def after(world: MemoryWorld, event: Event) -> list[Entry]:
    """The entries after the first one of *event*; none if there is none."""
    entries = journal(world)
    place = next((n for n, entry in enumerate(entries) if entry.event is event), len(entries))
    return entries[place + 1 :]


@pytest.mark.parametrize("act", ACTS)
def test_nothing_begins_after_a_cancellation(act: str) -> None:
    for world in raced(act, cancel):
        run = world.runs.snapshot(TENANT, "run-7").run
        state = run_state(TENANT, "run-7", world)
        started = [entry for entry in journal(world) if entry.event is Event.STEP_STARTED]

        beginnings = BEGINNINGS | {Event.RUN_STEPS_ENDED}
        assert [e.id for e in after(world, Event.RUN_CANCELLED) if e.event in beginnings] == []
        assert len(world.sandbox.requests) <= len(started)
        assert run.outcome is not None
        if run.outcome is RunStatus.CANCELLED:
            assert {one["status"] for one in state["steps"]} <= {"Succeeded", "Skipped", "Failed"}
            assert world.approvals.list_open(TENANT, 10, None).items == []


@pytest.mark.parametrize("act", ACTS)
def test_nothing_but_finally_begins_after_the_execution_was_stopped(act: str) -> None:
    for world in raced(act, stop):
        world.clock.advance(961)  # a step that ran then has finished, or is lost
        result_of(lambda world=world: stop(world))  # type: ignore[misc]
        entries = journal(world)
        begun = [e.step_path for e in after(world, Event.RUN_STEPS_FAILED) if e.event in BEGINNINGS]

        assert set(begun) <= {"notify"}
        assert [entry.event for entry in entries].count(Event.RUN_STEPS_ENDED) == 1
        assert world.approvals.list_open(TENANT, 10, None).items == []
