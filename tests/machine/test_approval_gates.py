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


def test_a_decision_can_be_read_by_later_steps(ana: Client, bob: Client) -> None:
    carol = bob.engine.client(subject="carol")
    manifest = pack(
        """
        - {id: review, gate: {approval: {id: security}}}
        - {id: again, gate: {approval: {id: security}}}
        - {id: after, run: {uses: builtin:noop, with: {review: "{{ steps.review.outputs }}"}}}
        """,
        spec="approvals: [{id: security, minApprovals: 2}]",
    )
    run_id = start(ana, manifest)
    decide(bob, run_id, "security", actorId="user:bob", summary="clean")
    decide_now(carol, run_id, "security")
    state = ended(ana, run_id)

    decided = outputs(ana, state, "after")["review"]
    first, second = decided["approvals"]
    assert decided["decision"] == "approved"
    assert {**first, "decidedAt": None} == {
        "subject": "bob",
        "name": None,
        "actorId": "user:bob",
        "decidedAt": None,
        "summary": "clean",
    }
    assert (second["subject"], second["actorId"], second["summary"]) == ("carol", None, None)
    assert first["decidedAt"] <= second["decidedAt"]
    # The second gate was satisfied at once, by the same decisions at the same times.
    for gate in ("review", "again"):
        assert ana("GET", f"runs/{run_id}/steps/{gate}").json["outputs"] == decided


def test_a_rejection_can_be_told_from_an_expiry(ana: Client, bob: Client) -> None:
    manifest = pack(
        """
        - {id: review, continueOnError: true, gate: {approval: {id: security}}}
        - id: refused
          when: steps.review.outputs.decision == 'rejected'
          run: {uses: builtin:noop, with: {why: "{{ steps.review.outputs.rejection.summary }}"}}
        - id: late
          when: steps.review.outputs.decision == 'expired'
          run: {uses: builtin:noop}
        """,
        spec="approvals: [{id: security}]",
    )
    run_id = start(ana, manifest)
    decide(bob, run_id, "security", "rejected", summary="not on a Friday")
    state = ended(ana, run_id)

    assert statuses(state) == {
        "review": "Failed approval-rejected",
        "refused": "Succeeded",
        "late": "Skipped condition-false",
    }
    assert outputs(ana, state, "refused") == {"why": "not on a Friday"}
    assert ana("GET", f"runs/{run_id}/steps/review").json["outputs"]["approvals"] == []


def test_the_outputs_of_blocks_are_without_those_of_gates(ana: Client, bob: Client) -> None:
    """A pack from before gates had outputs must find what it found then."""
    manifest = pack(
        """
        - id: lanes
          parallel:
            steps:
              - {id: one, run: {uses: builtin:noop, with: {n: 1}}}
              - {id: review, gate: {approval: {id: security}}}
        - id: each
          map: {items: {static: [1]}, step: {id: asked, gate: {approval: {id: security}}}}
        - id: choice
          conditional:
            outputUnion: true
            branches:
              - condition: run.id != ''
                steps:
                  - {id: two, run: {uses: builtin:noop, with: {n: 2}}}
                  - {id: also, gate: {approval: {id: security}}}
        - id: after
          run:
            uses: builtin:noop
            with:
              lanes: "{{ steps.lanes.outputs }}"
              each: "{{ steps.each.outputs }}"
              choice: "{{ steps.choice.outputs }}"
              own: "{{ steps.review.outputs.decision }}"
        """,
        spec="approvals: [{id: security}]",
    )
    run_id = start(ana, manifest)
    decide(bob, run_id, "security")

    assert outputs(ana, ended(ana, run_id), "after") == {
        "lanes": {"one": {"n": 1}},
        "each": {"results": [None], "statuses": ["Succeeded"]},
        "choice": {"n": 2},
        "own": "approved",
    }
