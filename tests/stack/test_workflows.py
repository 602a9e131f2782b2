"""The workflows in examples/workflows, run to their ends against a small HTTP server.

All runs are started before the first test, so that they proceed while another is looked at.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.stack.api import statuses, until
from tests.stack.scripted_server import DOWN, IN_USE, scripted_server
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stack.api import Api
    from tests.stack.scripted_server import Answer, Scripted

FOLDER: Final = ROOT / "examples/workflows"
# The input that has the address of each workflow's service.
SERVICES: Final = {
    "release": "platform",
    "migration": "operator",
    "regions": "traffic",
    "runbook": "operations",
    "cleanup": "storage",
}
PRODUCTION: Final = "/environments/production"
TESTS: Final = "/environments/staging/tests"
DATABASE: Final = "/databases/orders"
PLAN: Final = {"id": "plan-7", "statements": ["add column note", "drop index by_day"]}
OLD: Final = "2020-01-31T08:00:00Z"
NEW: Final = "2999-01-31T08:00:00Z"
MIGRATED: Final = {"schemaVersion": 42, "consistent": True}


@dataclass(frozen=True)
class Case:
    """A run of a workflow: what its service answers, and inputs beside the sample's."""

    workflow: str
    answers: dict[str, list[Answer]]
    inputs: dict[str, Any]


CASES: Final = {
    "good-release": Case(
        "release",
        {
            f"GET {PRODUCTION}/release": [{"tag": "2.3.0"}],
            f"POST {TESTS}/sign-in": [{"session": "s-1"}],
        },
        {},
    ),
    "bad-release": Case(
        "release",
        {f"GET {PRODUCTION}/release": [{"tag": "2.3.0"}], f"GET {PRODUCTION}/health": [DOWN]},
        {"tag": "latest"},
    ),
    "good-migration": Case(
        "migration",
        {
            f"POST {DATABASE}/backups": [{"id": "backup-3"}],
            f"POST {DATABASE}/plans": [PLAN],
            f"PUT {DATABASE}/schema": [DOWN, {}],
            f"GET {DATABASE}": [MIGRATED],
        },
        {},
    ),
    "bad-migration": Case(
        "migration",
        {
            f"POST {DATABASE}/backups": [{"id": "backup-4"}],
            f"POST {DATABASE}/plans": [PLAN],
            f"GET {DATABASE}": [MIGRATED | {"consistent": False}],
        },
        {},
    ),
    "good-region": Case(
        "regions",
        {"GET /regions/eu-north-1/errors": [{"errors": 0.001}]},
        {"regions": ["eu-north-1"]},
    ),
    "bad-region": Case(
        "regions",
        {"GET /regions/eu-north-1/errors": [{"errors": 0.001}, {"errors": 0}, {"errors": 0.2}]},
        {"regions": ["eu-north-1", "us-east-1"]},
    ),
    "cleanup": Case(
        "cleanup",
        {
            "GET /snapshots?from=": [
                {
                    "items": [{"name": "a", "createdAt": OLD}, {"name": "b", "createdAt": NEW}],
                    "next": "b+",
                }
            ],
            "GET /snapshots?from=b%2B": [{"items": [{"name": "c", "createdAt": NEW}], "next": "d"}],
            "GET /snapshots?from=d": [
                {"items": [{"name": "e", "createdAt": OLD}, {"name": "f/1", "createdAt": OLD}]}
            ],
            "DELETE /snapshots/e": [IN_USE],
        },
        {},
    ),
    "calm": Case("runbook", {"GET /services/checkout/errors": [{"share": 0.001}]}, {}),
    "restarted": Case("runbook", {"GET /services/checkout/errors": [{"share": 0.1}]}, {}),
    "blind": Case("runbook", {"GET /services/checkout/errors": [DOWN]}, {}),
    "approved": Case("runbook", {"GET /services/checkout/errors": [{"share": 0.4}]}, {}),
    "rejected": Case("runbook", {"GET /services/checkout/errors": [{"share": 0.5}]}, {}),
    "expired": Case("runbook", {"GET /services/checkout/errors": [{"share": 0.6}]}, {}),
}


@dataclass(frozen=True)
class Run:
    """A run that was started, and the service that it calls."""

    run_id: str
    service: Scripted


