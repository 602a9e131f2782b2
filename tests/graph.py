"""What must hold of every compiled machine, whatever pack it came from."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

from taskrunner import errors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

State: TypeAlias = dict[str, Any]
States: TypeAlias = dict[str, State]

MAX_NAME_CHARACTERS = 80
_PLATFORM_ERRORS = ("States.", "Lambda.", "Sandbox.")
_ENDS = {"Succeed", "Fail"}
_WAITS_FOR_A_DECISION = ".waitForTaskToken"


def problems(machine: dict[str, Any]) -> list[str]:
    """Everything that is wrong with *machine*; a sound one has none."""
    scopes = list(_scopes(machine, "$"))
    return [
        *_repeated_names([states for _, _, states in scopes]),
        *(problem for where, start, states in scopes for problem in _scope(where, start, states)),
    ]


def _scopes(machine: dict[str, Any], where: str) -> Iterator[tuple[str, str, States]]:
    """Every set of states with a start of its own: the machine, branches and item processors."""
    states: States = machine["States"]
    yield where, machine["StartAt"], states
    for name, state in states.items():
        inner = [*state.get("Branches", []), *filter(None, [state.get("ItemProcessor")])]
        for index, branch in enumerate(inner):
            yield from _scopes(branch, f"{where}.{name}[{index}]")


def _repeated_names(scopes: list[States]) -> Iterator[str]:
    names = Counter(name for states in scopes for name in states)
    yield from (
        f"the name {name} stands {count} times" for name, count in names.items() if count > 1
    )


def _scope(where: str, start: str, states: States) -> Iterator[str]:
    for name, state in states.items():
        for target in _targets(state):
            if target not in states:
                yield f"{where}: {name} leads to {target}, which does not exist"
        yield from _state(f"{where}.{name}", name, state)
    if start not in states:
        yield f"{where}: starts at {start}, which does not exist"
        return
    reached = reachable(start, states)
    yield from (f"{where}: {name} is never reached" for name in states if name not in reached)
    yield from (
        f"{where}: from {name} no end is reached"
        for name in sorted(reached)
        if not any(_is_end(states[after]) for after in reachable(name, states))
    )
    yield from _ways_around_gates(where, start, states)


def _state(where: str, name: str, state: State) -> Iterator[str]:
    if len(name) > MAX_NAME_CHARACTERS:
        yield f"{where}: the name has {len(name)} characters"
    if state["Type"] == "Task" and not isinstance(state.get("TimeoutSeconds"), int):
        yield f"{where}: a Task without TimeoutSeconds"
    if not _is_end(state) and not _targets(state):
        yield f"{where}: leads nowhere"
    for rule in [*state.get("Retry", []), *state.get("Catch", [])]:
        for error in rule["ErrorEquals"]:
            if not error.startswith(_PLATFORM_ERRORS) and error not in vars(errors):
                yield f"{where}: {error} is no error of the platform or of ours"


def _ways_around_gates(where: str, start: str, states: States) -> Iterator[str]:
    """Paths on which a state behind a gate is reached without the gate.

    A gate may be gone around by the Choice that decides its `when`, and in no other way: with the
    gate and that Choice taken out, what only they lead to must be out of reach.
    """
    for gate in gates(states):
        skips = {
            name
            for name, state in states.items()
            if any(rule["Next"] == gate for rule in state.get("Choices", []))
        }
        behind = reachable(gate, states) - {gate}
        without = reachable(start, states, passing_not={gate, *skips})
        for name in sorted(behind & without - _before(gate, states)):
            yield f"{where}: {name} is reached around the gate {gate}"


def _before(gate: str, states: States) -> set[str]:
    """The states from which the gate is still ahead: in a cycle they are behind it as well."""
    return {name for name in states if name != gate and gate in reachable(name, states)}


def gates(states: States) -> list[str]:
    """The states that wait for a decision."""
    return [
        name
        for name, state in states.items()
        if str(state.get("Resource", "")).endswith(_WAITS_FOR_A_DECISION)
    ]


def reachable(start: str, states: States, *, passing_not: Collection[str] = ()) -> set[str]:
    """The states that an execution may come to from *start*, *start* among them."""
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        name = ahead.pop()
        if name in seen or name in passing_not or name not in states:
            continue
        seen.add(name)
        ahead += _targets(states[name])
    return seen


def _targets(state: State) -> list[str]:
    rules = [*state.get("Choices", []), *state.get("Catch", [])]
    nexts = [state.get("Next"), state.get("Default"), *(rule.get("Next") for rule in rules)]
    return [target for target in nexts if target is not None]


def _is_end(state: State) -> bool:
    return state["Type"] in _ENDS or state.get("End") is True
