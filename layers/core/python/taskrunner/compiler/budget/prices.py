"""The cost of a run's worst case at AWS list prices: us-east-1, US dollars, read in 2026.

It is an estimate, because nobody can plan how long an executor takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from taskrunner.compiler.budget.limits import Budget

_PER_STATE_TRANSITION: Final = 0.000025  # Step Functions Standard
_PER_INVOCATION: Final = 0.0000002  # Lambda on Arm
_PER_GIGABYTE_SECOND: Final = 0.0000133334
_PER_WRITE_UNIT: Final = 0.000000625  # DynamoDB on demand
_PER_READ_UNIT: Final = 0.000000125

# Assumptions about one invocation.
_SECONDS: Final = 1.0
_GIGABYTES: Final = 1.0
_WRITE_UNITS: Final = 8
_READ_UNITS: Final = 6

_INVOCATION: Final = (
    _PER_INVOCATION
    + _SECONDS * _GIGABYTES * _PER_GIGABYTE_SECOND
    + _WRITE_UNITS * _PER_WRITE_UNIT
    + _READ_UNITS * _PER_READ_UNIT
)


def estimated_usd(budget: Budget) -> float:
    """Return US dollars for the worst case, in millionths; waiting at gates costs nothing."""
    transitions = budget.state_transitions * _PER_STATE_TRANSITION
    return round(transitions + budget.invocations * _INVOCATION, 6)
