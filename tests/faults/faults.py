"""The faults of a call that a function makes of AWS: their kinds and places."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Fault(StrEnum):
    """One thing that goes wrong, once.

    At a call of AWS:

    - DIES_BEFORE, DIES_AFTER: the function dies before the call, or after its effect.
    - REPEATED: the answer is lost after the effect, so the SDK makes the call once more.
    - UNANSWERED: every answer is lost, so the call has its effect and fails.
    - THROTTLED: AWS refuses the call until the SDK gives up.
    - CALLER_GONE: the function dies after the call, and its caller does not ask again.

    Before a function begins:

    - DEAD, REFUSED: its runtime dies, or Lambda throttles it. Its caller asks again.
    - CALLER_GONE: its caller dies before it asks. A worker leaves something behind then, and an
      execution whose end EventBridge does not report.
    """

    DIES_BEFORE = "dies before"
    DIES_AFTER = "dies after"
    REPEATED = "repeated"
    UNANSWERED = "unanswered"
    THROTTLED = "throttled"
    CALLER_GONE = "caller gone after"
    DEAD = "dead before it begins"
    REFUSED = "refused before it begins"


AT_A_CALL = (
    Fault.DIES_BEFORE,
    Fault.DIES_AFTER,
    Fault.REPEATED,
    Fault.UNANSWERED,
    Fault.THROTTLED,
)
BEFORE_IT_BEGINS = (Fault.DEAD, Fault.REFUSED)


class Place(NamedTuple):
    """A call of AWS: the *number*th, from 1, of an invocation; number 0 is before it begins.

    *invocation* says which one of a run's, such as `run_step deploy #1`. *operation* is what is
    called, such as `dynamodb.PutItem`.
    """

    invocation: str
    number: int
    operation: str

    @property
    def key(self) -> tuple[str, int]:
        """The call, without what it calls."""
        return self.invocation, self.number

    @property
    def function(self) -> str:
        """The function's name."""
        return self.invocation.partition(" ")[0]

    def __str__(self) -> str:
        return f"{self.invocation}, call {self.number} ({self.operation})"


class Case(NamedTuple):
    """One fault at one place of one scenario."""

    scenario: str
    place: Place
    fault: Fault

    def __str__(self) -> str:
        return f"{self.scenario}: {self.place}: {self.fault}"
