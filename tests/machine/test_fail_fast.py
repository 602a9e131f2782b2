"""The effect of a failure in one lane on the other lanes, whatever the engine goes on to do.

No test here relies on the engine to stop lanes: what is recorded decides whether anything starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.adapters.machine_events import has_timed_out, step_reference
from tests.machine.runs import (
    decide,
    decide_now,
    ended,
    has_entry,
    log,
    outputs,
    run,
    start,
    state_of,
    statuses,
    wait_for_gates,
)
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
                - {id: wait, run: {uses: builtin:noop}}
                - {id: bad, run: {uses: builtin:fail, with: {message: boom}}}
          - id: slow
            loop:
              items: {static: [1, 2, 3]}
              body:
                - {id: nap, run: {uses: "lambda:nap"}}
                - {id: act, run: {uses: builtin:noop}}
          - id: gated
            loop:
              items: {static: [1]}
              body:
                - {id: ask, gate: {approval: {id: go}}}
                - {id: go-on, run: {uses: builtin:noop}}
          - id: retry
            retries: {maxAttempts: 3, backoffSeconds: 0}
            run: {uses: builtin:fail, with: {message: again}}
    - {id: after, run: {uses: builtin:noop}}
    """,
    spec="approvals: [{id: go}]",
)


class HeldLanes:
    """Holds the lanes of LANES so that each is in the middle of something when `bad` fails."""

    def __init__(self, engine: Engine, ana: Client) -> None:
        self._engine, self._ana = engine, ana
        self._tries = 0
        self.is_tried_again = False
        engine.before["run_step"] = self._hold
        engine.functions["nap"] = self._nap

    def _hold(self, event: dict[str, Any]) -> None:
        reference = step_reference(event)
        if reference.step_id == "bad":
            self._until(reference.run_id, "slow[0]::nap", "step.started")
            self._until(reference.run_id, "gated[0]::ask", "gate.awaiting")
            self._until(reference.run_id, "retry", "step.failed")
            self._engine.until(lambda: self._tries > 1, "retry is not tried again")
        elif reference.step_id == "retry":
            self._tries += 1
            if self._tries > 1:
                self._until(reference.run_id, None, "run.failed")
                self.is_tried_again = True

    def _nap(self, payload: dict[str, Any]) -> dict[str, Any]:
        self._until(payload["run"]["id"], None, "run.failed")
        return {}

    def _until(self, run_id: str, step: str | None, event: str) -> None:
        self._engine.until(
            lambda: has_entry(self._ana, run_id, step, event), f"{step} has no {event}"
        )


def test_nothing_starts_in_any_lane_after_a_failure_that_fails_the_run(
    engine: Engine, ana: Client, bob: Client
) -> None:
    lanes = HeldLanes(engine, ana)
    run_id = start(ana, LANES)
    at_the_end = ended(ana, run_id)

    decided = decide(bob, run_id, "go")
    engine.until(
        lambda: has_entry(ana, run_id, "slow[0]::nap", "step.completed"), "nap does not end"
    )
    engine.until(lambda: lanes.is_tried_again, "retry is not tried again")
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


REMAINING = """
- id: each
  continueOnError: CONTINUES
  map: {items: "`[0, 1, 2]`", maxParallel: 1, failFast: FAST, step: LEAF}
- id: turns
  continueOnError: CONTINUES
  loop: {items: {static: [0, 1, 2]}, iterator: item, failFast: FAST, body: [LEAF]}
- id: until
  continueOnError: CONTINUES
  loop: {items: {static: [0, 1, 2]}, until: index == `9`, failFast: FAST, body: [LEAF]}
"""
LEAF = '{id: X, run: {uses: builtin:assert, with: {that: "{{ item != `1` }}"}}}'


def remaining(*, continues: str, fast: str) -> dict[str, str]:
    """Return the blocks by id, each followed by a step; the second item of three fails."""
    parts = REMAINING.replace("CONTINUES", continues).replace("FAST", fast).split("- id: ")[1:]
    return {
        part.split("\n")[0]: f"- id: {part.replace('LEAF', LEAF)}".replace("X", f"leaf{number}")
        for number, part in enumerate(parts)
    }


def test_the_first_failure_stops_the_remaining_items_and_the_run_goes_on(ana: Client) -> None:
    blocks = remaining(continues="true", fast="true")
    state = run(ana, pack("".join(blocks.values()) + "- {id: after, run: {uses: builtin:noop}}"))

    steps = statuses(state)
    assert state["status"] == "succeeded"
    assert steps["after"] == "Succeeded"
    for number, block in enumerate(blocks):
        assert steps[block] == "Failed"
        assert steps[f"{block}[0]::leaf{number}"] == "Succeeded"
        assert steps[f"{block}[1]::leaf{number}"] == "Failed executor-error"
        skipped = None if block == "until" else "Skipped parent-skipped"
        assert steps.get(f"{block}[2]::leaf{number}") == skipped


