from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from functions.read_run.app import handler
from taskrunner.errors import NotFoundError
from taskrunner.model.approval import Verdict
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.read_approval import read_approval
from tests.api_schema import assert_conforms
from tests.packs import pack
from tests.unit.usecases.scenarios import ANA, BOB, GATED, TENANT, a_world, decide, gate, step

if TYPE_CHECKING:
    from taskrunner.model.caller import Caller
    from tests.fakes.world import MemoryWorld

SPEC = """
    inputs: [{name: image, type: string, default: "app:1"}]
    approvals: [{id: security, minApprovals: 2, distinctFromRequester: true}]
"""
NAMING = pack(
    """
    - {id: scan, run: {uses: builtin:noop, with: {critical: 3, log: "long log"}}}
    - id: review
      gate:
        approval:
          id: security
          message: "{{ steps.scan.outputs.critical }} in {{ steps.scan.outputs.log }}, {{ run.id }}"
    - {id: ship, run: {uses: builtin:noop}}
    """,
    spec=SPEC,
    name="naming",
)
LOOPING = pack(
    """
    - id: each
      map:
        items: {static: [a, b]}
        steps:
          - {id: scan, run: {uses: builtin:noop, with: {name: "{{ item }}"}}}
          - {id: review, gate: {approval: {id: security, message: "{{ steps.scan.outputs.name }}"}}}
          - {id: ship, run: {uses: builtin:noop}}
    """,
    spec=SPEC,
    name="looping",
)


def approval(
    world: MemoryWorld,
    caller: Caller = BOB,
    approval_id: str = "security",
    query: dict[str, str] | None = None,
) -> Any:  # noqa: ANN401
    """The answer of the route, checked against the API's document."""
    path = "/v1/task-runner/runs/{runId}/approvals/{approvalId}"
    authorizer = {
        "subject": caller.subject,
        "scopes": " ".join(caller.scopes),
        "tenants": TENANT,
        "grants": "packs.approve",
    }
    event = {
        "httpMethod": "GET",
        "resource": path,
        "pathParameters": {"runId": "run-7", "approvalId": approval_id},
        "queryStringParameters": query,
        "requestContext": {"authorizer": authorizer},
    }
    answer = handler(event, None, world=world)
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    headers["x-request-id"] = "r"
    assert_conforms("GET", path, answer["statusCode"], headers, answer["body"])
    return json.loads(answer["body"])


def a_waiting_world(manifest: str = NAMING) -> MemoryWorld:
    world = a_world(manifest)
    step(world, "scan")
    gate(world)
    return world


def test_shows_who_requests_what_and_what_the_gate_guards() -> None:
    found = approval(a_waiting_world())

    assert (found["status"], found["requestedBy"]) == ("waiting", "ana")
    assert found["inputs"] == {"image": "app:1"}
    (waiting,) = found["gates"]
    assert (waiting["stepId"], waiting["guards"]) == ("review", ["ship"])
    assert waiting["openedAt"] == "2025-12-06T12:00:00.000Z"
    assert waiting["expiresAt"] == "2025-12-13T12:00:00.000Z"


def test_findings_are_the_outputs_that_the_message_names() -> None:
    (waiting,) = approval(a_waiting_world())["gates"]

    assert waiting["findings"] == [
        {"name": "steps.scan.outputs.critical", "value": 3},
        {"name": "steps.scan.outputs.log", "value": "long log"},
    ]


def test_a_large_finding_is_cut() -> None:
    (waiting,) = approval(a_waiting_world(NAMING.replace("long log", "x" * 9000)))["gates"]

    log = waiting["findings"][1]
    assert log["isCut"] is True
    assert log["value"].startswith("xxx")
    assert len(log["value"]) < 1100


def test_a_finding_that_there_is_not_has_no_value() -> None:
    world = a_waiting_world(NAMING.replace("{critical: 3,", "{"))

    (waiting,) = approval(world)["gates"]

    assert waiting["findings"][0] == {"name": "steps.scan.outputs.critical"}


