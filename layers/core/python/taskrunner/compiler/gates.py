"""Which gates an execution has passed when it comes to a state: what a compiled machine guarantees.

The machine is read as Step Functions reads it, and not as the emitter meant it. For each state it
is asked what holds on *every* way that leads there, a must-analysis as compilers know it: a way
gains a gate when it leaves the gate by its `Next`, or by that of `Expire <id>`, where the clock
found a decision; where ways meet, what not all of them have is lost.

* What is caught of a gate passes it not; the gate was only come to. Where the pack lets the run go
  on all the same, that is all that can be asked.
* The Choice that decides a gate's `when` may go to where the gate itself leads, and nowhere else;
  and so may the verdict of a policy around its override.
* Behind a Parallel stands what holds at the ends of all its branches together. Behind a Map there
  is nothing gained, since it may have no items, unless planning knows them.

`checked` holds every machine to the plan before it is created. `guards` says for a pack's author
what each gate is good for.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Final, TypeAlias

from taskrunner.model.plan import (
    ApprovalGate,
    Conditional,
    FailureAction,
    Loop,
    MapStep,
    Parallel,
    PolicyGate,
    RunStep,
    Step,
    children,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan

Bits: TypeAlias = int  # a set of gates: two bits for each, that it was passed and that it was met
_Certain: TypeAlias = "tuple[dict[str, Bits], Bits]"  # in each state, and at the end of all

_DONE: Final = "Steps done"
_TERMINAL: Final = frozenset({"Succeed"})
# The words before a step's id in the names of its further states; no id has a space in it.
_OF_A_STEP: Final = frozenset(
    {
        "Again", "Branch", "Break", "Broken", "Done", "End", "Expire", "Items", "Iteration", "Lane",
        "Leave", "Override", "Pause", "Verdict", "When", "Whether",
    }
)  # fmt: skip


class BypassError(Exception):
    """A compiled machine lets an execution go around a gate: our mistake, never an author's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What one gate of a plan is good for.

    *behind* has the steps that cannot be reached without its passing. *unless* is the condition
    that leaves it out when it is false, which only the run can tell. *idle* says why it holds
    nobody back, if so.
    """

    step: ApprovalGate | PolicyGate
    behind: tuple[str, ...]
    unless: str | None = None
    idle: str | None = None


def checked(machine: JsonObject, plan: Plan) -> JsonObject:
    """*machine*, once it is certain that none of its gates can be gone around.

    Raises:
        BypassError: one can be.
    """
    if found := problems(machine, plan):
        raise BypassError("; ".join(found[:10]))
    return machine


def problems(machine: JsonObject, plan: Plan) -> list[str]:
    """Every way in which *machine* leads to what stands behind a gate without the gate."""
    return list(_Check(machine, plan).found())


def guards(machine: JsonObject, plan: Plan) -> tuple[list[Guard], list[str]]:
    """What each gate of *plan* guards, and the `run` steps that none does."""
    ways = _Ways(machine, plan)
    found, held = [], 0
    for step in _gates(plan):
        idle = _idle(step)
        if idle is None:
            held |= ways.passed(step.id)
        behind = () if idle else tuple(ways.behind(step.id))
        unless = step.when if step.enabled is None else None
        found.append(Guard(step=step, behind=behind, unless=unless, idle=idle))
    free = [
        step.id
        for step in plan.all_steps()
        if isinstance(step, RunStep) and step.enabled is not False
        if not ways.certain(step.id) & held
    ]
    return found, free


def _gates(plan: Plan) -> Iterator[ApprovalGate | PolicyGate]:
    return (step for step in plan.all_steps() if isinstance(step, ApprovalGate | PolicyGate))


def _idle(step: ApprovalGate | PolicyGate) -> str | None:
    if step.enabled is False:
        return "its condition is false for these inputs"
    if step.continue_on_error:
        return "the run goes on when it fails"
    if isinstance(step, PolicyGate) and step.failure_action is FailureAction.WARN:
        return "it warns, and the run goes on"
    if isinstance(step, PolicyGate) and step.failure_action is FailureAction.BRANCH:
        return "a failure takes its branch, and the run goes on"
    return None


@dataclass(frozen=True, slots=True)
class _Gate:
    """A state that is a gate. *around* are the Choices that may go where it leads, *follower*."""

    name: str
    step: Step
    around: frozenset[str]
    follower: str | None


class _Ways:
    """What is certain in each state of one machine, on whichever way it was reached."""

    def __init__(self, machine: JsonObject, plan: Plan) -> None:
        self._plan = plan
        self.states = dict(_all_states(machine))
        self.gates = list(self._found_gates())
        self._passed = {gate.name: 1 << 2 * place for place, gate in enumerate(self.gates)}
        self._gained: dict[tuple[str, str, str], Bits] = defaultdict(int)
        for gate in self.gates:
            self._gain(gate)
        self._sure = {
            step.id
            for step in plan.all_steps()
            if isinstance(step, MapStep | Loop) and step.items.values
        }
        self._certain, _ = self._scope(machine)

    def passed(self, name: str) -> Bits:
        """The bit that says that the gate *name* was passed."""
        return self._passed.get(name, 0)

    def met(self, name: str) -> Bits:
        """The bit that says that it was come to, at least."""
        return self._passed.get(name, 0) << 1

    def certain(self, name: str) -> Bits:
        """The gates that an execution has passed and met when it comes to a state."""
        return self._certain.get(name, 0)

    def is_reached(self, name: str) -> bool:
        """Whether any way leads to a state."""
        return name in self._certain

    def behind(self, gate: str) -> Iterator[str]:
        """The steps that are not reached without the gate, in the plan's order."""
        bit = self.passed(gate)
        ids = (step.id for step in self._plan.all_steps())
        return (one for one in ids if one != gate and bit and self.certain(one) & bit)

    def _found_gates(self) -> Iterator[_Gate]:
        for step in self._plan.all_steps():
            if not isinstance(step, ApprovalGate | PolicyGate):
                continue
            verdict = self.states.get(f"Verdict {step.id}")
            own = self.states.get(step.id, {})
            follower = own.get("Next") if verdict is None else verdict.get("Default")
            deciders = frozenset({f"When {step.id}", f"Whether {step.id}"})
            yield _Gate(step.id, step, deciders, follower)
            if isinstance(step, PolicyGate) and step.override is not None:
                around = deciders | {f"Verdict {step.id}"}
                yield _Gate(f"Override {step.id}", step, around, follower)

    def _gain(self, gate: _Gate) -> None:
        """Note on which edges a way gains *gate*; an edge has a kind, as two may lead to one."""
        state = self.states.get(gate.name, {})
        both = self.passed(gate.name) | self.met(gate.name)
        for target, kind in _edges(state):
            self._gained[gate.name, target, kind] |= both if kind == "Next" else self.met(gate.name)
            if kind == "Catch" and target == f"Expire {gate.step.id}":
                expired = self.states.get(target, {})
                self._gained[target, str(expired.get("Next")), "Next"] |= both
        for decider in gate.around:
            self._gained[decider, str(gate.follower), "Default"] |= both
            if gate.step.continue_on_error:
                self._gained[decider, str(gate.follower), "Catch"] |= self.met(gate.name)

    def _scope(self, scope: JsonObject) -> _Certain:
        """What is certain in each state of *scope*, inner ones too, and at all its ends."""
        return self._from(scope["StartAt"], scope["States"], self._insides(scope))

    def _insides(self, scope: JsonObject) -> dict[str, _Certain]:
        return {name: self._inside(name, state) for name, state in scope["States"].items()}

    def _from(
        self, start: str, states: Mapping[str, JsonObject], inner: Mapping[str, _Certain]
    ) -> _Certain:
        """The same from *start* on, where *inner* is known of what is in the *states*."""
        certain: dict[str, Bits] = {start: 0}
        order = _in_order(start, states)
        changed = True
        while changed:
            changed = False
            for name in order:
                for target, kind in _edges(states[name]):
                    if target not in states:
                        continue
                    gained = self._gained.get((name, target, kind), 0)
                    after = certain[name] | gained | (inner[name][1] if kind == "Next" else 0)
                    before = certain.get(target)
                    certain[target] = after if before is None else before & after
                    changed = changed or certain[target] != before
        ends = [certain[name] for name in order if _is_end(states[name])]
        for name in order:
            certain |= {one: bits | certain[name] for one, bits in inner[name][0].items()}
        return certain, reduce(and_, ends) if ends else 0

    def _inside(self, name: str, state: JsonObject) -> _Certain:
        """The same for what is in a block, and what is certain once the block has succeeded."""
        certain: dict[str, Bits] = {}
        exits: list[Bits] = []
        for scope in _scopes_in(state):
            # Once for all lanes: blocks stand in blocks, and each time would multiply.
            inner = self._insides(scope)
            found, at_end = self._from(scope["StartAt"], scope["States"], inner)
            certain |= found
            if "Branches" in state or name in self._sure:
                exits.append(at_end)
            else:
                # The branches of a parallel that limits how many run at once: all of them are run.
                lanes = [rule for rule in _choices(scope) if rule.get("Variable") == "$.lane"]
                exits += [self._from(rule["Next"], scope["States"], inner)[1] for rule in lanes]
        return certain, reduce(or_, exits, 0)