@pytest.fixture(name="runs", scope="module")
def _runs(operator: Api) -> Iterator[dict[str, Run]]:
    with scripted_server() as server:
        started = {}
        for name, case in CASES.items():
            folder, service = FOLDER / case.workflow, server.script(case.answers)
            manifest = (folder / "pack.yaml").read_text(encoding="utf-8")
            allowed = f'egressAllowlist: ["{server.host}"]'
            manifest, count = re.subn(r"egressAllowlist: \[.*\]", allowed, manifest)
            assert count == 1
            inputs = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
            inputs |= case.inputs | {SERVICES[case.workflow]: service.url}
            if case.workflow == "regions":
                inputs["soak-seconds"] = 0
            started[name] = Run(operator.run(manifest, inputs=inputs), service)
        yield started


def gate(api: Api, run_id: str, step_id: str) -> dict[str, Any]:
    """Return the gate *step_id* of a run, once it waits for a decision."""
    found: list[dict[str, Any]] = []

    def is_open() -> bool:
        steps = {step["stepId"]: step for step in api.state(run_id)["steps"]}
        found.append(steps.get(step_id, {}))
        return str(found[-1].get("statusReason")).startswith("awaiting")

    until(is_open, f"{run_id} waits at {step_id}")
    return found[-1]


def test_a_release_is_approved_by_somebody_else_who_sees_tag_and_findings(
    runs: dict[str, Run], operator: Api, approver: Api
) -> None:
    run = runs["good-release"]
    waiting = gate(operator, run.run_id, "approval")

    own = operator.decide(run.run_id, "production", "approved")
    other = approver.decide(run.run_id, "production", "approved")

    assert waiting["gateMessage"] == (
        "Release 2.4.0 to production? The scans found: shop/web 0 critical and 0 high, "
        "shop/api 0 critical and 0 high, shop/worker 0 critical and 0 high."
    )
    assert (own.status_code, other.status_code) == (403, 200)
    state = operator.ended(run.run_id)
    assert state["status"] == "succeeded", statuses(state)
    assert statuses(state)["roll-back"] == "Skipped condition-false"
    assert run.service.bodies(f"PUT {PRODUCTION}/release") == [{"tag": "2.4.0"}]
    assert len(run.service.bodies(f"POST {TESTS}/search")) == 1
    assert run.service.bodies(f"POST {TESTS}/checkout") == [{"session": "s-1"}]
    (sent,) = run.service.bodies("POST /notifications")
    assert sent["text"] == "The release of 2.4.0 has succeeded"


def test_an_unhealthy_release_with_an_exception_is_rolled_back_and_reported(
    runs: dict[str, Run], operator: Api, approver: Api
) -> None:
    run = runs["bad-release"]
    asked = gate(operator, run.run_id, "findings")
    approver.decide(run.run_id, "exception", "approved")
    gate(operator, run.run_id, "approval")
    approver.decide(run.run_id, "production", "approved")

    state = operator.ended(run.run_id)

    assert (
        "The scans of latest found too much: shop/web 0 critical and 1 high"
        in (asked["gateMessage"])
    )
    assert state["status"] == "failed"
    assert statuses(state)["health"] == "Failed executor-error"
    assert run.service.bodies(f"PUT {PRODUCTION}/release") == [{"tag": "latest"}, {"tag": "2.3.0"}]
    (sent,) = run.service.bodies("POST /notifications")
    assert sent == {
        "text": "The release of latest has failed",
        "failedStep": "health",
        "reason": "executor-error",
        "rollBack": "Succeeded",
    }


def test_a_migration_shows_its_plan_and_is_tried_again(
    runs: dict[str, Run], operator: Api, approver: Api
) -> None:
    run = runs["good-migration"]
    waiting = gate(operator, run.run_id, "approval")

    approver.decide(run.run_id, "database-owner", "approved")

    state = operator.ended(run.run_id)
    assert waiting["gateMessage"] == (
        "Migrate orders to version 42, with the backup\nbackup-3?\n"
        "add column note\ndrop index by_day"
    )
    assert state["status"] == "succeeded", statuses(state)
    assert run.service.bodies(f"PUT {DATABASE}/schema") == [{"plan": "plan-7"}] * 2
    assert statuses(state)["restore"] == "Skipped condition-false"


