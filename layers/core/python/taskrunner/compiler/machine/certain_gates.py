"""The gates that an execution has certainly passed when it comes to a state of a machine.

The machine is read as Step Functions reads it, not as emit meant it. The question for each state is
what holds on *every* way that leads there; compilers call this a must-analysis. A way gains a gate
where it leaves the gate by its `Next`, or ends in it. Where ways meet, only what all of them have
is kept.

* Leaving a gate by a Catch does not count as passing it, only as meeting it. Where the pack lets
  the run go on after a failure, meeting the gate is all that can be asked.
* The function of a gate decides the gate's `when` too, and evaluates the policy of an override. A
  gate that is skipped, or whose policy holds, counts as passed.
* A Parallel runs all of its branches, so what is certain at the end of any of them is certain after
  it. A Map adds nothing, because it may have no items: planning may not know them, and a skipped
  block has none.
"""

from __future__ import annotations

from collections import defaultdict
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Final, TypeAlias

from taskrunner.model.plan import ApprovalGate, Loop, MapStep, Parallel, PolicyGate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Gate, Plan, Step

Bits: TypeAlias = int  # a set of gates, with two bits for each: that it was passed, and met
_Certain: TypeAlias = "tuple[dict[str, Bits], Bits]"  # in each state, and at the end of all

_TERMINAL: Final = frozenset({"Succeed"})
_END: Final = ("", "End")  # leads nowhere, as an edge


class CertainGates:
    """The gates that are certain in each state of one machine."""

    def __init__(self, machine: JsonObject, plan: Plan) -> None:
        self._plan = plan
        self.states = dict(_all_states(machine))
        self.gates: list[Gate] = [
            step for step in plan.all_steps() if isinstance(step, ApprovalGate | PolicyGate)
        ]
        self._passed = {gate.id: 1 << 2 * number for number, gate in enumerate(self.gates)}
        self._gained: dict[tuple[str, str, str], Bits] = defaultdict(int)
        for gate in self.gates:
            self._mark_edges(gate.id)
        self._runs_inside = {step.id for step in plan.all_steps() if _runs_inside(step)}
        self._exits: dict[str, Bits] = {}
        self._certain, _ = self._analyse(machine)

    def passed(self, name: str) -> Bits:
        """Return the bit that says that the gate *name* was passed."""
        return self._passed.get(name, 0)

    def met(self, name: str) -> Bits:
        """Return the bit that says that an execution came to the gate *name*, at least."""
        return self._passed.get(name, 0) << 1

    def certain(self, name: str) -> Bits:
        """Return the gates that an execution has passed and met when it comes to a state."""
        return self._certain.get(name, 0)

    def certain_at_end(self, name: str) -> Bits:
        """Return the gates that are certain when a branch or an iteration ends in a state."""
        return self._after(name, self.certain(name))

    def is_reached(self, name: str) -> bool:
        """Return whether any way leads to a state."""
        return name in self._certain

    def ends_in(self, block: str) -> list[str]:
        """Return the states that end a branch or an iteration of *block*."""
        return [
            name
            for scope in _scopes_in(self.states.get(block, {}))
            for name, state in scope["States"].items()
            if _is_end(state)
        ]

    def steps_behind(self, gate: str) -> Iterator[str]:
        """Yield the steps that are not reached without the gate, in the plan's order."""
        bit = self.passed(gate)
        for step in self._plan.all_steps():
            if step.id != gate and self.certain(step.id) & bit:
                yield step.id

    def _mark_edges(self, gate: str) -> None:
        """Note on which edges a way gains *gate*.

        An edge has a kind, because two edges may lead from one state to the same other.
        """
        met = self.met(gate)
        both = self.passed(gate) | met
        state = self.states.get(gate, {})
        for target, kind in _edges(state):
            self._gained[gate, target, kind] |= both if kind == "Next" else met
        if state.get("End"):
            self._gained[(gate, *_END)] = both

    def _analyse(self, scope: JsonObject) -> _Certain:
        """Return what is certain in each state of *scope*, inner ones included, and at its ends."""
        return self._analyse_from(scope["StartAt"], scope["States"], self._analyse_blocks(scope))

    def _analyse_blocks(self, scope: JsonObject) -> dict[str, _Certain]:
        return {
            name: self._analyse_block(name, state)
            for name, state in scope["States"].items()
            if _scopes_in(state)
        }

    def _analyse_from(
        self, start: str, states: Mapping[str, JsonObject], inner: Mapping[str, _Certain]
    ) -> _Certain:
        """Return what is certain in each state that *start* leads to, and at its ends.

        *inner* has the same for the blocks among *states*, by name.
        """
        certain: dict[str, Bits] = {start: 0}
        order = _in_order(start, states)
        changed = True
        while changed:
            changed = False
            for name in order:
                inside = inner[name][1] if name in inner else 0
                for target, kind in _edges(states[name]):
                    if target not in states:
                        continue
                    gained = self._gained.get((name, target, kind), 0)
                    after = certain[name] | gained | (inside if kind == "Next" else 0)
                    before = certain.get(target)
                    certain[target] = after if before is None else before & after
                    changed = changed or certain[target] != before
        ends = [self._after(name, certain[name]) for name in order if _is_end(states[name])]
        for name in order:
            if name in inner:
                certain |= {state: bits | certain[name] for state, bits in inner[name][0].items()}
        return certain, reduce(and_, ends) if ends else 0

    def _analyse_block(self, name: str, state: JsonObject) -> _Certain:
        """Return what is certain in each state of a block, and after it has succeeded."""
        certain: dict[str, Bits] = {}
        exits: list[Bits] = []
        for scope in _scopes_in(state):
            # Once for all lanes: blocks are in blocks, and once for each lane would multiply.
            inner = self._analyse_blocks(scope)
            in_states, at_ends = self._analyse_from(scope["StartAt"], scope["States"], inner)
            certain |= in_states
            if "Branches" not in state and name not in self._runs_inside:
                continue
            lanes = [rule for rule in _choices(scope) if rule.get("Variable") == "$.lane"]
            if lanes:  # of a parallel that limits how many run at a time: all of them run
                exits += [
                    self._analyse_from(rule["Next"], scope["States"], inner)[1] for rule in lanes
                ]
            else:
                exits.append(at_ends)
        self._exits[name] = reduce(or_, exits, 0)
        return certain, self._exits[name]

    def _after(self, name: str, before: Bits) -> Bits:
        """Return what is certain after the state *name*, which ends a branch or an iteration."""
        return before | self._gained.get((name, *_END), 0) | self._exits.get(name, 0)