class _Check:
    """What the plan wants behind each gate, held against the ways of the machine."""

    def __init__(self, machine: JsonObject, plan: Plan) -> None:
        self._plan = plan
        self._ways = _Ways(machine, plan)
        self._of_step: dict[str, list[str]] = defaultdict(list)
        for name in self._ways.states:
            first, _, rest = name.partition(" ")
            self._of_step[rest if first in _OF_A_STEP else name].append(name)
        self._required: dict[str, Bits] = defaultdict(int)
        for gate in self._ways.gates:
            self._required[gate.step.id] |= self._bit(gate)

    def found(self) -> Iterator[str]:
        for name in self._ways.states:
            if not self._ways.is_reached(name):
                yield f"{name} is never reached"
        for gate in self._ways.gates:
            if gate.name not in self._ways.states:
                yield f"there is no state of the gate {gate.name}"
        yield from self._list(self._plan.steps, 0, [_DONE])

    def _bit(self, gate: _Gate) -> Bits:
        if not gate.step.continue_on_error:
            return self._ways.passed(gate.name)
        # It may fail, and so may the policy before its override.
        return self._ways.met(gate.name) if gate.name == gate.step.id else 0

    def _list(self, steps: Iterable[Step], required: Bits, ends: Sequence[str]) -> Iterator[str]:
        """Steps of which one follows the other, each behind all gates before it."""
        for step in steps:
            yield from self._states(self._of_step[step.id], required)
            yield from self._inside(step, required)
            required |= self._required[step.id]
        yield from self._states(ends, required)

    def _inside(self, step: Step, required: Bits) -> Iterator[str]:
        if isinstance(step, Conditional):
            for arm in step.arms:
                yield from self._list(arm, required, [])
        elif isinstance(step, Parallel):
            for child in step.steps:  # side by side, nothing is behind anything
                yield from self._list([child], required, [])
        elif isinstance(step, MapStep) and not step.continue_on_error:
            yield from self._list(step.steps, required, [f"Done {step.id}"])
        else:
            yield from self._list(children(step), required, [])

    def _states(self, names: Iterable[str], required: Bits) -> Iterator[str]:
        for name in names:
            missing = required & ~self._ways.certain(name)
            if not missing or not self._ways.is_reached(name):
                continue
            for gate in self._ways.gates:
                passed, met = self._ways.passed(gate.name), self._ways.met(gate.name)
                if missing & passed and self._ways.certain(name) & met:
                    yield f"{name} is reached though {gate.name} failed"
                elif missing & (passed | met):
                    yield f"{name} is reached around the gate {gate.name}"


