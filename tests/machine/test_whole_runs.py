"""Whole runs: created over the API, executed by a Step Functions engine with the real handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.machine.packs import GATED
from tests.machine.runs import decide, ended, log, outputs, run, start, statuses
from tests.packs import deploy_app, pack, scan_deploy

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.engine import Engine


def test_the_contracts_scan_pack_runs_to_its_end(ana: Client) -> None:
    run_id = ana("POST", "runs", scan_deploy()).json["runId"]

    state = ended(ana, run_id)

    assert state["status"] == "succeeded"
    assert statuses(state) == {"scan": "Succeeded"}
    assert [line["eventType"] for line in log(ana, run_id)] == [
        "run.created",
        "run.started",
        "step.started",
        "step.completed",
        "run.completed",
    ]
    artifacts = ana("GET", f"runs/{run_id}/artifacts").json
    report = next(artifact for artifact in artifacts if artifact["name"] == "scan-report")
    assert (report["type"], report["sourcePath"]) == ("file", "/output/scan-report.json")
    assert report["storedPath"] == f"runs/{run_id}/artifacts/{report['sha256']}/scan-report"


def test_the_contracts_deploy_pack_waits_for_its_approval(
    engine: Engine, ana: Client, bob: Client
) -> None:
    created = ana("POST", "runs", deploy_app())
    assert created.status == 201
    run_id = created.json["runId"]

    waiting = engine.wait(ana, run_id, "waiting")
    decided = decide(bob, run_id, "security-review", "approved", actorId="user:bob")
    state = ended(ana, run_id)

    assert statuses(waiting)["approval"] == "Pending awaiting-approval"
    assert statuses(waiting)["deploy"] == "Pending"
    assert decided.json == {"status": "approved", "resumed": True}
    assert state["status"] == "succeeded"
    assert set(statuses(state).values()) == {"Succeeded"}


def test_outputs_reach_a_later_step(ana: Client, bob: Client) -> None:
    run_id = start(ana, GATED)
    decide(bob, run_id, "security", "approved")

    state = ended(ana, run_id)

    assert outputs(ana, state, "ship") == {"size": 3}


def test_runs_of_one_pack_share_one_machine(engine: Engine, ana: Client) -> None:
    manifest = pack(
        "- {id: one, when: inputs.go, run: {uses: builtin:noop}}",
        spec="inputs: [{name: go, type: boolean, required: true}]",
    )
    for go in (True, False):
        run(ana, manifest, go=go)

    machines = engine.states.list_state_machines()["stateMachines"]

    assert len([machine for machine in machines if "a-pack" in machine["name"]]) == 1
