"""Gates that wait for an approval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.machine.packs import GATED
from tests.machine.runs import (
    decide,
    decide_now,
    ended,
    outputs,
    start,
    statuses,
    wait_for_gates,
)
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.engine import Engine


def test_a_rejection_fails_the_run_at_its_gate(engine: Engine, ana: Client, bob: Client) -> None:
    run_id = start(ana, GATED)
    engine.wait(ana, run_id, "waiting")

    decided = decide(bob, run_id, "security", "rejected", summary="criticals")
    state = ended(ana, run_id)

    assert decided.json == {"status": "rejected", "resumed": False}
    assert state["status"] == "failed"
    assert statuses(state) == {
        "build": "Succeeded",
        "review": "Failed approval-rejected",
        "ship": "Skipped run-failed",
    }


def test_continue_on_error_lets_the_run_go_on_after_a_rejection(ana: Client, bob: Client) -> None:
    manifest = pack(
        """
        - {id: review, continueOnError: true, gate: {approval: {id: security}}}
        - {id: after, run: {uses: builtin:noop, with: {was: "{{ steps.review.status }}"}}}
        """,
        spec="approvals: [{id: security}]",
    )
    run_id = start(ana, manifest)
    decide(bob, run_id, "security", "rejected")

    state = ended(ana, run_id)

    assert statuses(state) == {"review": "Failed approval-rejected", "after": "Succeeded"}
    assert outputs(ana, state, "after") == {"was": "Failed"}
    assert state["status"] == "succeeded"


def test_waits_for_a_gate_in_the_branch_that_is_taken(
    engine: Engine, ana: Client, bob: Client
) -> None:
    manifest = pack(
        """
        - {id: zero, run: {uses: builtin:noop, with: {n: 1}}}
        - id: choice
          conditional:
            branches:
              - condition: steps.zero.outputs.n == `1`
                steps:
                  - {id: review, gate: {approval: {id: security}}}
                  - {id: then, run: {uses: builtin:noop}}
            else:
              - {id: other, gate: {approval: {id: security}}}
        """,
        spec="approvals: [{id: security}]",
    )
    run_id = start(ana, manifest)
    waiting = engine.wait(ana, run_id, "waiting")
    decided = decide(bob, run_id, "security")
    state = ended(ana, run_id)

    assert statuses(waiting) == {
        "zero": "Succeeded",
        "choice": "Running",
        "review": "Pending awaiting-approval",
        "then": "Pending",
        "other": "Skipped branch-not-taken",
    }
    assert decided.json == {"status": "approved", "resumed": True}
    assert statuses(state)["then"] == "Succeeded"
    assert state["status"] == "succeeded"


def test_one_approval_satisfies_later_gates_at_once(ana: Client, bob: Client) -> None:
    manifest = pack(
        """
        - {id: one, gate: {approval: {id: security}}}
        - {id: between, run: {uses: builtin:noop}}
        - id: each
          map: {items: "[`1`, `2`]", step: {id: two, gate: {approval: {id: security}}}}
        """,
        spec="approvals: [{id: security}]",
    )
    run_id = start(ana, manifest)
    decide(bob, run_id, "security")

    state = ended(ana, run_id)

    assert state["status"] == "succeeded"
    assert set(statuses(state).values()) == {"Succeeded"}


def test_each_item_needs_its_own_decision(ana: Client, bob: Client) -> None:
    manifest = pack(
        """
        - id: each
          continueOnError: true
          map:
            items: {static: [a, b, c]}
            steps:
              - {id: ask, gate: {approval: {id: go}}}
              - {id: ship, run: {uses: builtin:noop}}
        """,
        spec="approvals: [{id: go, scope: gate}]",
    )
    run_id = start(ana, manifest)
    first, second, third = wait_for_gates(bob, run_id, "go", 3)
    ambiguous = decide_now(bob, run_id, "go")
    unknown = decide_now(bob, run_id, "go", stepId="ask")
    approved = [decide_now(bob, run_id, "go", stepId=[first]) for _ in range(2)]
    assert wait_for_gates(bob, run_id, "go", 2) == [second, third]
    rejected = decide_now(bob, run_id, "go", "rejected", stepId=second)
    contrary = decide_now(bob, run_id, "go", "rejected", stepId=first)
    last = decide_now(bob, run_id, "go")
    state = ended(ana, run_id)

    assert (ambiguous.status, ambiguous.json["error"]["code"]) == (409, "approval_ambiguous")
    assert ambiguous.json["error"]["details"] == {"stepIds": [first, second, third]}
    assert unknown.status == 404
    assert [answer.json for answer in approved] == [{"status": "approved", "resumed": True}] * 2
    assert rejected.json == {"status": "rejected", "resumed": False}
    assert contrary.json["error"]["code"] == "approval_already_decided"
    assert last.json == {"status": "approved", "resumed": True}
    assert statuses(state) == {
        "each": "Failed",
        first: "Succeeded",
        "each[0]::ship": "Succeeded",
        second: "Failed approval-rejected",
        "each[1]::ship": "Skipped parent-skipped",
        third: "Succeeded",
        "each[2]::ship": "Succeeded",
    }
    assert state["status"] == "succeeded"


def test_a_later_iteration_waits_for_its_own_decision(ana: Client, bob: Client) -> None:
    manifest = pack(
        """
        - id: regions
          loop:
            items: {static: [eu, us]}
            body:
              - {id: ask, gate: {approval: {id: go}}}
              - {id: ship, run: {uses: builtin:noop}}
        """,
        spec="approvals: [{id: go, scope: gate}]",
    )
    run_id = start(ana, manifest)
    wait_for_gates(bob, run_id, "go", 1)
    first = decide_now(bob, run_id, "go")
    bob.engine.until(
        lambda: wait_for_gates(bob, run_id, "go", 1) == ["regions[1]::ask"], "no second gate waits"
    )
    repeated = decide_now(bob, run_id, "go")
    second = decide_now(bob, run_id, "go", stepId="regions[1]::ask")

    assert ended(ana, run_id)["status"] == "succeeded"
    assert [first.json, second.json] == [{"status": "approved", "resumed": True}] * 2
    assert repeated.json["error"]["code"] == "approval_ambiguous"