def _all_states(machine: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for name, state in machine["States"].items():
        yield name, state
        for scope in _scopes_in(state):
            yield from _all_states(scope)


def _scopes_in(state: JsonObject) -> list[JsonObject]:
    return [*state.get("Branches", []), *filter(None, [state.get("ItemProcessor")])]


def _choices(scope: JsonObject) -> list[JsonObject]:
    first: JsonObject = scope["States"].get(scope["StartAt"], {})
    choices: list[JsonObject] = first.get("Choices", [])
    return choices


def _edges(state: JsonObject) -> Iterator[tuple[str, str]]:
    """Where a state may lead, and by what: its Next, its Default, a Choice or a Catch."""
    for kind in ("Next", "Default"):
        if kind in state:
            yield state[kind], kind
    for kind in ("Choices", "Catch"):
        for rule in state.get(kind, []):
            yield rule["Next"], kind


def _is_end(state: JsonObject) -> bool:
    return state["Type"] in _TERMINAL or state.get("End") is True


def _in_order(start: str, states: Mapping[str, JsonObject]) -> list[str]:
    """The states that are reached from *start*, each before those it leads to, circles apart."""
    seen, done = {start}, []
    ahead = [(start, _edges(states[start]))] if start in states else []
    while ahead:
        name, edges = ahead[-1]
        target = next((one for one, _ in edges if one in states and one not in seen), None)
        if target is None:
            done.append(name)
            ahead.pop()
        else:
            seen.add(target)
            ahead.append((target, _edges(states[target])))
    return done[::-1]
