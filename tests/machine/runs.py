"""How machine tests start runs, decide their gates and read what they did."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.machine.engine import Answer, Client

TENANT = "tenant-prod"
_DEADLINE_S = 60.0


def start(client: Client, manifest: str, inputs: Mapping[str, Any] | None = None) -> str:
    """Create a run, and return its id."""
    answer = client("POST", "runs", {"manifest": manifest, "inputs": dict(inputs or {})})
    assert answer.status == 201, answer.body
    run_id: str = answer.json["runId"]
    return run_id


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for *condition*."""
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.01)


def ended(client: Client, run_id: str) -> dict[str, Any]:
    """The run's state once it has ended."""
    runs = client.engine.world.runs
    until(lambda: runs.head(TENANT, run_id).run.outcome is not None, f"{run_id} goes on")
    return state_of(client, run_id)


def state_of(client: Client, run_id: str) -> dict[str, Any]:
    state: dict[str, Any] = client("GET", f"runs/{run_id}").json
    return state


def run(client: Client, manifest: str, **inputs: Any) -> dict[str, Any]:  # noqa: ANN401
    """The state at the end of a run of *manifest*."""
    return ended(client, start(client, manifest, inputs))


def told(state: dict[str, Any]) -> dict[str, str]:
    """`Failed executor-error`: each step's status and reason, in the order of the listing."""
    return {
        one["stepId"]: " ".join(filter(None, [one["status"], one.get("statusReason")]))
        for one in state["steps"]
    }


def outputs(client: Client, state: dict[str, Any], path: str) -> Any:  # noqa: ANN401 - any JSON
    """What the step of that path left."""
    found = client.engine.world.runs.outcomes(TENANT, state["runId"], [path])
    return found[path].outputs


def has_entry(client: Client, run_id: str, step: str | None, event: str) -> bool:
    """Whether the journal says that *event* happened to *step*."""
    journal = client.engine.world.runs.journal(TENANT, run_id)
    return any(one.entry.step_path == step and one.entry.event == event for one in journal)


def decide(client: Client, run_id: str, approval: str, decision: str = "approved") -> Answer:
    """Decide an approval as soon as somebody waits for it."""
    world = client.engine.world

    def waits() -> bool:
        return bool(world.approvals.get(TENANT, run_id, approval).was_opened)

    until(waits, f"nobody waits for {approval}")
    return _decide(client, run_id, approval, decision)


def decide_waiting(client: Client, run_id: str, approval: str, decision: str) -> None:
    """Decide an approval if somebody waits for it and nobody has decided it."""
    world = client.engine.world
    record = world.approvals.get(TENANT, run_id, approval)
    if (
        record.was_opened
        and record.verdict is None
        and world.runs.head(TENANT, run_id).run.outcome is None
    ):
        _decide(client, run_id, approval, decision)


def _decide(client: Client, run_id: str, approval: str, decision: str) -> Answer:
    plan_hash = client.engine.world.runs.head(TENANT, run_id).run.plan_hash
    body = {"decision": decision, "planHash": plan_hash}
    return client("POST", f"runs/{run_id}/approvals/{approval}", body)
