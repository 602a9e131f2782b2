"""Policy gates whose policy is a list of rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.machine.runs import decide, ended, run, start, statuses
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.engine import Engine


POLICY = """
- {id: zero, run: {uses: builtin:noop, with: {n: 1}}}
- id: check
  CONTINUE
  gate:
    policy: {policy: twos, with: {limit: 2}, MORE}
- {id: after, run: {uses: builtin:noop}}
"""


POLICY_SPEC = """
approvals: [{id: security}]
policies:
  - id: twos
    version: "1"
    rules: [{id: two, require: steps.zero.outputs.n == with.limit, message: too few}]
"""


def policy_pack(more: str, continued: str = "") -> str:
    return pack(POLICY.replace("MORE", more).replace("CONTINUE", continued), spec=POLICY_SPEC)


def test_a_failed_policy_aborts_the_run(ana: Client) -> None:
    state = run(ana, policy_pack("failureAction: abort"))

    assert state["status"] == "failed"
    assert statuses(state) == {
        "zero": "Succeeded",
        "check": "Failed policy-failed",
        "after": "Skipped run-failed",
    }
    assert state["steps"][1]["errorMessage"] == "Policy twos does not hold: two: too few"


def test_continue_on_error_lets_the_run_go_on_after_a_failed_policy(ana: Client) -> None:
    state = run(ana, policy_pack("failureAction: abort", "continueOnError: true"))

    assert state["status"] == "succeeded"
    assert statuses(state)["check"] == "Failed policy-failed"


def test_a_failed_policy_may_only_warn(ana: Client) -> None:
    state = run(ana, policy_pack("failureAction: warn"))

    assert state["status"] == "succeeded"
    assert statuses(state)["check"] == "Succeeded policy-warned"


@pytest.mark.parametrize(
    ("decision", "check", "after", "status"),
    [
        ("approved", "Succeeded", "Succeeded", "succeeded"),
        ("rejected", "Failed approval-rejected", "Skipped run-failed", "failed"),
    ],
)
def test_a_failed_policy_may_request_an_override(  # noqa: PLR0913, PLR0917 - a table
    engine: Engine, ana: Client, bob: Client, decision: str, check: str, after: str, status: str
) -> None:
    manifest = policy_pack("failureAction: requestOverride, override: {approval: security}")
    run_id = start(ana, manifest)
    waiting = engine.wait(ana, run_id, "waiting")
    decide(bob, run_id, "security", decision)

    state = ended(ana, run_id)

    assert statuses(waiting)["check"] == "Pending awaiting-override"
    assert statuses(state) == {"zero": "Succeeded", "check": check, "after": after}
    assert state["status"] == status


def test_a_failed_policy_may_run_its_branch(ana: Client) -> None:
    branch = "branch: [{id: repair, run: {uses: builtin:noop}}]"
    state = run(ana, policy_pack(f"failureAction: branch, {branch}"))

    assert state["status"] == "succeeded"
    assert statuses(state) == {
        "zero": "Succeeded",
        "check": "Succeeded policy-failed",
        "repair": "Succeeded",
        "after": "Succeeded",
    }


def test_a_policy_that_holds_does_not_run_its_branch(ana: Client) -> None:
    branch = "branch: [{id: repair, run: {uses: builtin:noop}}]"
    manifest = policy_pack(f"failureAction: branch, {branch}").replace("limit: 2", "limit: 1")

    assert statuses(run(ana, manifest)) == {
        "zero": "Succeeded",
        "check": "Succeeded",
        "repair": "Skipped branch-not-taken",
        "after": "Succeeded",
    }


def test_a_failure_in_a_policys_branch_fails_the_gate(ana: Client) -> None:
    branch = (
        "branch: [{id: repair, run: {uses: builtin:fail}}, {id: more, run: {uses: builtin:noop}}]"
    )
    state = run(ana, policy_pack(f"failureAction: branch, {branch}", "continueOnError: true"))

    assert state["status"] == "succeeded"
    assert statuses(state) == {
        "zero": "Succeeded",
        "check": "Failed",
        "repair": "Failed executor-error",
        "more": "Skipped parent-skipped",
        "after": "Succeeded",
    }


def test_a_failed_policy_is_evaluated_again_as_its_retries_say(ana: Client) -> None:
    state = run(ana, policy_pack("failureAction: warn, retries: {count: 1}"))

    assert statuses(state)["check"] == "Succeeded policy-warned"
    assert state["steps"][1]["attempts"] == 2
