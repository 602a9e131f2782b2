"""Gates that are handed on to the function `open_gate`, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskrunner.model.run import StepReference


@dataclass
class MemoryOverrides:
    """Gates that nobody opens: the path and the token of each, in order.

    *timed_out* has the tokens of those that have waited for as long as they may.
    """

    entered: list[tuple[str, str]] = field(default_factory=list)
    timed_out: set[str] = field(default_factory=set)

    def enter(self, gate: StepReference, token: str, *, has_timed_out: bool) -> None:
        self.entered.append((gate.path, token))
        if has_timed_out:
            self.timed_out.add(token)
