"""Somebody cancels, stops or decides, right before any call that a use case makes of a port."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

import pytest

from taskrunner.model.approval import Verdict
from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus, StepReference
from taskrunner.usecases.begin_finally import begin_finally
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.decide_approval import decide_approval
from taskrunner.usecases.enter_gate import enter_gate
from taskrunner.usecases.expire_gate import expire_gate
from taskrunner.usecases.read_state import run_state
from taskrunner.usecases.settle_run import settle_run
from tests.fakes.failing_world import CrashError, FailingWorld, Failure
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    BOB,
    CAROL,
    TENANT,
    a_world,
    decide,
    gate,
    result_of,
    step,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner.model.caller import Caller
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
    return (world for world, _ in _raced(*ACTS[act], other))


def _raced(
    arrange: Callable[[], MemoryWorld],
    perform: Callable[[Any], Any],
    other: Callable[[MemoryWorld], Any],
) -> Iterator[tuple[MemoryWorld, Any]]:
    """The world after an act, and the act's answer or the name of its error."""
    arranged = arrange()
    for call in range(1, 60):
        world = deepcopy(arranged)
        racing = _WorldWithAnother(world, call, other)
        answer = result_of(lambda racing=racing: perform(cast("World", racing)))  # type: ignore[misc]
        if not racing.has_happened:
            assert call > 3, "the act made no calls"
            return
        yield world, answer
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
            assert {step["status"] for step in state["steps"]} <= {"Succeeded", "Skipped", "Failed"}
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


TWO_GATES = pack(
    """
    - id: each
      map:
        items: {static: [a, b]}
        steps: [{id: ask, gate: {approval: {id: security}}}, {id: go, run: {uses: builtin:noop}}]
    """,
    spec="approvals: [{id: security, scope: gate}]",
)
FIRST, SECOND = "each[0]::ask", "each[1]::ask"


def two_gates() -> MemoryWorld:
    world = a_world(TWO_GATES)
    for number in (0, 1):
        gate(world, "ask", f"token-{number}", iteration=f"each[{number}]::")
    return world


def deciding(
    *step_ids: str, verdict: Verdict = Verdict.APPROVED, by: Caller = BOB
) -> Callable[[Any], Any]:
    """Return a decision about the gates that it names, or about the only one that waits."""

    def act(world: World) -> Any:  # noqa: ANN401 - an answer
        return decide_approval(
            TENANT,
            "run-7",
            "security",
            verdict,
            plan_hash=world.runs.snapshot(TENANT, "run-7").run.plan_hash,
            caller=by,
            actor=None,
            summary=None,
            step_ids=step_ids or None,
            world=world,
        )

    return act


def verdicts(world: MemoryWorld) -> dict[str | None, Verdict | None]:
    records = world.approvals.records(TENANT, "run-7", "security")
    return {record.gate_path: record.verdict for record in records}


APPROVED, REJECTED = Verdict.APPROVED, Verdict.REJECTED


def test_two_decisions_about_two_gates_meet_without_touching() -> None:
    for world, answer in _raced(two_gates, deciding(FIRST), deciding(SECOND, by=CAROL)):
        records = world.approvals.records(TENANT, "run-7", "security")

        assert answer == {"status": "approved", "resumed": True}
        assert {r.gate_path: [d.approver for d in r.decisions] for r in records} == {
            FIRST: ["bob"],
            SECOND: ["carol"],
        }
        assert world.approvals.woken == {"token-0": APPROVED, "token-1": APPROVED}


def test_of_a_list_nothing_is_approved_after_one_gate_was_rejected() -> None:
    reject = deciding(SECOND, verdict=REJECTED, by=CAROL)
    for world, answer in _raced(two_gates, deciding(FIRST, SECOND), reject):
        found = verdicts(world)

        assert [
            e.id for e in after(world, Event.RUN_FAILED) if e.event is Event.GATE_APPROVED
        ] == []
        assert world.approvals.woken.get("token-1") is found[SECOND]
        # The end of the run may have come between the approval's record and the wake.
        assert world.approvals.woken.get("token-0") in {None, found.get(FIRST)}
        assert isinstance(answer, dict) == (found[SECOND] is APPROVED)


def test_a_decision_without_a_name_meets_no_gate_that_opens_meanwhile() -> None:
    def one_gate() -> MemoryWorld:
        world = a_world(TWO_GATES)
        gate(world, "ask", "token-0", iteration="each[0]::")
        return world

    def open_the_other(world: MemoryWorld) -> None:
        gate(world, "ask", "token-1", iteration="each[1]::")

    for world, answer in _raced(one_gate, deciding(), open_the_other):
        assert verdicts(world).get(SECOND) is None
        assert (verdicts(world).get(FIRST) is APPROVED) == isinstance(answer, dict)


@pytest.mark.parametrize(
    ("step_ids", "expected"),
    [
        ((FIRST, "each[7]::ask"), "ConflictError approval_not_open"),
        ((FIRST, "each[1]::go"), "NotFoundError"),
        ((FIRST, "nothing"), "NotFoundError"),
        ((FIRST, "each[0]::each[0]::ask"), "NotFoundError"),
        ((FIRST, FIRST), {"status": "approved", "resumed": True}),
        ((SECOND, FIRST), "ConflictError approval_already_decided"),
        ((FIRST, SECOND), "ConflictError approval_not_open"),  # the rejection has ended the run
    ],
)
def test_a_list_with_a_gate_that_cannot_be_decided_decides_none(
    step_ids: tuple[str, ...], expected: object
) -> None:
    world = two_gates()
    if SECOND in step_ids:
        result_of(lambda: deciding(SECOND, verdict=REJECTED, by=CAROL)(world))

    answer = result_of(lambda: deciding(*step_ids)(world))

    assert answer == expected
    assert (verdicts(world).get(FIRST) is APPROVED) == isinstance(expected, dict)
