"""Runs of generated packs end as the oracle predicts.

TASKRUNNER_ORACLE_EXAMPLES=500 runs more packs than CI does, chosen at random and differently each
time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, event, example, given, reject, settings

from taskrunner.compiler.driver import compile_pack
from taskrunner.errors import InvalidPackError
from tests.machine import oracle
from tests.machine.called_machines import CalledMachines
from tests.machine.engine import engine as fresh_engine
from tests.machine.generated_declarations import (
    DECISIONS,
    FUNCTIONS,
    MACHINES,
    POOL,
    SECRETS,
    every_gate,
    remarks,
    worked,
)
from tests.machine.generated_packs import packs
from tests.machine.runs import TENANT, decide_waiting, start, state_of
from tests.machine.workers import Worker, worker_client
from tests.strategies import as_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.machine.engine import Engine

_MORE = os.environ.get("TASKRUNNER_ORACLE_EXAMPLES")


@dataclass
class _Stack:
    """TaskRunner, and the machines that packs call."""

    engine: Engine
    machines: CalledMachines


@pytest.fixture(name="stacks", scope="module")
def _stacks() -> Iterator[Callable[[], _Stack]]:
    # Behind a function, because hypothesis writes out the arguments of a failing example.
    with fresh_engine() as engine:
        engine.functions.update(FUNCTIONS)
        for name, value in SECRETS.items():
            engine.store_secret(TENANT, name, value)
        machines = CalledMachines(engine)
        for name, state in MACHINES.items():
            machines.make(name, state)
        yield lambda: _Stack(engine, machines)


@settings(
    max_examples=int(_MORE or 25),
    derandomize=_MORE is None,
    database=None,
    phases=[Phase.explicit, Phase.generate] if _MORE is None else list(Phase),
    suppress_health_check=list(HealthCheck),
)
@given(pack=packs())
@example(pack=every_gate())
def test_a_run_ends_as_the_oracle_predicts(
    stacks: Callable[[], _Stack], pack: dict[str, Any]
) -> None:
    manifest = as_yaml(pack)
    try:
        compiled = compile_pack(manifest, {})
    except InvalidPackError as refused:
        assert "Step Functions" in str(refused)  # noqa: PT017 - it is only too large
        reject()
    assert compile_pack(manifest, {}) == compiled
    try:
        predicted = oracle.predict(compiled.plan, TENANT, compiled.distributed)
    except oracle.Undetermined:
        reject()

    listed_messages: dict[str, str | None] = {}
    stack = stacks()
    state = _run(stack, manifest, listed_messages)

    for read in predicted.reads:
        event(f"reads {read}")
    for path in predicted.messages:
        event(f"opens a {compiled.plan.step(path.rpartition('::')[2]).kind.value}")
    assert state["status"] == predicted.status
    listed = {step["stepId"]: (step["status"], step.get("statusReason")) for step in state["steps"]}
    certain = {
        path: status for path, status in predicted.statuses.items() if path not in predicted.open
    }
    assert {path: status for path, status in listed.items() if path in certain} == certain
    assert set(listed) - predicted.open == set(certain)
    assert _outputs(stack.engine, state, certain) == {
        path: value for path, value in predicted.outputs.items() if path in certain
    }
    assert all(status != "Pending" for status, _ in listed.values())
    certain_messages = {
        path: message for path, message in predicted.messages.items() if path in certain
    }
    gates = {step["stepId"]: step for step in state["steps"] if step["kind"].startswith("Gate")}
    assert {path: gates[path].get("gateMessage") for path in certain_messages} == certain_messages
    in_both = listed_messages.keys() & certain_messages
    assert {path: listed_messages[path] for path in in_both} == {
        path: certain_messages[path] for path in in_both
    }


def _run(stack: _Stack, manifest: str, messages: dict[str, str | None]) -> dict[str, Any]:
    """The state at the end of a run in which gates are decided, and jobs taken, at once.

    *messages* gets those of the gates that are in the list of open approvals.
    """
    engine = stack.engine
    ana = engine.client()
    worker = Worker(worker_client(engine, POOL), POOL) if f"worker:{POOL}" in manifest else None
    run_id = start(ana, manifest)

    def has_ended() -> bool:
        for gate in ana("GET", "approvals").json["approvals"]:
            if gate["runId"] == run_id:
                messages[gate["stepId"]] = gate.get("message")
        for approval, decisions in DECISIONS.items():
            decide_waiting(engine, run_id, approval, decisions, remarks)
        while worker is not None and (work := worker.poll()) is not None:
            outputs = worked(work.lease["with"], work.lease["attempt"])
            answer = work.fail() if outputs is None else work.complete(outputs=outputs)
            assert answer.status == 200, answer.body
        for name in MACHINES:
            if f"states:{name}" in manifest:
                stack.machines.report_new(name)
        return engine.world.runs.snapshot(TENANT, run_id).run.outcome is not None

    engine.until(has_ended, f"{run_id} does not end")
    return state_of(ana, run_id)


def _outputs(engine: Engine, state: dict[str, Any], paths: dict[str, Any]) -> dict[str, Any]:
    """The outputs of the run steps among *paths*."""
    runs = [step["stepId"] for step in state["steps"] if step["kind"] == "Run"]
    wanted = [path for path in runs if path in paths]
    outcomes = engine.world.runs.outcomes(TENANT, state["runId"], wanted) if wanted else {}
    return {path: outcome.outputs for path, outcome in outcomes.items()}
