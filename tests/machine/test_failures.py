"""The effects of a failure: retries, `continueOnError`, and the steps beside and behind it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.adapters.machine_events import step_reference
from tests.machine.runs import (
    decide,
    ended,
    execution_of,
    has_entry,
    log,
    outputs,
    run,
    start,
    state_of,
    statuses,
)
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.engine import Engine


def test_a_failing_step_is_retried_and_then_succeeds(ana: Client) -> None:
    manifest = pack(
        """
        - id: flaky
          run: {uses: builtin:fail, with: {message: not yet, attempts: 2}}
          retries: {maxAttempts: 3}
        """
    )
    run_id = start(ana, manifest)

    state = ended(ana, run_id)

    assert state["status"] == "succeeded"
    assert state["steps"][0]["attempts"] == 3
    retried = [line for line in log(ana, run_id) if line["eventType"] == "step.failed"]
    assert [line["metadata"]["attempt"] for line in retried] == ["1", "2"]
    assert all("nextAttemptAt" in line["metadata"] for line in retried)


def test_a_step_of_a_loop_is_retried_in_its_own_iteration(ana: Client) -> None:
    manifest = pack(
        """
        - id: turns
          loop:
            items: {static: [1, 2]}
            body:
              - id: flaky
                retries: {maxAttempts: 2}
                run: {uses: builtin:fail, with: {attempts: 1}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded"
    assert [(step["stepId"], step["attempts"]) for step in state["steps"][1:]] == [
        ("turns[0]::flaky", 2),
        ("turns[1]::flaky", 2),
    ]


def test_the_last_failure_fails_the_run_and_skips_the_rest(ana: Client) -> None:
    manifest = pack(
        """
        - id: broken
          run: {uses: builtin:fail, with: {message: no luck}}
        - id: after
          run: {uses: builtin:noop}
        """
    )
    run_id = start(ana, manifest)

    state = ended(ana, run_id)

    assert state["status"] == "failed"
    assert statuses(state) == {
        "broken": "Failed executor-error",
        "after": "Skipped run-failed",
    }
    assert state["steps"][0]["errorMessage"] == "no luck"
    assert log(ana, run_id)[-1]["message"] == "Run failed: step broken failed."


def test_the_execution_says_which_step_failed_and_why_and_nothing_that_it_wrote(
    engine: Engine, ana: Client
) -> None:
    manifest = pack(
        """
        - id: lanes
          parallel:
            steps:
              - {id: fine, run: {uses: builtin:noop}}
              - {id: broken, run: {uses: builtin:fail, with: {message: of-the-executor}}}
        """
    )
    run_id = start(ana, manifest)
    ended(ana, run_id)

    execution = execution_of(engine, run_id)

    assert execution["name"].startswith(f"{run_id}-"[:48])
    assert (execution["status"], execution["error"]) == ("FAILED", "executor-error")
    assert execution["cause"] == "step broken failed: executor-error"


def test_the_execution_says_that_a_gate_was_rejected(engine: Engine, ana: Client) -> None:
    manifest = pack(
        "- {id: review, gate: {approval: {id: security}}}", spec="approvals: [{id: security}]"
    )
    run_id = start(ana, manifest)
    decide(engine.client(subject="bob"), run_id, "security", "rejected")

    execution = execution_of(engine, run_id)

    assert execution["error"] == "approval-rejected"
    assert execution["cause"] == "step review failed: approval-rejected"


def test_a_step_that_takes_too_long_fails_with_timeout(ana: Client) -> None:
    manifest = pack(
        """
        - id: slow
          timeoutSeconds: 1
          run: {uses: builtin:sleep, with: {seconds: 60}}
        """
    )
    state = run(ana, manifest)

    assert statuses(state) == {"slow": "Failed timeout"}


def test_a_step_fails_when_its_expression_cannot_be_evaluated(ana: Client) -> None:
    manifest = pack(
        """
        - {id: zero, run: {uses: builtin:noop, with: {n: 1}}}
        - id: bad
          continueOnError: true
          run: {uses: builtin:noop, with: {n: "{{ length(steps.zero.outputs.n) }}"}}
        - id: worse
          continueOnError: true
          when: "length(steps.zero.outputs.n) == `1`"
          run: {uses: builtin:noop}
        - id: worst
          continueOnError: true
          conditional:
            branches:
              - {condition: "abs(steps.bad.status)", steps: [{id: in, run: {uses: builtin:noop}}]}
        - {id: after, run: {uses: builtin:noop}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded"
    assert statuses(state) == {
        "zero": "Succeeded",
        "bad": "Failed executor-error",
        "worse": "Failed executor-error",
        "worst": "Failed executor-error",
        "in": "Skipped parent-skipped",
        "after": "Succeeded",
    }
    assert "length" in state["steps"][1]["errorMessage"]


def test_a_loop_fails_and_keeps_its_iteration_when_until_cannot_be_evaluated(
    ana: Client,
) -> None:
    manifest = pack(
        """
        - id: turns
          continueOnError: true
          loop:
            items: {static: [1, 2]}
            until: length(steps.turn.outputs.n) == `1`
            body: [{id: turn, run: {uses: builtin:noop, with: {n: 1}}}]
        - {id: after, run: {uses: builtin:noop}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded"
    assert statuses(state) == {
        "turns": "Failed executor-error",
        "turns[0]::turn": "Succeeded",
        "after": "Succeeded",
    }


def test_continue_on_error_lets_the_run_go_on_and_succeed(ana: Client) -> None:
    manifest = pack(
        """
        - id: broken
          continueOnError: true
          run: {uses: builtin:fail, with: {message: no luck}}
        - id: after
          run: {uses: builtin:noop, with: {before: "{{ steps.broken.status }}"}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded"
    assert statuses(state) == {"broken": "Failed executor-error", "after": "Succeeded"}
    assert outputs(ana, state, "after") == {"before": "Failed"}


def test_continue_on_error_contains_a_failure_in_a_parallel_in_a_map(ana: Client) -> None:
    manifest = pack(
        """
        - id: each
          map:
            items: "[`1`, `2`]"
            steps:
              - id: both
                continueOnError: true
                parallel:
                  steps:
                    - id: bad
                      when: item == `1`
                      run: {uses: builtin:fail, with: {message: no}}
                    - {id: good, run: {uses: builtin:noop}}
              - {id: then, run: {uses: builtin:noop}}
        - {id: after, run: {uses: builtin:noop}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded"
    assert statuses(state) == {
        "each": "Succeeded",
        "each[0]::both": "Failed",
        "each[0]::bad": "Failed executor-error",
        "each[0]::good": "Succeeded",
        "each[0]::then": "Succeeded",
        "each[1]::both": "Succeeded",
        "each[1]::bad": "Skipped condition-false",
        "each[1]::good": "Succeeded",
        "each[1]::then": "Succeeded",
        "after": "Succeeded",
    }


@pytest.mark.parametrize(
    "block",
    [
        "map: {items: I, steps: S}",
        "loop: {items: I, body: S}",
        "loop: {items: I, until: '`false`', body: S}",
    ],
)
def test_continue_on_error_runs_the_remaining_iterations_and_fails_the_block(
    ana: Client, block: str
) -> None:
    bad = "{id: bad, when: index == `0`, run: {uses: builtin:fail}}"
    inside = f"[{bad}, {{id: then, run: {{uses: builtin:noop}}}}]"
    manifest = pack(
        f"""
        - id: each
          continueOnError: true
          {block.replace("I", "'[`7`, `8`]'", 1).replace("S", inside)}
        - {{id: after, run: {{uses: builtin:noop}}}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded"
    assert statuses(state) == {
        "each": "Failed",
        "each[0]::bad": "Failed executor-error",
        "each[0]::then": "Skipped parent-skipped",
        "each[1]::bad": "Skipped condition-false",
        "each[1]::then": "Succeeded",
        "after": "Succeeded",
    }


@pytest.mark.parametrize("ending", ["", "until: '`false`'"])
def test_without_continue_on_error_a_loop_ends_with_the_iteration_that_fails(
    ana: Client, ending: str
) -> None:
    manifest = pack(
        f"""
        - id: turns
          loop:
            items: {{static: [1, 2]}}
            {ending}
            body: [{{id: bad, run: {{uses: builtin:fail}}}}]
        - {{id: after, run: {{uses: builtin:noop}}}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "failed"
    found = statuses(state)
    # An iteration that was not reached is listed only when planning knew of it.
    assert found.pop("turns[1]::bad", "Skipped run-failed") == "Skipped run-failed"
    assert found == {
        "turns": "Failed",
        "turns[0]::bad": "Failed executor-error",
        "after": "Skipped run-failed",
    }


@pytest.mark.parametrize("ending", ["", "until: '`false`'"])
def test_continue_on_error_of_a_block_contains_a_failed_loop(ana: Client, ending: str) -> None:
    manifest = pack(
        f"""
        - id: choice
          continueOnError: true
          conditional:
            branches:
              - condition: "`true`"
                steps:
                  - id: turns
                    loop:
                      items: {{static: [1, 2]}}
                      {ending}
                      body: [{{id: bad, run: {{uses: builtin:fail}}}}]
                  - {{id: then, run: {{uses: builtin:noop}}}}
        - id: each
          map: {{items: "[`1`]", step: {{id: after, run: {{uses: builtin:noop}}}}}}
        """
    )
    state = run(ana, manifest)

    assert state["status"] == "succeeded"
    found = statuses(state)
    # An iteration that was not reached is listed only when planning knew of it.
    assert found.pop("turns[1]::bad", "Skipped parent-skipped") == "Skipped parent-skipped"
    assert found == {
        "choice": "Failed",
        "turns": "Failed",
        "turns[0]::bad": "Failed executor-error",
        "then": "Skipped parent-skipped",
        "each": "Succeeded",
        "each[0]::after": "Succeeded",
    }


# A step that fails beside one that runs on; CONTAINED is for what contains the failure.
SIBLINGS = """
- id: both
  CONTAINED
  parallel:
    steps:
      - {id: bad, run: {uses: builtin:fail}}
      - id: each
        map:
          items: "[`1`]"
          steps:
            - {id: slow, run: {uses: "lambda:slow"}}
            - {id: never, run: {uses: builtin:noop}}
            - id: inner
              parallel: {steps: [{id: nor, run: {uses: builtin:noop}}]}
"""


def failing_beside_a_sibling(engine: Engine, ana: Client, manifest: str) -> str:
    """Start *manifest* and return the run's id.

    Its step `bad` fails once `slow` has begun, which ends after that. A step `after` waits for it.
    """

    def until(run_id: str, step: str, event: str) -> None:
        engine.until(lambda: has_entry(ana, run_id, step, event), f"{step} has no {event}")

    def hold(event: dict[str, Any]) -> None:
        reference = step_reference(event)
        if reference.step_id == "bad":
            until(reference.run_id, "each[0]::slow", "step.started")
        elif reference.step_id == "after":
            until(reference.run_id, "each[0]::slow", "step.completed")

    def slow(payload: dict[str, Any]) -> dict[str, Any]:
        until(payload["run"]["id"], "bad", "step.failed")
        return {}

    engine.before["run_step"] = hold
    engine.functions["slow"] = slow
    return start(ana, manifest)


def test_a_failed_run_lets_running_steps_finish_and_skips_the_rest(
    engine: Engine, ana: Client
) -> None:
    run_id = failing_beside_a_sibling(engine, ana, pack(SIBLINGS.replace("CONTAINED", "")))
    ended(ana, run_id)
    engine.until(
        lambda: has_entry(ana, run_id, "each[0]::slow", "step.completed"), "slow does not end"
    )

    state = state_of(ana, run_id)

    assert state["status"] == "failed"
    assert statuses(state) == {
        "both": "Failed",
        "bad": "Failed executor-error",
        "each": "Failed run-failed",
        "each[0]::slow": "Succeeded",
        "each[0]::never": "Skipped run-failed",
        "each[0]::inner": "Skipped run-failed",
        "each[0]::nor": "Skipped run-failed",
    }


def test_a_contained_failure_skips_the_steps_beside_it(engine: Engine, ana: Client) -> None:
    inside = textwrap.indent(SIBLINGS.replace("CONTAINED", ""), " " * 10)
    manifest = pack(
        f"""
- id: choice
  continueOnError: true
  conditional:
    branches:
      - condition: "`true`"
        steps:
{inside}
- {{id: after, run: {{uses: builtin:noop}}}}
"""
    )
    run_id = failing_beside_a_sibling(engine, ana, manifest)

    state = ended(ana, run_id)

    assert state["status"] == "succeeded"
    assert statuses(state) == {
        "choice": "Failed",
        "both": "Failed",
        "bad": "Failed executor-error",
        "each": "Failed parent-skipped",
        "each[0]::slow": "Succeeded",
        "each[0]::never": "Skipped parent-skipped",
        "each[0]::inner": "Skipped parent-skipped",
        "each[0]::nor": "Skipped parent-skipped",
        "after": "Succeeded",
    }


@pytest.mark.parametrize(
    ("reasons", "attempts", "status"),
    [("[executor-error]", 2, "Succeeded"), ("[timeout, memory-exceeded]", 1, "Failed")],
)
def test_only_failures_for_the_packs_reasons_are_retried(
    ana: Client, reasons: str, attempts: int, status: str
) -> None:
    steps = f"""
    - id: flaky
      retries: {{maxAttempts: 3, backoffRate: 2, maxBackoffSeconds: 2, jitter: full, on: {reasons}}}
      run: {{uses: builtin:fail, with: {{attempts: 1}}}}
    """
    state = run(ana, pack(steps))

    assert (state["steps"][0]["attempts"], state["steps"][0]["status"]) == (attempts, status)


def test_later_steps_read_why_a_step_failed_or_was_skipped(ana: Client, bob: Client) -> None:
    manifest = pack(
        """
        - {id: bad, continueOnError: true, run: {uses: builtin:fail, with: {message: no luck}}}
        - {id: good, run: {uses: builtin:noop}}
        - {id: skipped, when: steps.good.status == 'Failed', run: {uses: builtin:noop}}
        - {id: review, continueOnError: true, gate: {approval: {id: security}}}
        - id: each
          map:
            items: {static: [a, b]}
            steps:
              - id: inner
                continueOnError: true
                run: {uses: builtin:fail, with: {message: "not {{ item }}"}}
              - {id: report, run: {uses: builtin:noop, with: {why: "{{ steps.inner.error }}"}}}
        - id: after
          run:
            uses: builtin:noop
            with:
              bad: ["{{ steps.bad.statusReason }}", "{{ steps.bad.error }}"]
              good: ["{{ steps.good.statusReason }}", "{{ steps.good.error }}"]
              skipped: ["{{ steps.skipped.statusReason }}", "{{ steps.skipped.error }}"]
              review: ["{{ steps.review.statusReason }}", "{{ steps.review.error }}"]
        """,
        spec="approvals: [{id: security}]",
    )
    run_id = start(ana, manifest)
    decide(bob, run_id, "security", "rejected")
    state = ended(ana, run_id)

    shown = {step["stepId"]: step for step in state["steps"]}
    assert outputs(ana, state, "after") == {
        "bad": ["executor-error", shown["bad"]["errorMessage"]],
        "good": [None, None],
        "skipped": ["condition-false", None],
        "review": ["approval-rejected", None],
    }
    assert "no luck" in shown["bad"]["errorMessage"]
    assert outputs(ana, state, "each[1]::report") == {
        "why": shown["each[1]::inner"]["errorMessage"]
    }
