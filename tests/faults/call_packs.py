"""The packs of scenarios whose steps call state machines, and the machines that they call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Mapping

    Definitions = Mapping[str, Mapping[str, Any]]

_SECONDS: Final = 20
# The executions of `long` go on for longer than anything else in a scenario.
_LONG_S: Final = 3000


def _machine(*states: Mapping[str, Any]) -> dict[str, Any]:
    """A machine of some states, one after another, which are named by their numbers."""
    named = {str(number): dict(state) for number, state in enumerate(states)}
    for number in range(len(states) - 1):
        named[str(number)] = {"Next": str(number + 1), **named[str(number)]}
    return {"StartAt": "0", "States": named}


def _waiting(seconds: int) -> dict[str, Any]:
    return {"Type": "Wait", "Seconds": seconds}


_FAILED: Final = {"Type": "Fail", "Error": "Import.Refused", "Cause": "no such table"}
_ROWS: Final = {"Type": "Pass", "Result": {"rows": 12}, "End": True}
# It fails in the first attempt of a step.
_FLAKY: Final = _machine(
    _waiting(_SECONDS),
    {
        "Type": "Choice",
        "Choices": [{"Variable": "$.taskrunner.attempt", "NumericEquals": 1, "Next": "2"}],
        "Default": "3",
    },
    _FAILED,
    _ROWS,
)
MACHINES: Final[Definitions] = {
    "import": _machine(_waiting(_SECONDS), _ROWS),
    "flaky": _FLAKY,
    "broken": _machine(_waiting(_SECONDS), _FAILED),
    "long": _machine(_waiting(_LONG_S), _ROWS),
}

_AFTER: Final = """
    - {id: after, run: {uses: builtin:noop, with: {rows: "{{ steps.load.outputs.rows }}"}}}
"""
CALLING: Final = pack(
    """
    - {id: load, run: {uses: states:import, with: {day: "2026-01-31", tables: [orders]}}}
    """
    + _AFTER,
    name="calling",
)
RETRIED: Final = pack(
    """
    - id: load
      retries: {maxAttempts: 2, backoffSeconds: 1}
      run: {uses: states:flaky, with: {day: "2026-01-31"}}
    """
    + _AFTER,
    name="calling-again",
)
LONG: Final = pack(
    """
    - {id: load, timeoutSeconds: 90, run: {uses: states:long}}
    """
    + _AFTER,
    name="calling-long",
)
MISSING: Final = pack(
    """
    - {id: load, run: {uses: states:missing}}
    """
    + _AFTER,
    name="calling-nothing",
)
BESIDE_A_FAILURE: Final = pack(
    """
    - id: lanes
      parallel:
        steps:
          - {id: long, run: {uses: states:long}}
          - {id: broken, run: {uses: states:broken}}
    - {id: after, run: {uses: builtin:noop}}
    """,
    name="calling-beside-a-failure",
)
CONTAINED: Final = pack(
    """
    - id: outer
      continueOnError: true
      parallel:
        steps:
          - id: lanes
            parallel:
              steps:
                - {id: long, run: {uses: states:long}}
                - {id: broken, run: {uses: states:broken}}
    - {id: after, run: {uses: builtin:noop}}
    """,
    name="calling-contained",
)
