"""The States Language as far as the tests' machines use it: states in their order, without time.

A lane is a chain of states: an execution, a branch of a Parallel, or an iteration of a Map. It runs
until it needs something from outside, which it asks for by yielding an *effect*. The lane is sent
the effect's result, or a `StateError` is raised in it. `step_functions` decides when.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STEP = re.compile(r"\.(\w+)|\['([^']*)'\]")
_FORMAT = re.compile(r"States\.Format\('((?:[^'\\]|\\.)*)', (.*)\)")


class StateError(Exception):
    """The *error* of a state by its name in the States Language, and its *cause*."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause


@dataclass(frozen=True)
class Call:
    """A function is called with a payload. With a *token* the lane goes on when that is answered.

    *timeout_s* counts from the call on.
    """

    function: str
    payload: dict[str, Any]
    token: str | None
    timeout_s: float


@dataclass(frozen=True)
class Sleep:
    """Time passes."""

    seconds: float


@dataclass(frozen=True)
class Fork:
    """Lanes run beside each other, at most *limit* at a time; 0 is any number."""

    lanes: Sequence[Lane]
    limit: int = 0


Effect: TypeAlias = Call | Sleep | Fork
Lane: TypeAlias = Generator[Effect, Any, Any]


@dataclass
class Tokens:
    """The task tokens of one Step Functions."""

    issued: int = 0

    def new(self) -> str:
        self.issued += 1
        return f"token-{self.issued}"


@dataclass
class Context:
    """The context object of a lane."""

    tokens: Tokens
    values: dict[str, Any] = field(default_factory=dict)

    def with_values(self, **values: Any) -> Context:  # noqa: ANN401 - any JSON
        return Context(self.tokens, self.values | values)


def run_states(definition: Mapping[str, Any], value: Any, context: Context) -> Lane:  # noqa: ANN401
    """Run the states of *definition* from its first one on, and return their output.

    Raises:
        StateError: a state failed, and nothing catches it.
    """
    name: str | None = definition["StartAt"]
    while name is not None:
        state = definition["States"][name]
        name, value = yield from _state(state, value, context.with_values(Name=name))
    return value


def _state(state: Mapping[str, Any], value: Any, context: Context) -> Generator[Effect, Any, Any]:  # noqa: ANN401
    """Run one state, with its retriers and catchers; return the next state's name and input."""
    tries = [0] * len(state.get("Retry", ()))
    while True:
        try:
            here = context.with_values(RetryCount=sum(tries))
            following, result = yield from _once(state, value, here)
        except StateError as failure:
            number = _matching(state.get("Retry", ()), failure.error)
            if number is not None:
                retrier = state["Retry"][number]
                if tries[number] < retrier.get("MaxAttempts", 3):
                    yield Sleep(_pause_s(retrier, tries[number]))
                    tries[number] += 1
                    continue
            number = _matching(state.get("Catch", ()), failure.error)
            if number is None:
                raise
            catcher = state["Catch"][number]
            caught = {"Error": failure.error, "Cause": failure.cause}
            return catcher["Next"], _with_result(catcher, value, caught)
        else:
            return following, ({} if state.get("OutputPath", "$") is None else result)


def _matching(handlers: Sequence[Mapping[str, Any]], error: str) -> int | None:
    for number, handler in enumerate(handlers):
        names = handler["ErrorEquals"]
        is_task_failure = "States.TaskFailed" in names and error != "States.Timeout"
        if error in names or "States.ALL" in names or is_task_failure:
            return number
    return None


def _pause_s(retrier: Mapping[str, Any], tries: int) -> float:
    pause_s = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** tries
    return float(min(pause_s, retrier.get("MaxDelaySeconds", pause_s)))


def _once(
    state: Mapping[str, Any],
    value: Any,  # noqa: ANN401 - any JSON
    context: Context,
) -> Generator[Effect, Any, tuple[str | None, Any]]:
    following = state.get("Next")
    match state["Type"]:
        case "Task":
            result = yield _call(state, value, context)
            return following, _with_result(state, value, result, context)
        case "Choice":
            return _choice(state, value), value
        case "Pass":
            taken = _read(state["InputPath"], value, context) if "InputPath" in state else value
            return following, _with_result(state, value, state.get("Result", taken), context)
        case "Wait":
            yield Sleep(state["Seconds"])
            return following, value
        case "Parallel":
            given = _filled(state["Parameters"], value, context) if "Parameters" in state else value
            lanes = [run_states(lane, deepcopy(given), context) for lane in state["Branches"]]
            result = yield Fork(lanes)
            return following, _with_result(state, value, result, context)
        case "Map":
            result = yield Fork(list(_iterations(state, value, context)), _limit(state))
            return following, _with_result(state, value, result, context)
        case "Succeed":
            return None, value
        case "Fail":
            raise StateError(*(_of_failure(name, state, value) for name in ("Error", "Cause")))
    message = f"the state type {state['Type']} is not one that the compiler emits"
    raise AssertionError(message)


