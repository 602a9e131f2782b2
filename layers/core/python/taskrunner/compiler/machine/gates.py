"""Stage 6: the proof that no gate of the plan can be bypassed in its machine, and what gates guard.

`prove` compares every machine with its plan before it is created. `guards` says for a pack's author
what each gate is good for.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from taskrunner.compiler.machine.certain_gates import CertainGates
from taskrunner.compiler.machine.frame import BEFORE_FINAL_DONE, DONE
from taskrunner.model.plan import (
    ApprovalGate,
    Conditional,
    FailureAction,
    MapStep,
    Parallel,
    PolicyGate,
    RunStep,
    children,
    walk,
)
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from taskrunner.compiler.machine.certain_gates import Bits
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Gate, Plan, Step

# The words before a step's id in the names of its further states; no id has a space in it.
_STATE_WORDS: Final = frozenset(
    {
        "Again", "Branch", "Broken", "Items", "Lane", "Pause", "Result", "Verdict", "When",
        "Whether",
    }
)  # fmt: skip
_MAX_REPORTED: Final = 10


class BypassError(Exception):
    """A compiled machine lets an execution bypass a gate: our mistake, never an author's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """The effect of one gate of a plan.

    *behind* has the steps that cannot be reached without passing it. *in_iteration* has those of
    them that are in the innermost map or loop around the gate: each iteration's gate holds back the
    steps of the same iteration, and those of no other. *unless* is the condition that
    skips the gate when it is false, if only the run can know it. *idle* says why the gate holds
    nothing back, if it does not.
    """

    step: Gate
    behind: tuple[str, ...]
    in_iteration: tuple[str, ...] = ()
    unless: str | None = None
    idle: str | None = None


def prove(machine: JsonObject, plan: Plan) -> None:
    """Prove that no gate of *plan* can be bypassed in *machine*.

    Raises:
        BypassError: a gate can be bypassed.
    """
    if bypasses := problems(machine, plan):
        raise BypassError("; ".join(bypasses[:_MAX_REPORTED]))


def problems(machine: JsonObject, plan: Plan) -> list[str]:
    """Return every way in which *machine* leads to something behind a gate without the gate."""
    return list(_Proof(machine, plan).problems())


def guards(machine: JsonObject, plan: Plan) -> tuple[list[Guard], list[str]]:
    """Return what each gate of *plan* guards, and the `run` steps that no gate guards."""
    ways = CertainGates(machine, plan)
    guards_found: list[Guard] = []
    effective: Bits = 0
    for step in plan.all_steps():
        if not isinstance(step, ApprovalGate | PolicyGate):
            continue
        idle = _why_idle(step)
        if idle is None:
            effective |= ways.passed(step.id)
        behind = () if idle else tuple(ways.steps_behind(step.id))
        unless = step.when if step.enabled is None else None
        inside = _in_iteration(step, plan)
        in_iteration = tuple(step_id for step_id in behind if step_id in inside)
        guards_found.append(
            Guard(step=step, behind=behind, in_iteration=in_iteration, unless=unless, idle=idle)
        )
    unguarded = [
        step.id
        for step in plan.all_steps()
        if isinstance(step, RunStep) and step.enabled is not False
        if not ways.certain(step.id) & effective
    ]
    return guards_found, unguarded


def _in_iteration(gate: Gate, plan: Plan) -> frozenset[str]:
    """Return the ids of all steps in the innermost map or loop around *gate*."""
    blocks = plan.iterations(gate.id)
    return frozenset(step.id for step in walk(children(blocks[-1]))) if blocks else frozenset()


def _why_idle(gate: Gate) -> str | None:
    if gate.enabled is False:
        return "its condition is false for these inputs"
    if gate.continue_on_error:
        return "the run goes on when it fails"
    if isinstance(gate, PolicyGate) and gate.failure_action is FailureAction.WARN:
        return "it warns, and the run goes on"
    if isinstance(gate, PolicyGate) and gate.failure_action is FailureAction.BRANCH:
        return "a failure takes its branch, and the run goes on"
    return None


class _Proof:
    """The comparison of a plan with the ways of its machine."""

    def __init__(self, machine: JsonObject, plan: Plan) -> None:
        self._plan = plan
        self._ways = CertainGates(machine, plan)
        self._states_of: dict[str, list[str]] = defaultdict(list)
        for name in self._ways.states:
            word, _, step_id = name.partition(" ")
            self._states_of[step_id if word in _STATE_WORDS else name].append(name)
        self._required: dict[str, Bits] = defaultdict(int)
        for gate in self._ways.gates:
            self._required[gate.id] = self._required_of(gate)

    def problems(self) -> Iterator[str]:
        for name in self._ways.states:
            if not self._ways.is_reached(name):
                yield f"{name} is never reached"
        for gate in self._ways.gates:
            if gate.id not in self._ways.states:
                yield f"the gate {gate.id} has no state"
        if not self._plan.final_steps:
            yield from self._sequence(self._plan.steps, 0, [DONE])
            return
        yield from self._sequence(self._plan.steps, 0, [BEFORE_FINAL_DONE])
        # Nothing guards `finally`, which runs however the steps ended.
        yield from self._sequence(self._plan.final_steps, 0, [DONE])

    def _required_of(self, gate: Gate) -> Bits:
        ways = self._ways
        return ways.met(gate.id) if gate.continue_on_error else ways.passed(gate.id)

    def _sequence(
        self, steps: Iterable[Step], required: Bits, ends: Sequence[str]
    ) -> Iterator[str]:
        """Check steps of which one follows the other, each behind all gates before it."""
        for step in steps:
            yield from self._states(self._states_of[step.id], required)
            yield from self._inside(step, required)
            required |= self._required_after(step)
        yield from self._states(ends, required, self._ways.certain_at_end)

    def _required_after(self, step: Step) -> Bits:
        """Return the gates that are behind *step*: itself, or those of lanes that all must end."""
        required = self._required[step.id]
        if isinstance(step, Parallel) and step.when is None and not step.continue_on_error:
            for child in children(step):
                required |= self._required_after(child)
        return required

    def _inside(self, step: Step, required: Bits) -> Iterator[str]:
        if isinstance(step, Conditional):
            for arm in step.arms:
                yield from self._sequence(arm, required, [])
        elif isinstance(step, Parallel):
            for lane in step.lanes:  # side by side: no lane is behind another
                yield from self._sequence(lane.steps, required, [])
        elif isinstance(step, MapStep) and step.stops_at_failure:
            yield from self._sequence(step.steps, required, self._ways.ends_in(step.id))
        else:
            yield from self._sequence(children(step), required, [])

    def _states(
        self, names: Iterable[str], required: Bits, certain_in: Callable[[str], Bits] | None = None
    ) -> Iterator[str]:
        for name in names:
            certain = (certain_in or self._ways.certain)(name)
            missing = required & ~certain
            if not missing or not self._ways.is_reached(name):
                continue
            for gate in self._ways.gates:
                passed, met = self._ways.passed(gate.id), self._ways.met(gate.id)
                if missing & passed and certain & met:
                    yield f"{name} is reached though {gate.id} failed"
                elif missing & (passed | met):
                    yield f"{name} is reached around the gate {gate.id}"
