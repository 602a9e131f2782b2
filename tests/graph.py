"""The soundness of a compiled machine: rules that hold for every machine of every pack."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

from taskrunner import errors
from taskrunner.compiler.machine import gates as gate_proof

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.model.plan import Plan

State: TypeAlias = dict[str, Any]
States: TypeAlias = dict[str, State]

MAX_NAME_CHARACTERS = 80
_PLATFORM_ERRORS = ("States.", "Lambda.", "Sandbox.")
_ENDS = {"Succeed", "Fail"}


def problems(machine: dict[str, Any], plan: Plan | None = None) -> list[str]:
    """Return everything that is wrong with *machine*.

    With its *plan*, the list says also which gates can be bypassed, as the compiler itself checks.
    """
    scopes = list(_scopes(machine, "$"))
    return [
        *_repeated_names([states for _, _, states in scopes]),
        *(problem for where, start, states in scopes for problem in _scope(where, start, states)),
        *([] if plan is None else gate_proof.problems(machine, plan)),
    ]


def _scopes(machine: dict[str, Any], where: str) -> Iterator[tuple[str, str, States]]:
    """Yield every set of states with a start: the machine, branches and item processors."""
    states: States = machine["States"]
    yield where, machine["StartAt"], states
    for name, state in states.items():
        for index, inner in enumerate(_scopes_in(state)):
            yield from _scopes(inner, f"{where}.{name}[{index}]")


def _scopes_in(state: State) -> list[dict[str, Any]]:
    return [*state.get("Branches", []), *filter(None, [state.get("ItemProcessor")])]


def _repeated_names(scopes: list[States]) -> Iterator[str]:
    names = Counter(name for states in scopes for name in states)
    yield from (
        f"the name {name} is used {count} times" for name, count in names.items() if count > 1
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
    reached = _reachable(start, states)
    yield from (f"{where}: {name} is never reached" for name in states if name not in reached)
    yield from (
        f"{where}: from {name} no end is reached" for name in sorted(reached - _ending(states))
    )


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
                yield f"{where}: {error} is neither the platform's error nor ours"


def _reachable(start: str, states: States) -> set[str]:
    """Return the states that an execution may come to from *start*, which is one of them."""
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        name = ahead.pop()
        if name not in seen and name in states:
            seen.add(name)
            ahead += _targets(states[name])
    return seen


def _ending(states: States) -> set[str]:
    """Return the states from which an end can be reached."""
    before: dict[str, list[str]] = {}
    for name, state in states.items():
        for target in _targets(state):
            before.setdefault(target, []).append(name)
    seen: set[str] = set()
    behind = [name for name, state in states.items() if _is_end(state)]
    while behind:
        name = behind.pop()
        if name not in seen:
            seen.add(name)
            behind += before.get(name, [])
    return seen


def _targets(state: State) -> list[str]:
    rules = [*state.get("Choices", []), *state.get("Catch", [])]
    targets = [state.get("Next"), state.get("Default"), *(rule.get("Next") for rule in rules)]
    return [target for target in targets if target is not None]


def _is_end(state: State) -> bool:
    return state["Type"] in _ENDS or state.get("End") is True