@pytest.mark.parametrize("number", range(3))
def test_the_remaining_items_run_before_the_block_and_the_run_fail(
    ana: Client, number: int
) -> None:
    block, text = list(remaining(continues="false", fast="false").items())[number]
    state = run(ana, pack(f"{text}- {{id: after, run: {{uses: builtin:noop}}}}"))

    ends = ["Succeeded", "Failed executor-error", "Succeeded"]
    assert state["status"] == "failed"
    assert statuses(state) == {
        block: "Failed executor-error",
        **{f"{block}[{item}]::leaf{number}": end for item, end in enumerate(ends)},
        "after": "Skipped run-failed",
    }
    assert state["steps"][0]["errorMessage"] == f"failed in {block}[1]::leaf{number}"
    assert log(ana, state["runId"])[-1]["message"].endswith(f"step {block} failed.")


WAITING = pack(
    """
    - id: lanes
      parallel:
        steps:
          - id: each
            map:
              items: {static: [0, 1]}
              failFast: false
              steps:
                - {id: check, run: {uses: builtin:assert, with: {that: "{{ item == `1` }}"}}}
                - {id: ask, gate: {approval: {id: inside}}}
                - {id: act, run: {uses: builtin:noop}}
          - id: beside
            loop:
              items: {static: [1]}
              body:
                - {id: ask-too, gate: {approval: {id: beside}}}
                - {id: act-too, run: {uses: builtin:noop}}
    """,
    spec="approvals: [{id: inside}, {id: beside}]",
)


def test_other_lanes_go_on_until_a_block_fails_at_its_end(
    engine: Engine, ana: Client, bob: Client
) -> None:
    run_id, cancelled = start(ana, WAITING), start(ana, WAITING)
    for waiting in (run_id, cancelled):
        for path, event in [("each[0]::check", "step.failed"), ("each[1]::ask", "gate.awaiting")]:
            engine.until(
                lambda waiting=waiting, path=path, event=event: has_entry(  # type: ignore[misc]
                    ana, waiting, path, event
                ),
                f"{path} has no {event}",
            )
    assert decide(bob, run_id, "beside").status == 200
    engine.until(
        lambda: has_entry(ana, run_id, "beside[0]::act-too", "step.completed"), "a lane stopped"
    )
    assert state_of(ana, run_id)["status"] == "waiting"
    assert decide(bob, run_id, "inside").status == 200
    ana("POST", f"runs/{cancelled}/cancel", {})

    steps = statuses(ended(ana, run_id))
    assert steps["each[0]::act"] == "Skipped parent-skipped"
    assert steps["each[1]::act"] == "Succeeded"
    assert steps["each"] == "Failed executor-error"
    assert steps["beside"] == "Succeeded"
    assert state_of(ana, run_id)["status"] == "failed"
    steps = statuses(ended(ana, cancelled))
    assert steps["each[1]::ask"] == steps["beside[0]::ask-too"] == "Skipped cancelled"
    assert steps["each[0]::check"] == "Failed executor-error"


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

    had_expired: list[bool] = []

    def nap_after_the_first_gate_has_opened(event: dict[str, Any]) -> None:
        reference = step_reference(event)
        if reference.path == "each[1]::nap":
            until(reference.run_id, 0, "gate.awaiting")

    def look_when_the_second_gate_expires(event: dict[str, Any]) -> None:
        reference = step_reference(event)
        if has_timed_out(event) and reference.path == "each[1]::ask":
            until(reference.run_id, 0, "gate.expired")
            had_expired.append(has_entry(ana, reference.run_id, reference.path, "gate.expired"))

    def until(run_id: str, index: int, event: str) -> None:
        path = f"each[{index}]::ask"
        engine.until(lambda: has_entry(ana, run_id, path, event), f"{path} has no {event}")

    engine.before["run_step"] = nap_after_the_first_gate_has_opened
    engine.before["open_gate"] = look_when_the_second_gate_expires
    state = run(ana, manifest)

    assert statuses(state)["each[0]::ask"] == "Failed approval-expired"
    assert statuses(state)["each[1]::ask"] == "Failed approval-expired"
    assert had_expired == [False]


STOPPED = """
- id: each
  continueOnError: true
  map:
    items: {static: [stopped, rejected, skipped]}
    failFast: true
    steps:
      - {id: work, when: item != 'skipped', run: {uses: builtin:noop}}
      - {id: ask, when: item != 'skipped', gate: {approval: {id: go}}}
      - {id: ship, when: item != 'skipped', run: {uses: builtin:noop}}
- {id: after, run: {uses: builtin:noop, with: {read: "{{ steps.each.outputs.statuses }}"}}}
"""


def test_an_item_that_was_stopped_after_it_had_begun_has_not_succeeded(
    ana: Client, bob: Client
) -> None:
    """A later step may ship, or roll back, what the statuses report as done."""
    run_id = start(ana, pack(STOPPED, spec="approvals: [{id: go, scope: gate}]"))
    wait_for_gates(ana, run_id, "go", 2)

    assert decide_now(bob, run_id, "go", "rejected", stepId="each[1]::ask").status == 200

    state = ended(ana, run_id)
    assert statuses(state)["each[0]::work"] == "Succeeded"
    assert statuses(state)["each[0]::ship"] == "Skipped parent-skipped"
    assert outputs(ana, state, "after")["read"] == ["Failed", "Failed", "Skipped"]
