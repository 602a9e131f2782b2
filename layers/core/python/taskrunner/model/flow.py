"""The questions that a run's state machine asks, and the verdicts on its policies."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

# No conditional has a branch of this number, so it stands for a conditional that is skipped.
NO_BRANCH: Final = -1


class Question(StrEnum):
    """A question of a state machine about a step: the `ask` in its definition."""

    CONDITION = "condition"
    BRANCH = "branch"
    ITEMS = "items"
    TURN = "turn"
    LEAVE = "leave"
    RESULT = "result"
    POLICY = "policy"


class PolicyVerdict(StrEnum):
    """The result of evaluating a policy gate.

    * passed    the policy holds
    * warned    it does not hold, and the gate only warns
    * retry     it does not hold, and is evaluated again
    * override  it does not hold, and an approval may override that
    * branch    it does not hold, and the gate's branch runs
    * failed    it does not hold, and the gate fails
    * broken    it cannot be evaluated, because a secret cannot be used; the gate fails
    """

    PASSED = "passed"
    WARNED = "warned"
    RETRY = "retry"
    OVERRIDE = "override"
    BRANCH = "branch"
    FAILED = "failed"
    BROKEN = "broken"


class PolicyFailure(NamedTuple):
    """A reason why a policy does not hold; *id* is that of a rule, or what a function says."""

    message: str
    id: str | None = None

    @property
    def text(self) -> str:
        """The failure on one line of the log."""
        return self.message if self.id is None else f"{self.id}: {self.message}"
