"""Answer a machine's question about a step: its condition, items, turn, branch or policy.

The event is `{place, step, ask}`, with `ended` if a block before the step has ended. Before
`finally` it is `{place, execution, ask}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner import bootstrap
from taskrunner.adapters.machine_events import FINALLY, failure, has_failed, run_of, step_reference
from taskrunner.model.flow import Question
from taskrunner.usecases.begin_finally import begin_finally
from taskrunner.usecases.decide_flow import decide_flow

if TYPE_CHECKING:
    from taskrunner.ports import World

bootstrap.make_before_snapshot("clock", "plans", "runs")


@bootstrap.observed
def handler(
    event: dict[str, Any], _context: object, *, world: World | None = None
) -> dict[str, Any]:
    """Return `{"value": ...}`; raises if the answer fails the step."""
    if event["ask"] == FINALLY:
        tenant, run_id = run_of(event)
        begin_finally(tenant, run_id, failure(event), event["execution"], world or bootstrap.aws())
        return {"value": {"run": {"tenant": tenant, "id": run_id}, "path": ""}}
    return decide_flow(
        step_reference(event),
        Question(event["ask"]),
        world or bootstrap.aws(),
        has_failed=has_failed(event),
        ended=event.get("ended"),
    )
