"""The tests' Step Functions and moto's bring runs to the same end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.play import Play
from tests.faults.scenarios import FUNCTIONS, SCENARIOS, SECRETS, Decide
from tests.faults.service import TENANT
from tests.faults.service import service as fresh_service
from tests.machine.engine import engine as fresh_engine
from tests.machine.runs import decide, ended, start, statuses

if TYPE_CHECKING:
    from tests.faults.scenarios import Scenario


@pytest.mark.parametrize("name", ["every block", "approvals", "attempts"])
def test_a_run_ends_as_it_does_with_moto(name: str) -> None:
    scenario = SCENARIOS[name]

    with_moto = _played_with_moto(scenario)

    assert _played_here(scenario) == with_moto


def _played_here(scenario: Scenario) -> dict[str, Any]:
    with fresh_service(SECRETS, FUNCTIONS) as service:
        run = Play(scenario, service, {}).play().run
    assert run is not None
    return statuses(run) | {"run": run["status"]}


def _played_with_moto(scenario: Scenario) -> dict[str, Any]:
    with fresh_engine() as engine:
        for name, value in SECRETS.items():
            engine.store_secret(TENANT, name, value)
        engine.functions.update(FUNCTIONS)
        ana = engine.client(subject="ana")
        run_id = start(ana, scenario.manifest)
        for action in scenario.actions:
            assert isinstance(action, Decide)
            someone = engine.client(subject=action.subject, grants="packs.approve")
            decide(someone, run_id, action.approval, action.decision)
        run = ended(ana, run_id)
    return statuses(run) | {"run": run["status"]}
