"""What a run costs at list prices, as an estimate: how long executors take, nobody can plan."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskrunner.compiler.budget import Budget


def estimated_usd(budget: Budget) -> float:
    """US dollars for the worst case, in millionths; waiting at gates costs nothing."""
    prices = _prices()
    assumed = prices["assumed"]
    invocation = (
        prices["perInvocation"]
        + assumed["secondsPerInvocation"] * assumed["gigabytes"] * prices["perGigabyteSecond"]
        + assumed["writeUnitsPerInvocation"] * prices["perWriteUnit"]
        + assumed["readUnitsPerInvocation"] * prices["perReadUnit"]
    )
    total = (
        budget.state_transitions * prices["perStateTransition"] + budget.invocations * invocation
    )
    return float(round(total, 6))


@cache
def _prices() -> dict[str, Any]:
    text = files(__package__).joinpath("prices.json").read_text(encoding="utf-8")
    prices: dict[str, Any] = json.loads(text)
    return prices
