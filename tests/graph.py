"""What must hold of every compiled machine, whatever pack it came from."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

from taskrunner import errors
from taskrunner.compiler import gates as gate_analysis

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from taskrunner.model.plan import Plan

State: TypeAlias = dict[str, Any]
States: TypeAlias = dict[str, State]

MAX_NAME_CHARACTERS = 80
_PLATFORM_ERRORS = ("States.", "Lambda.", "Sandbox.")
_ENDS = {"Succeed", "Fail"}
_WAITS_FOR_A_DECISION = ".waitForTaskToken"


def problems(machine: dict[str, Any], plan: Plan | None = None) -> list[str]:
    """Everything that is wrong with *machine*; a sound one has none.

    With its *plan* it is also checked that no gate is gone around, as the compiler does by itself.
    """
    scopes = list(_scopes(machine, "$"))
    return [
        *_repeated_names([states for _, _, states in scopes]),
        *(problem for where, start, states in scopes for problem in _scope(where, start, states)),
        *([] if plan is None else gate_analysis.problems(machine, plan)),
    ]


def explain(machine: dict[str, Any]) -> str:
    """*machine* to be read: a line for each state, with where it leads and what is in it."""
    return "\n".join(_lines(machine, ""))


def _lines(machine: dict[str, Any], indent: str) -> Iterator[str]:
    yield f"{indent}begin at {machine['StartAt']}"
    for name, state in machine["States"].items():
        parts = [f"{indent}{name} ({_kind(state)})"]
        parts += [f"if {_condition(rule)}: {rule['Next']}" for rule in state.get("Choices", [])]
        parts += [f"else {state['Default']}"] if "Default" in state else []
        parts += [f"then {state['Next']}"] if "Next" in state else []
        parts += [
            f"on {', '.join(rule['ErrorEquals'])}: {rule['Next']}"
            for rule in state.get("Catch", [])
        ]
        yield "; ".join(parts)
        for inner in _inside(state):
            yield from _lines(inner, indent + "    ")


def _kind(state: State) -> str:
    kind = str(state["Type"])
    if str(state.get("Resource", "")).endswith(_WAITS_FOR_A_DECISION):
        kind = "Task that waits"
    mode = state.get("ItemProcessor", {}).get("ProcessorConfig", {}).get("Mode", "")
    kind += f" {mode.lower()}" if mode else ""
    seconds = state.get("TimeoutSeconds", state.get("Seconds"))
    return kind if seconds is None else f"{kind}, {seconds} s"


def _condition(rule: dict[str, Any]) -> str:
    compared = next(value for key, value in rule.items() if key not in {"Variable", "Next"})
    return f"{rule['Variable']} is {compared}"


def _scopes(machine: dict[str, Any], where: str) -> Iterator[tuple[str, str, States]]:
    """Every set of states with a start of its own: the machine, branches and item processors."""
    states: States = machine["States"]
    yield where, machine["StartAt"], states
    for name, state in states.items():
        for index, branch in enumerate(_inside(state)):
            yield from _scopes(branch, f"{where}.{name}[{index}]")


def _inside(state: State) -> list[dict[str, Any]]:
    return [*state.get("Branches", []), *filter(None, [state.get("ItemProcessor")])]


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
                yield f"{where}: {error} is no error of the platform or of ours"


def _ending(states: States) -> set[str]:
    """The states from which an end is reached."""
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
