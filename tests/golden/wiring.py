"""A machine's wiring: one line for each state, which says what it does and where it leads.

    load-test: RunStep -> Done load-test, retry x2 after 20 s, on StepFailedError -> Done b

Texts of states, platform retries and paths of data are left out. The definition's hash, which is
recorded beside the plan, pins them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

State = dict[str, Any]
_INDENT = "  "
# The parameters that the frame gives to every task.
_USUAL_PAYLOAD = {"tenant.$", "run.$", "place.$", "step", "error.$", "token.$"}
_FUNCTIONS = {
    "$.arn.run": "RunStep",
    "$.arn.gate": "OpenGate",
    "$.arn.flow": "DecideFlow",
    "${SettleRunFunctionArn}": "SettleRun",
}


def wiring(definition: State) -> str:
    """Return the lines of *definition*, a whole machine, ended by a newline."""
    return "".join(f"{line}\n" for line in _machine(definition, ""))


def _machine(machine: State, indent: str) -> Iterator[str]:
    yield f"{indent}start -> {machine['StartAt']}"
    for name, state in machine["States"].items():
        yield f"{indent}{name}: {_described(state)}"
        for number, branch in enumerate(state.get("Branches", [])):
            yield f"{indent}{_INDENT}branch {number}"
            yield from _machine(branch, indent + _INDENT * 2)
        if "ItemProcessor" in state:
            yield from _machine(state["ItemProcessor"], indent + _INDENT)


def _described(state: State) -> str:
    way = f" -> {state['Next']}" if "Next" in state else " -> end" * state.get("End", False)
    work = _work(state)
    return ", ".join([work + way, *_choices(state), *_retries(state), *_catches(state)])


def _work(state: State) -> str:
    match state["Type"]:
        case "Task":
            return _task(state)
        case "Map":
            mode = state["ItemProcessor"].get("ProcessorConfig", {}).get("Mode", "INLINE").lower()
            limit = state.get("MaxConcurrencyPath") or state["MaxConcurrency"]
            return f"Map {mode} of {state['ItemsPath']}, {limit} at a time"
        case "Pass" if "Result" not in state:
            return "Pass"
        case "Pass":
            return f"Pass {json.dumps(state['Result'])} to {state['ResultPath']}"
        case "Wait":
            return f"Wait {state['Seconds']} s"
        case kind:
            return str(kind)


def _task(state: State) -> str:
    """The function, what it is asked, and how long a gate waits for its answer."""
    parameters = state["Parameters"]
    function = _FUNCTIONS[parameters.get("FunctionName.$") or parameters["FunctionName"]]
    payload = {
        key: value for key, value in parameters["Payload"].items() if key not in _USUAL_PAYLOAD
    }
    words = [function, *(f"{key}={value}" for key, value in payload.items())]
    if state["Resource"].endswith(".waitForTaskToken"):
        words.append(f"waits {state['TimeoutSeconds']} s")
    return " ".join(words)


def _choices(state: State) -> Iterator[str]:
    for choice in state.get("Choices", []):
        ((operator, operand),) = choice.items() - {
            ("Variable", choice["Variable"]),
            ("Next", choice["Next"]),
        }
        yield f"{choice['Variable']} {operator} {json.dumps(operand)} -> {choice['Next']}"
    if "Default" in state:
        yield f"else -> {state['Default']}"


def _retries(state: State) -> Iterator[str]:
    """The pack's own retries: those of a failed attempt."""
    for retry in state.get("Retry", []):
        if "AttemptFailedError" in retry["ErrorEquals"]:
            yield f"retry x{retry['MaxAttempts']} after {retry['IntervalSeconds']} s"


def _catches(state: State) -> Iterator[str]:
    for catch in state.get("Catch", []):
        place = f" with {catch['ResultPath']}" if catch.get("ResultPath") else ""
        yield f"on {'|'.join(catch['ErrorEquals'])} -> {catch['Next']}{place}"
