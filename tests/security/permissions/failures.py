"""Failures beside a gate that waits: whoever records one answers the gate's task token too."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from taskrunner.adapters.machine_events import step_reference
from taskrunner.model import timestamp
from taskrunner.model.entries.step_entries import attempt_started
from taskrunner.model.state.fold import LONGEST_ATTEMPT
from tests.machine.runs import ended
from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.machine.client import Client

_DEADLINE_S: Final = 240.0
_HELD, _DECIDED = "held", "decided"
_BAD: Final = "{id: other, run: {uses: builtin:fail, with: {message: broken}}}"
_UNDECIDABLE: Final = (
    '{id: other, when: "length(steps.before.outputs.n) == `1`", '
    "parallel: {steps: [{id: inside, run: {uses: builtin:noop}}]}}"
)
_DECIDED_INSIDE: Final = pack(
    """
    - {id: before, run: {uses: builtin:noop, with: {n: 1}}}
    - id: outer
      continueOnError: true
      parallel:
        steps:
          - id: lanes
            parallel:
              steps:
                - {id: beside, run: {uses: builtin:noop}}
                - id: choice
                  conditional:
                    branches:
                      - condition: steps.before.outputs.n
                        steps: [{id: chosen, run: {uses: builtin:noop}}]
    """,
    name="deciding",
)
_GATE: Final = f"{{id: other, gate: {{approval: {{id: {_DECIDED}}}}}}}"


def play_failures(ana: Client, bob: Client) -> None:
    """Let each function that can record a failure do so, in a block that contains it and not.

    A decision in such a block checks that no failure has stopped it.
    """
    assert ended(ana, _create(ana, _DECIDED_INSIDE))["status"] == "succeeded"
    for contains in (True, False):
        _fail_beside_a_gate(ana, _BAD, "run_step", contains=contains)
        _fail_beside_a_gate(ana, _UNDECIDABLE, "decide_flow", contains=contains)
        _reject(ana, bob, _two_gates(ana, contains=contains))
        _expire(ana, _two_gates(ana, contains=contains))
        _open_on_a_rejected_approval(ana, bob, contains=contains)
        _settle_a_lost_step(ana, contains=contains)


def _manifest(other: str, *, contains: bool, first: str = "") -> str:
    return pack(
        f"""
        - {{id: before, run: {{uses: builtin:noop, with: {{n: 1}}}}}}
        {first}
        - id: outer
          continueOnError: {str(contains).lower()}
          parallel:
            steps:
              - id: lanes
                parallel:
                  steps:
                    - {{id: waits, gate: {{approval: {{id: {_HELD}}}}}}}
                    - {other}
        """,
        spec=f"approvals: [{{id: {_HELD}}}, {{id: {_DECIDED}}}]",
        name="failing",
    )


def _create(ana: Client, manifest: str) -> str:
    answer = ana("POST", "runs", {"manifest": manifest, "inputs": {}})
    assert answer.status == 201, answer.body
    run_id: str = answer.json["runId"]
    return run_id


def _wait_for_gate(ana: Client, run_id: str, approval_id: str) -> None:
    world = ana.engine.world
    run = world.runs.snapshot("tenant-prod", run_id).run
    ana.engine.until(
        lambda: any(world.approvals.waiting(run, approval_id)), f"no gate waits for {approval_id}"
    )


@contextmanager
def _held_back(ana: Client, function: str) -> Iterator[Callable[[], None]]:
    """Let *function* wait with the step `other` until the yielded function is called."""
    released = threading.Event()

    def hold(event: dict[str, Any]) -> None:
        if step_reference(event).step_id == "other":
            assert released.wait(_DEADLINE_S), "nobody released the step"

    ana.engine.before[function] = hold
    try:
        yield released.set
    finally:
        del ana.engine.before[function]


def _fail_beside_a_gate(ana: Client, other: str, function: str, *, contains: bool) -> None:
    """Let *function* fail the step `other` once the gate beside it waits."""
    with _held_back(ana, function) as release:
        run_id = _create(ana, _manifest(other, contains=contains))
        _wait_for_gate(ana, run_id, _HELD)
        release()
        _ends(ana, run_id, contains=contains)


def _two_gates(ana: Client, *, contains: bool) -> tuple[str, bool]:
    run_id = _create(ana, _manifest(_GATE, contains=contains))
    for approval_id in (_HELD, _DECIDED):
        _wait_for_gate(ana, run_id, approval_id)
    return run_id, contains


def _reject(ana: Client, bob: Client, run: tuple[str, bool]) -> None:
    run_id, contains = run
    _decide(bob, run_id)
    _ends(ana, run_id, contains=contains)


def _expire(ana: Client, run: tuple[str, bool]) -> None:
    run_id, contains = run
    event = {"tenant": "tenant-prod", "run": run_id, "step": "other", "path": "", "expired": True}
    with pytest.raises(Exception, match="nobody decided the gate other in time"):
        ana.engine.invoke("open_gate", event)
    # Nobody answers the token of a gate whose time is over. Here its time is not.
    ana("POST", f"runs/{run_id}/cancel")
    state = ended(ana, run_id)
    # The machine may have gone on after the block before the run was cancelled.
    expected = {"cancelled", "succeeded"} if contains else {"failed"}
    assert state["status"] in expected, state


def _open_on_a_rejected_approval(ana: Client, bob: Client, *, contains: bool) -> None:
    first = f"- {{id: first, continueOnError: true, gate: {{approval: {{id: {_DECIDED}}}}}}}"
    with _held_back(ana, "open_gate") as release:
        run_id = _create(ana, _manifest(_GATE, contains=contains, first=first))
        _wait_for_gate(ana, run_id, _DECIDED)
        _decide(bob, run_id)
        _wait_for_gate(ana, run_id, _HELD)
        release()
        _ends(ana, run_id, contains=contains)


def _settle_a_lost_step(ana: Client, *, contains: bool) -> None:
    """Let settle_run end a run whose execution was stopped while a step's function had died."""
    world = ana.engine.world
    with _held_back(ana, "run_step") as release:
        run_id = _create(ana, _manifest(_BAD, contains=contains))
        _wait_for_gate(ana, run_id, _HELD)
        snapshot = world.runs.snapshot("tenant-prod", run_id)
        lost_at = timestamp.to_text(world.clock.now() - 2 * LONGEST_ATTEMPT)
        world.runs.append(snapshot, [attempt_started("other", 1, "builtin:fail", lost_at)])
        world.machines.stop(snapshot.run)
        event = {"tenant": "tenant-prod", "run": run_id, "error": "States.Timeout"}
        assert ana.engine.invoke("settle_run", event)["status"] == "failed"
        release()
    states = {step["stepId"]: step["status"] for step in ended(ana, run_id)["steps"]}
    assert (states["other"], states["waits"]) == ("Failed", "Skipped"), states
    still_open = world.approvals.list_open("tenant-prod", 100, None).items
    assert run_id not in [summary["runId"] for summary in still_open]


def _decide(bob: Client, run_id: str) -> None:
    plan_hash = bob("GET", f"runs/{run_id}").json["planHash"]
    body = {"decision": "rejected", "planHash": plan_hash}
    assert bob("POST", f"runs/{run_id}/approvals/{_DECIDED}", body).status == 200


def _ends(ana: Client, run_id: str, *, contains: bool) -> None:
    state = ended(ana, run_id)
    assert state["status"] == ("succeeded" if contains else "failed"), state