def _of_failure(name: str, state: Mapping[str, Any], value: Any) -> str:  # noqa: ANN401
    text: str = _read(state[f"{name}Path"], value) if f"{name}Path" in state else state[name]
    return text


def _call(state: Mapping[str, Any], value: Any, context: Context) -> Call:  # noqa: ANN401
    token = context.tokens.new() if state["Resource"].endswith(".waitForTaskToken") else None
    here = context.with_values(Task=token)
    request = _filled(state["Parameters"], value, here)
    timeout_s = state.get("TimeoutSeconds", 60)
    return Call(request["FunctionName"], request["Payload"], token, timeout_s)


def _iterations(state: Mapping[str, Any], value: Any, context: Context) -> Any:  # noqa: ANN401
    for item in _read(state["ItemsPath"], value, context):
        here = context.with_values(Item=item)
        item_input = _filled(state["ItemSelector"], value, here)
        yield run_states(state["ItemProcessor"], item_input, here)


def _limit(state: Mapping[str, Any]) -> int:
    limit: int = state.get("MaxConcurrency", 0)
    return limit


def _choice(state: Mapping[str, Any], value: Any) -> str | None:  # noqa: ANN401
    for rule in state["Choices"]:
        found = _read(rule["Variable"], value)
        for comparison in ("BooleanEquals", "NumericEquals", "StringEquals"):
            if comparison in rule and type(found) is type(rule[comparison]):
                if found == rule[comparison]:
                    target: str = rule["Next"]
                    return target
                break
    return state.get("Default")


def _with_result(
    state: Mapping[str, Any],
    value: Any,  # noqa: ANN401 - any JSON
    result: Any,  # noqa: ANN401 - any JSON
    context: Context | None = None,
) -> Any:  # noqa: ANN401 - any JSON
    """The input with the state's result in it."""
    if "ResultSelector" in state and context is not None:
        result = _filled(state["ResultSelector"], result, context)
    path = state.get("ResultPath", "$")
    if path is None:
        return value
    if path == "$":
        return result
    return _placed(value, path.removeprefix("$.").split("."), result)


def _placed(value: Any, names: Sequence[str], result: Any) -> Any:  # noqa: ANN401 - any JSON
    """*value* with *result* under *names*, each an object's member in the one before it."""
    name, *inner = names
    return {**value, name: _placed(value.get(name, {}), inner, result) if inner else result}


def _filled(template: Any, value: Any, context: Context) -> Any:  # noqa: ANN401
    """*template* with the values of its paths in it."""
    if not isinstance(template, dict):
        return template
    filled = {}
    for key, part in template.items():
        if key.endswith(".$"):
            filled[key[:-2]] = _evaluated(part, value, context)
        else:
            filled[key] = _filled(part, value, context)
    return filled


def _evaluated(text: str, value: Any, context: Context) -> Any:  # noqa: ANN401
    if (match := _FORMAT.fullmatch(text)) is None:
        return _read(text, value, context)
    form = re.sub(r"\\(.)", r"\1", match[1])
    for path in match[2].split(", "):
        found = _read(path, value, context)
        form = form.replace("{}", found if isinstance(found, str) else json.dumps(found), 1)
    return form


def _read(path: str, value: Any, context: Context | None = None) -> Any:  # noqa: ANN401
    if path.startswith("$$."):
        assert context is not None
        return context.values[_CONTEXT[path]]
    for match in _STEP.finditer(path.removeprefix("$")):
        value = value[match[1] or match[2]]
    return value


_CONTEXT = {
    "$$.Task.Token": "Task",
    "$$.Map.Item.Value": "Item",
    "$$.State.RetryCount": "RetryCount",
    "$$.Execution.Name": "Execution",
}
