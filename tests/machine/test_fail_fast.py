"""The effect of a failure in one lane on the other lanes, whatever the engine goes on to do.

No test here relies on the engine to stop lanes: what is recorded decides whether anything starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.machine.runs import decide, ended, has_entry, log, start, state_of, statuses
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.engine import Engine

LANES = pack(
    """
    - id: lanes
      parallel:
        steps:
          - id: late
            loop:
              items: {static: [1]}
              body:
                - {id: wait, run: {uses: builtin:sleep, with: {seconds: 1}}}
                - {id: bad, run: {uses: builtin:fail, with: {message: boom}}}
          - id: slow
            loop:
              items: {static: [1, 2, 3]}
              body:
                - {id: nap, run: {uses: builtin:sleep, with: {seconds: 3}}}
                - {id: act, run: {uses: builtin:noop}}
          - id: gated
            loop:
              items: {static: [1]}
              body:
                - {id: ask, gate: {approval: {id: go}}}
                - {id: go-on, run: {uses: builtin:noop}}
          - id: retry
            retries: {maxAttempts: 3, backoffSeconds: 4}
            run: {uses: builtin:fail, with: {message: again}}
    - {id: after, run: {uses: builtin:noop}}
    """,
    spec="approvals: [{id: go}]",
)


def test_nothing_starts_in_any_lane_after_a_failure_that_fails_the_run(
    engine: Engine, ana: Client, bob: Client
) -> None:
    run_id = start(ana, LANES)
    at_the_end = ended(ana, run_id)

    decided = decide(bob, run_id, "go")
    engine.until(
        lambda: has_entry(ana, run_id, "slow[0]::nap", "step.completed"), "nap does not end"
    )
    engine.rest()

    state = state_of(ana, run_id)
    assert at_the_end["status"] == state["status"] == "failed"
    assert decided.status == 409
    assert decided.json["error"]["code"] == "approval_not_open"
    steps = statuses(state)
    assert steps["late[0]::bad"] == "Failed executor-error"
    assert steps["slow[0]::nap"] == "Succeeded"
    assert steps["slow[0]::act"] == "Skipped run-failed"
    assert steps["gated[0]::ask"] == "Skipped run-failed"
    assert steps["gated[0]::go-on"] == "Skipped run-failed"
    assert steps["retry"] == "Failed executor-error"
    assert steps["after"] == "Skipped run-failed"
    lines = log(ana, run_id)
    events = [line["eventType"] for line in lines]
    failed = events.index("run.failed")
    assert "step late[0]::bad failed" in lines[failed]["message"]
    assert "step.started" not in events[failed:]


def test_each_gate_of_one_approval_waits_its_own_time(engine: Engine, ana: Client) -> None:
    manifest = pack(
        """
        - id: each
          map:
            items: {static: [0, 3]}
            iterator: pause
            steps:
              - {id: nap, run: {uses: "builtin:sleep", with: {seconds: "{{ pause }}"}}}
              - {id: ask, continueOnError: true, gate: {approval: {id: go}}}
        """,
        spec="approvals: [{id: go, expiresAfterSeconds: 60}]",
    )

    run_id = start(ana, manifest)
    for index, event in [(1, "gate.awaiting"), (0, "gate.expired")]:
        path = f"each[{index}]::ask"
        engine.until(
            lambda path=path, event=event: has_entry(ana, run_id, path, event),  # type: ignore[misc]
            f"{path} has no {event}",
        )

    state = ended(ana, run_id)

    steps = {step["stepId"]: step for step in state["steps"]}
    assert statuses(state)["each[0]::ask"] == "Failed approval-expired"
    assert statuses(state)["each[1]::ask"] == "Failed approval-expired"
    expiries = [steps[f"each[{index}]::ask"]["lastTransitionAt"] for index in (0, 1)]
    assert expiries[0][:19] < expiries[1][:19]
