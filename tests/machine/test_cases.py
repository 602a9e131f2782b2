"""Packs that showed a fault once, with what they do: whole runs on a Step Functions engine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from taskrunner.sandbox.attempt import AttemptResult
from tests.faults.play import RUN_ID, Play
from tests.faults.scenarios import Scenario
from tests.faults.service import service as fresh_service
from tests.faults.world import CountingSandbox
from tests.golden.cases import GOOD
from tests.machine.runs import decide, ended, log, outputs, run, start, statuses
from tests.packs import pack

if TYPE_CHECKING:
    from taskrunner.executors.work import Services
    from taskrunner.sandbox.attempt import AttemptRequest
    from tests.fakes.clock import StoppedClock
    from tests.machine.client import Client

_PACKS = {case.name: case.manifest for case in GOOD}


@dataclass
class _NoPauses(CountingSandbox):
    """A sandbox in which `builtin:sleep` moves the clock and takes no time."""

    clock: StoppedClock | None = None

    def execute(self, request: AttemptRequest, services: Services) -> AttemptResult:
        if request.uses != "builtin:sleep":
            return super().execute(request, services)
        assert self.clock is not None
        self.clock.advance(request.parameters["seconds"])
        return AttemptResult(outputs={"seconds": request.parameters["seconds"]})


def _played(name: str, *, joins_all: bool) -> tuple[dict[str, Any], list[dict[str, Any]], int]:
    """Run a pack on a clock that moves by itself; nobody decides.

    Return the run's state and log at its end, and the status of the answer to a late approval.
    """
    scenario = Scenario(name, _PACKS[name], joins_all=joins_all)
    with fresh_service({}, {}) as service:
        service.sandbox = _NoPauses(clock=service.clock)
        played = Play(scenario, service, {}).play()
        assert played.run is not None
        assert played.is_settled
        body = {"decision": "approved", "planHash": played.run["planHash"]}
        late = service.request("bob", "POST", f"runs/{RUN_ID}/approvals/go", body)
        return played.run, [json.loads(line) for line in played.follower.lines], late.status


def test_nothing_starts_after_a_failed_lane_although_no_lane_is_stopped() -> None:
    state, lines, late = _played("fail-fast", joins_all=True)

    steps = statuses(state)
    events = [line["eventType"] for line in lines]
    failed = events.index("run.failed")
    assert state["status"] == "failed"
    assert "step bad failed" in lines[failed]["message"]
    assert steps["bad"] == "Failed executor-error"
    assert not {"step.started", "gate.awaiting"} & set(events[failed:])
    for step in state["steps"]:
        if step["templateId"] in {"act", "ask", "go-on", "after"}:
            assert statuses(state)[step["stepId"]] == "Skipped run-failed"
        assert step["attempts"] <= 1
    assert late in {404, 409}


def test_each_gate_of_one_approval_expires_60_seconds_after_it_opened() -> None:
    state, lines, late = _played("gates-of-one-approval", joins_all=False)

    opened = _times(lines, "gate.awaiting")
    expired = _times(lines, "gate.expired")
    assert len(set(opened.values())) == 3
    waits_s = {path: (expired[path] - opened[path]).total_seconds() for path in opened}
    assert waits_s == {f"each[{index}]::ask": 60 for index in range(3)}
    assert {statuses(state)[path] for path in opened} == {"Failed approval-expired"}
    assert state["status"] == "succeeded"
    assert late == 409


def _times(lines: list[dict[str, Any]], event: str) -> dict[str, datetime]:
    """Return when *event* happened, by the step."""
    return {
        line["stepId"]: datetime.fromisoformat(line["timestamp"])
        for line in lines
        if line["eventType"] == event
    }


def test_items_that_write_one_path_keep_a_file_each(ana: Client) -> None:
    state = run(ana, _PACKS["items-write-one-path"])

    files = ana("GET", f"runs/{state['runId']}/artifacts").json
    assert state["status"] == "succeeded"
    assert {
        file["name"]: (file["stepId"], file["status"]) for file in files if "stepId" in file
    } == {
        "scan-report.scans-0.scan": ("scans[0]::scan", "captured"),
        "scan-report.scans-1.scan": ("scans[1]::scan", "captured"),
        "scan-report.scans-2.scan": ("scans[2]::scan", "captured"),
        "bundle.bundle": ("bundle", "captured"),
        "bundle": ("bundle2", "captured"),
    }
    assert len({file["storedPath"] for file in files}) == len(files)
    assert len({file["sha256"] for file in files}) == len(files)


def test_a_merge_of_numbers_fails_its_loop(ana: Client) -> None:
    state = run(ana, _PACKS["merge-non-objects"])

    loop = state["steps"][0]
    assert state["status"] == "failed"
    assert statuses(state)["l"] == "Failed executor-error"
    assert loop["errorMessage"] == (
        "the value of iteration 0 must be an object to be merged, not a number"
    )
    ana.engine.rest()  # the outputs of a failed run are recorded after its end
    artifacts = ana("GET", f"runs/{state['runId']}/artifacts").json
    assert {item["name"]: item["status"] for item in artifacts} == {
        "evidence-bundle": "captured",
        "r": "failed",
    }


def test_a_gate_without_a_message_is_listed_and_keeps_the_reason(ana: Client, bob: Client) -> None:
    run_id = start(ana, _PACKS["gate-without-message"])
    ana.engine.wait(ana, run_id, "waiting")
    open_gates = bob("GET", "approvals").json
    decide(bob, run_id, "review", summary="looked at it")

    state = ended(ana, run_id)

    (gate,) = open_gates["approvals"]
    assert (gate["runId"], gate["approvalId"]) == (run_id, "review")
    assert "message" not in gate
    assert statuses(state) == {"ask": "Succeeded", "go": "Succeeded"}
    approved = next(line for line in log(ana, run_id) if line["eventType"] == "gate.approved")
    assert approved["metadata"]["approver"] == "bob"
    assert approved["metadata"]["summary"] == "looked at it"


def test_line_separators_stay_in_texts(ana: Client) -> None:
    state = run(ana, _PACKS["line-separators"])

    assert outputs(ana, state, "a") == {"t": "x\x85y", "u": "x \u2028 y"}


def test_default_names_of_an_inner_block_hide_those_around_it(ana: Client) -> None:
    manifest = pack(
        """
        - id: outer
          loop:
            items: {static: [{hosts: [{name: a}, {name: b}]}, {hosts: [{name: c}]}]}
            body:
              - id: inner
                map:
                  items: item.hosts
                  step: {id: leaf, run: {uses: builtin:noop, with: "{{ item }}"}}
        - id: whole
          run:
            uses: builtin:noop
            with: "{{ {names: steps.outer.outputs.results[].results[].name} }}"
        - id: check
          run:
            uses: builtin:assert
            with: {that: "{{ steps.whole.outputs.names == ['a', 'b', 'c'] }}"}
        """
    )

    assert statuses(run(ana, manifest))["check"] == "Succeeded"


def test_a_with_that_becomes_no_object_fails_its_step(ana: Client) -> None:
    state = run(ana, pack("- {id: a, run: {uses: builtin:noop, with: '{{ run.id }}'}}"))

    assert statuses(state) == {"a": "Failed executor-error"}