def test_each_iterations_gate_has_its_own_findings() -> None:
    world = a_world(LOOPING)
    for number in (0, 1):
        step(world, "scan", iteration=f"each[{number}]::")
        gate(world, token=f"token-{number}", iteration=f"each[{number}]::")

    gates = approval(world)["gates"]

    assert [(g["stepId"], g["templateId"], g["findings"][0]["value"]) for g in gates] == [
        ("each[0]::review", "review", "a"),
        ("each[1]::review", "review", "b"),
    ]


def test_shows_twenty_gates_and_each_other_one_by_its_step_id() -> None:
    world = a_world(LOOPING.replace("[a, b]", str([*range(22)])))
    for number in range(22):
        step(world, "scan", iteration=f"each[{number}]::")
        gate(world, token=f"token-{number}", iteration=f"each[{number}]::")

    first = approval(world)
    shown = {gate["stepId"] for gate in first["gates"]}
    omitted = {f"each[{number}]::review" for number in range(22)} - shown
    named = [approval(world, query={"stepId": path}) for path in sorted(omitted)]
    unknown = approval(world, query={"stepId": "each[22]::review"})

    assert (len(shown), first["gatesOmitted"], len(omitted)) == (20, 2, 2)
    assert [found["gates"][0]["stepId"] for found in named] == sorted(omitted)
    assert [found["gates"][0]["findings"][0]["value"] for found in named] == [
        int(path.partition("]")[0].removeprefix("each[")) for path in sorted(omitted)
    ]
    assert {(found["gatesOmitted"], found["canDecide"]) for found in named} == {(21, True)}
    assert (unknown["gates"], unknown["status"], unknown["gatesOmitted"]) == ([], "waiting", 22)


def test_shows_the_decisions_so_far_and_that_another_approver_is_needed() -> None:
    world = a_waiting_world()
    decide(world)

    found = approval(world)

    assert [(d["decision"], d["approver"]) for d in found["decisions"]] == [("approved", "bob")]
    assert found["canDecide"] is False
    assert found["cannotDecideReason"]["code"] == "already_approved"


@pytest.mark.parametrize(
    ("caller", "code"),
    [
        (ANA, "self_approval"),
        (replace(BOB, scopes=frozenset({"viewer"})), "scope_required"),
        (BOB, None),
    ],
)
def test_says_whether_the_caller_may_decide(caller: Caller, code: str | None) -> None:
    found = approval(a_waiting_world(), caller)

    assert found["canDecide"] is (code is None)
    assert found.get("cannotDecideReason", {}).get("code") == code


def test_a_closed_approval_has_no_gates_and_cannot_be_decided() -> None:
    not_reached = approval(a_world(GATED))
    rejected_world, cancelled_world = a_waiting_world(), a_waiting_world()
    decide(rejected_world, Verdict.REJECTED)
    cancel_run(TENANT, "run-7", "ana", cancelled_world)
    rejected, cancelled = approval(rejected_world), approval(cancelled_world)

    for found in (not_reached, rejected, cancelled):
        assert (found["gates"], found["canDecide"]) == ([], False)
    assert [not_reached["status"], rejected["status"], cancelled["status"]] == [
        "closed",
        "rejected",
        "closed",
    ]
    assert rejected["cannotDecideReason"]["code"] == "approval_already_decided"
    assert cancelled["cannotDecideReason"]["code"] == "approval_not_open"


@pytest.mark.parametrize(
    ("approval_id", "hint"), [("securty", "did you mean 'security'"), ("x", "available: ")]
)
def test_says_which_approval_a_wrong_id_may_mean(approval_id: str, hint: str) -> None:
    with pytest.raises(NotFoundError, match=hint):
        read_approval(TENANT, "run-7", approval_id, BOB, a_waiting_world())


@pytest.mark.parametrize(
    ("tenant", "run_id", "approval_id"),
    [("globex", "run-7", "security"), (TENANT, "run-8", "security"), (TENANT, "run-7", "none")],
)
def test_does_not_find_what_the_tenant_does_not_have(
    tenant: str, run_id: str, approval_id: str
) -> None:
    with pytest.raises(NotFoundError):
        read_approval(tenant, run_id, approval_id, BOB, a_waiting_world())
