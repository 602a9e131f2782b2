"""Runs of generated packs end as the oracle predicts.

TASKRUNNER_ORACLE_EXAMPLES=500 runs more packs than CI does, chosen at random and differently each
time.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings

from taskrunner.compiler.driver import compile_pack
from taskrunner.errors import InvalidPackError
from tests.machine import oracle
from tests.machine.engine import engine as fresh_engine
from tests.machine.generated_packs import FUNCTIONS, POOL, SECRETS, VERDICTS, packs, worked
from tests.machine.runs import TENANT, decide_waiting, start, state_of
from tests.machine.workers import Worker, worker_client
from tests.strategies import as_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.machine.engine import Engine

_MORE = os.environ.get("TASKRUNNER_ORACLE_EXAMPLES")


@pytest.fixture(name="engines", scope="module")
def _engines() -> Iterator[Callable[[], Engine]]:
    # Behind a function, because hypothesis writes out the arguments of a failing example.
    with fresh_engine() as engine:
        engine.functions.update(FUNCTIONS)
        for name, value in SECRETS.items():
            engine.store_secret(TENANT, name, value)
        yield lambda: engine


@settings(
    max_examples=int(_MORE or 25),
    derandomize=_MORE is None,
    database=None,
    phases=[Phase.generate] if _MORE is None else list(Phase),
    suppress_health_check=list(HealthCheck),
)
@given(pack=packs())
def test_a_run_ends_as_the_oracle_predicts(
    engines: Callable[[], Engine], pack: dict[str, Any]
) -> None:
    manifest = as_yaml(pack)
    try:
        compiled = compile_pack(manifest, {})
    except InvalidPackError as refused:
        assert "Step Functions" in str(refused)  # noqa: PT017 - it is only too large
        reject()
    assert compile_pack(manifest, {}) == compiled
    try:
        predicted = oracle.predict(compiled.plan, VERDICTS, compiled.distributed)
    except oracle.Undetermined:
        reject()

    state = _run(engines(), manifest)

    assert state["status"] == predicted.status
    listed = {step["stepId"]: (step["status"], step.get("statusReason")) for step in state["steps"]}
    certain = {
        path: status for path, status in predicted.statuses.items() if path not in predicted.open
    }
    assert {path: status for path, status in listed.items() if path in certain} == certain
    assert set(listed) - predicted.open == set(certain)
    assert _outputs(engines(), state, certain) == {
        path: value for path, value in predicted.outputs.items() if path in certain
    }
    assert all(status != "Pending" for status, _ in listed.values())


def _run(engine: Engine, manifest: str) -> dict[str, Any]:
    """The state at the end of a run in which gates are decided, and jobs taken, at once."""
    ana, bob = engine.client(), engine.client(subject="bob")
    worker = Worker(worker_client(engine, POOL), POOL) if f"worker:{POOL}" in manifest else None
    run_id = start(ana, manifest)

    def has_ended() -> bool:
        for approval, verdict in VERDICTS.items():
            decide_waiting(bob, run_id, approval, verdict)
        while worker is not None and (work := worker.poll()) is not None:
            outputs = worked(work.lease["with"], work.lease["attempt"])
            answer = work.fail() if outputs is None else work.complete(outputs=outputs)
            assert answer.status == 200, answer.body
        return engine.world.runs.snapshot(TENANT, run_id).run.outcome is not None

    engine.until(has_ended, f"{run_id} does not end")
    return state_of(ana, run_id)


def _outputs(engine: Engine, state: dict[str, Any], paths: dict[str, Any]) -> dict[str, Any]:
    """The outputs of the run steps among *paths*."""
    runs = [step["stepId"] for step in state["steps"] if step["kind"] == "Run"]
    wanted = [path for path in runs if path in paths]
    outcomes = engine.world.runs.outcomes(TENANT, state["runId"], wanted) if wanted else {}
    return {path: outcome.outputs for path, outcome in outcomes.items()}
