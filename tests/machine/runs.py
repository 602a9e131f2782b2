"""Steps of machine tests: start runs, decide their approvals and read their ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.machine.client import Answer, Client
    from tests.machine.engine import Engine

TENANT = "tenant-prod"


def start(client: Client, manifest: str, inputs: Mapping[str, Any] | None = None) -> str:
    """Create a run, and return its id."""
    answer = client("POST", "runs", {"manifest": manifest, "inputs": dict(inputs or {})})
    assert answer.status == 201, answer.body
    run_id: str = answer.json["runId"]
    assert answer.headers["Location"] == f"/v1/task-runner/runs/{run_id}"
    return run_id


def ended(client: Client, run_id: str) -> dict[str, Any]:
    """Wait for a run's end, and return its state then."""
    runs = client.engine.world.runs
    client.engine.until(
        lambda: runs.snapshot(TENANT, run_id).run.outcome is not None, f"{run_id} does not end"
    )
    return state_of(client, run_id)


def execution_of(engine: Engine, run_id: str) -> dict[str, Any]:
    """The run's execution once it has ended, as Step Functions shows it.

    A run ends before its execution does, which still has a last state or two to enter.
    """
    run = engine.world.runs.snapshot(TENANT, run_id).run
    states = engine.world.environment["PACK_RUN_MACHINE_ARN"].partition(":stateMachine:")[0]
    arn = f"{states}:execution:{run.machine}:{run.execution}"
    found: dict[str, Any] = {}

    def has_ended() -> bool:
        found.update(engine.states.describe_execution(executionArn=arn))
        return bool(found["status"] != "RUNNING")

    engine.until(has_ended, f"the execution of {run_id} does not end")
    return found


def state_of(client: Client, run_id: str) -> dict[str, Any]:
    """The run's state as the API has it."""
    state: dict[str, Any] = client("GET", f"runs/{run_id}").json
    return state


def run(client: Client, manifest: str, **inputs: Any) -> dict[str, Any]:  # noqa: ANN401
    """The state at the end of a run of *manifest*."""
    return ended(client, start(client, manifest, inputs))


def statuses(state: dict[str, Any]) -> dict[str, str]:
    """Each step's status and reason, such as `Failed executor-error`, in the listing's order."""
    return {
        step["stepId"]: " ".join(filter(None, [step["status"], step.get("statusReason")]))
        for step in state["steps"]
    }


def outputs(client: Client, state: dict[str, Any], path: str) -> Any:  # noqa: ANN401 - any JSON
    """The outputs that the step of that path recorded."""
    outcomes = client.engine.world.runs.outcomes(TENANT, state["runId"], [path])
    return outcomes[path].outputs


def log(client: Client, run_id: str) -> list[dict[str, Any]]:
    """The lines of the run's log."""
    return [json.loads(line) for line in client("GET", f"runs/{run_id}/logs").body.splitlines()]


def has_entry(client: Client, run_id: str, step: str | None, event: str) -> bool:
    """Return whether the journal says that *event* happened to *step*."""
    journal = client.engine.world.runs.journal(TENANT, run_id)
    return any(record.entry.step_path == step and record.entry.event == event for record in journal)


def decide(
    client: Client, run_id: str, approval: str, decision: str = "approved", **more: str
) -> Answer:
    """Decide an approval as soon as a gate waits for it."""
    approvals = client.engine.world.approvals
    client.engine.until(
        lambda: bool(approvals.get(TENANT, run_id, approval).was_opened),
        f"no gate waits for {approval}",
    )
    return _decide(client, run_id, approval, decision, **more)


def decide_waiting(
    engine: Engine,
    run_id: str,
    approval: str,
    decisions: Sequence[tuple[str, str]],
    remarks: Callable[[str, str], Mapping[str, str]],
) -> None:
    """Make the next of *decisions* about an approval, each of a subject, where a gate waits for it.

    If each gate has decisions of its own, the next one of each. *remarks* returns what a subject
    adds to a decision of an approval.
    """
    for record in engine.world.approvals.records(TENANT, run_id, approval):
        has_ended = engine.world.runs.snapshot(TENANT, run_id).run.outcome is not None
        if record.verdict is None and not has_ended:
            subject, decision = decisions[len(record.decisions)]
            gate = {} if record.gate_path is None else {"stepId": record.gate_path}
            client = engine.client(subject=subject)
            _decide(client, run_id, approval, decision, **remarks(approval, subject), **gate)


def wait_for_gates(client: Client, run_id: str, approval: str, count: int) -> list[str]:
    """Wait until *count* gates wait for an approval, and return their step ids."""
    world = client.engine.world
    run = world.runs.snapshot(TENANT, run_id).run

    def waiting() -> list[str]:
        return [gate.step_path for gate in world.approvals.waiting(run, approval)]

    client.engine.until(lambda: len(waiting()) == count, f"{count} gates do not wait: {waiting()}")
    return waiting()


def decide_now(
    client: Client, run_id: str, approval: str, decision: str = "approved", **more: str | list[str]
) -> Answer:
    """Decide an approval, whether a gate waits for it or not."""
    return _decide(client, run_id, approval, decision, **more)


def _decide(
    client: Client, run_id: str, approval: str, decision: str, **more: str | list[str]
) -> Answer:
    plan_hash = client.engine.world.runs.snapshot(TENANT, run_id).run.plan_hash
    body = {"decision": decision, "planHash": plan_hash, **more}
    return client("POST", f"runs/{run_id}/approvals/{approval}", body)