def _runs_inside(step: Step) -> bool:
    """Return whether a block certainly runs what it holds, when an execution comes to it."""
    match step:
        case Parallel():
            return step.when is None
        case MapStep() | Loop():
            return step.when is None and bool(step.items.values)
        case _:
            return False


def _all_states(machine: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for name, state in machine["States"].items():
        yield name, state
        for scope in _scopes_in(state):
            yield from _all_states(scope)


def _scopes_in(state: JsonObject) -> list[JsonObject]:
    body = state.get("ItemProcessor")
    return [*state.get("Branches", ()), *([body] if body else ())]


def _choices(scope: JsonObject) -> list[JsonObject]:
    first: JsonObject = scope["States"].get(scope["StartAt"], {})
    choices: list[JsonObject] = first.get("Choices", [])
    return choices


def _edges(state: JsonObject) -> Iterator[tuple[str, str]]:
    """Yield where a state may lead, and by what: Next, Default, Choices or Catch."""
    for kind in ("Next", "Default"):
        if kind in state:
            yield state[kind], kind
    for kind in ("Choices", "Catch"):
        for rule in state.get(kind, []):
            yield rule["Next"], kind


def _is_end(state: JsonObject) -> bool:
    return state["Type"] in _TERMINAL or state.get("End") is True


def _in_order(start: str, states: Mapping[str, JsonObject]) -> list[str]:
    """Return the states reached from *start*, each before those it leads to, cycles apart."""
    seen, done = {start}, []
    ahead = [(start, _edges(states[start]))] if start in states else []
    while ahead:
        name, edges = ahead[-1]
        target = next((state for state, _ in edges if state in states and state not in seen), None)
        if target is None:
            done.append(name)
            ahead.pop()
        else:
            seen.add(target)
            ahead.append((target, _edges(states[target])))
    return done[::-1]