def test_a_migration_that_is_not_verified_gets_its_backup_back(
    runs: dict[str, Run], operator: Api, approver: Api
) -> None:
    run = runs["bad-migration"]
    gate(operator, run.run_id, "approval")

    approver.decide(run.run_id, "database-owner", "approved")

    state = operator.ended(run.run_id)
    assert (state["status"], statuses(state)["verify"]) == ("failed", "Failed executor-error")
    assert run.service.bodies(f"PUT {DATABASE}/content") == [{"backup": "backup-4"}]


def test_a_good_region_gets_all_stages(runs: dict[str, Run], operator: Api, approver: Api) -> None:
    run = runs["good-region"]
    waiting = gate(operator, run.run_id, "regions[0]::approval")

    approver.decide(run.run_id, "region", "approved")

    state = operator.ended(run.run_id)
    assert waiting["gateMessage"] == "Roll 2.4.0 out to eu-north-1?"
    assert state["status"] == "succeeded", statuses(state)
    weights = run.service.bodies("PUT /regions/eu-north-1/weight")
    assert [weight["percent"] for weight in weights] == [10, 25, 50, 75, 100]


def test_the_first_bad_stage_ends_the_rollout_before_the_next_region(
    runs: dict[str, Run], operator: Api, approver: Api
) -> None:
    run = runs["bad-region"]
    gate(operator, run.run_id, "regions[0]::approval")

    approver.decide(run.run_id, "region", "approved", stepId="regions[0]::approval")

    state = operator.ended(run.run_id)
    assert statuses(state)["regions[0]::stop"] == "Failed executor-error"
    weights = run.service.bodies("PUT /regions/eu-north-1/weight")
    assert [weight["percent"] for weight in weights] == [10, 25, 50, 0]
    assert statuses(state)["regions[1]::approval"] == "Skipped run-failed"
    assert not [route for route, _ in run.service.asked if "us-east-1" in route]


def test_a_cleanup_reads_all_pages_and_deletes_what_is_old(
    runs: dict[str, Run], operator: Api
) -> None:
    run = runs["cleanup"]

    state = operator.ended(run.run_id)

    assert state["status"] == "succeeded", statuses(state)
    read = [route for route, _ in run.service.asked if route.startswith("GET")]
    assert read == [f"GET /snapshots?from={token}" for token in ("", "b%2B", "d")]
    deleted = {route for route, _ in run.service.asked if route.startswith("DELETE")}
    assert deleted == {f"DELETE /snapshots/{name}" for name in ("a", "e", "f%2F1")}
    assert run.service.bodies("POST /reports") == [
        {"outcome": "succeeded", "complete": True, "old": 3, "deleted": 2}
    ]


@dataclass(frozen=True)
class Response:
    """The requests of the runbook to its service after a decision, and what it writes down."""

    routes: list[str]
    written: dict[str, Any]
    decision: str | None = None


RESPONSES: Final = {
    "calm": Response([], {"restart": "Skipped", "decision": None}),
    "restarted": Response(["POST /services/checkout/restarts"], {"restart": "Succeeded"}),
    "blind": Response(["POST /pages"], {"share": None}),
    "approved": Response(
        ["POST /services/checkout/failovers"], {"decision": "approved"}, "approved"
    ),
    "rejected": Response([], {"decision": "rejected"}, "rejected"),
    "expired": Response(["POST /pages"], {"decision": "expired", "decidedBy": None}, "expired"),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_a_runbook_acts_asks_or_wakes_somebody(
    runs: dict[str, Run], operator: Api, name: str
) -> None:
    run, response = runs[name], RESPONSES[name]
    if response.decision:
        gate(operator, run.run_id, "ask")
        decider = operator.as_("admin" if response.decision == "expired" else "approver")
        assert decider.decide(run.run_id, "fail-over", response.decision).status_code == 200

    state = operator.ended(run.run_id)

    assert state["status"] == "succeeded", statuses(state)
    posts = [(route, body) for route, body in run.service.asked if route.startswith("POST")]
    *acted, (last, incident) = posts
    assert ([route for route, _ in acted], last) == (
        response.routes,
        "POST /services/checkout/incidents",
    )
    assert response.written.items() <= incident.items()
    assert bool(incident["decidedBy"]) == (response.decision in {"approved", "rejected"})
