"""Answer a machine's question about a step: its condition, items, turn, branch or policy.

The event is `{tenant, run, step, path, ask}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.model.flow import Question
from taskrunner.model.run import StepReference
from taskrunner.usecases.decide_flow import decide_flow

if TYPE_CHECKING:
    from taskrunner.ports import World


def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Return `{"value": ...}`; raises if the answer fails the step."""
    reference = StepReference(event["tenant"], event["run"], event["step"], event["path"])
    return decide_flow(reference, Question(event["ask"]), world or bootstrap.aws())
