"""One step of a run as the API shows it: outputs, error, attempts and times."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import AttemptFailedError, NotFoundError, StepFailedError
from taskrunner.model.flow import Question
from taskrunner.model.run import StepReference
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.decide_flow import decide_flow
from taskrunner.usecases.read_step import run_step_state
from tests.packs import pack
from tests.unit.usecases.scenarios import GATED, TENANT, a_world, gate, step

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld

RETRIED = pack(
    """
    - id: flaky
      retries: {maxAttempts: 2, backoffSeconds: 30}
      run: {uses: builtin:fail, with: {message: "not yet", attempts: 1}}
    - id: lost
      run: {uses: builtin:fail, with: {message: "no disk"}}
    """
)
MAPPED = pack(
    """
    - id: scans
      map:
        items: {range: {start: 1, end: 3}}
        step: {id: scan, run: {uses: builtin:noop, with: {n: "{{ item }}"}}}
    """
)


def detail(world: MemoryWorld, path: str, tenant: str = TENANT) -> dict[str, Any]:
    return run_step_state(tenant, "run-7", path, world)


def test_shows_the_outputs_and_times_of_a_step_that_succeeded() -> None:
    world = a_world(GATED)
    step(world, "build")

    shown = detail(world, "build")

    times = shown["startedAt"], shown["endedAt"]
    assert shown == {
        "stepId": "build",
        "templateId": "build",
        "kind": "Run",
        "uses": "builtin:noop",
        "enabled": True,
        "continueOnError": False,
        "status": "Succeeded",
        "attempts": 1,
        "lastTransitionAt": times[1],
        "startedAt": times[0],
        "endedAt": times[1],
        "outputs": {"size": 3},
        "attemptHistory": [
            {"attempt": 1, "status": "Succeeded", "startedAt": times[0], "endedAt": times[1]}
        ],
    }


def test_shows_each_attempt_with_its_times_and_failure() -> None:
    world = a_world(RETRIED)
    with pytest.raises(AttemptFailedError):
        step(world, "flaky")
    world.clock.advance(40)
    between = detail(world, "flaky")
    step(world, "flaky")

    shown = detail(world, "flaky")

    first, second = shown["attemptHistory"]
    assert (between["status"], between["attemptHistory"]) == ("Pending", [first])
    assert "outputs" not in between
    assert (first["status"], first["reason"]) == ("Failed", "executor-error")
    assert "not yet" in first["message"]
    assert first["startedAt"] <= first["endedAt"] < first["nextAttemptAt"] < second["startedAt"]
    assert (second["attempt"], second["status"]) == (2, "Succeeded")
    assert (shown["startedAt"], shown["endedAt"]) == (first["startedAt"], second["endedAt"])
    assert shown["outputs"] == {"attempt": 2}
    assert shown["retries"] == {"maxAttempts": 2, "backoffSeconds": 30}
    assert "error" not in shown


def test_shows_the_error_of_a_step_that_failed() -> None:
    world = a_world(RETRIED)
    with pytest.raises(StepFailedError):
        step(world, "lost")

    shown = detail(world, "lost")

    assert shown["status"] == "Failed"
    assert shown["error"]["reason"] == "executor-error"
    assert "no disk" in shown["error"]["message"]
    assert "outputs" not in shown


def test_shows_an_iteration_and_the_block_around_it() -> None:
    world = a_world(MAPPED)
    for number in range(3):
        step(world, "scan", iteration=f"scans[{number}]::")

    assert detail(world, "scans[1]::scan")["outputs"] == {"n": 2}
    assert detail(world, "scans[1]::scan")["parentId"] == "scans"
    assert detail(world, "scans")["outputs"] == {
        "results": [{"n": 1}, {"n": 2}, {"n": 3}],
        "statuses": ["Succeeded"] * 3,
    }


def test_a_block_has_started_with_the_first_step_in_it() -> None:
    world = a_world(MAPPED)
    assert "startedAt" not in detail(world, "scans")

    for number in (2, 0, 1):
        world.clock.advance(60)
        step(world, "scan", iteration=f"scans[{number}]::")

    shown = detail(world, "scans")
    assert shown["startedAt"] == detail(world, "scans[2]::scan")["startedAt"]
    assert shown["endedAt"] == detail(world, "scans[1]::scan")["endedAt"]
    assert shown["startedAt"] < shown["endedAt"]


def test_omits_outputs_that_do_not_fit_into_an_answer() -> None:
    large = "x" * 60_000
    world = a_world(
        pack(
            f"""
            - id: all
              map:
                items: {{range: {{start: 1, end: 80}}}}
                step: {{id: one, run: {{uses: builtin:noop, with: {{text: {large}}}}}}}
            """
        )
    )
    for number in range(80):
        step(world, "one", iteration=f"all[{number}]::")

    shown = detail(world, "all")

    assert "outputs" not in shown
    assert shown["outputsOmitted"] is True
    assert len(detail(world, "all[0]::one")["outputs"]["text"]) == len(large)


def test_shows_a_gate_that_waits_and_one_that_was_cancelled() -> None:
    world = a_world(GATED)
    step(world, "build")
    gate(world)

    waiting = detail(world, "review")
    world.clock.advance(60)
    cancel_run(TENANT, "run-7", "bob", world)
    cancelled = detail(world, "review")

    assert (waiting["status"], waiting["statusReason"]) == ("Pending", "awaiting-approval")
    assert "endedAt" not in waiting
    assert waiting["startedAt"] == waiting["lastTransitionAt"] == cancelled["startedAt"]
    assert (cancelled["status"], cancelled["statusReason"]) == ("Skipped", "cancelled")
    assert cancelled["endedAt"] == cancelled["lastTransitionAt"]
    assert cancelled["attemptHistory"] == []


def test_shows_each_evaluation_of_a_policy() -> None:
    world = a_world(
        pack(
            "- {id: look, gate: {policy: {policy: small, failureAction: warn}}}",
            spec="policies: [{id: small, version: '1', rules: "
            "[{id: size, require: inputs.size < `3`, message: too large}]}]\n"
            "inputs: [{name: size, type: integer, default: 9}]",
        )
    )
    decide_flow(StepReference(TENANT, "run-7", "look"), Question.POLICY, world)

    (evaluation,) = detail(world, "look")["attemptHistory"]

    assert (evaluation["attempt"], evaluation["status"]) == (1, "Failed")
    assert "too large" in evaluation["message"]


@pytest.mark.parametrize(
    "path", ["nothing", "scan", "scans[3]::scan", "scans[0]::", "", "a b", "ä"]
)
def test_does_not_find_a_step_that_the_run_does_not_have(path: str) -> None:
    with pytest.raises(NotFoundError):
        detail(a_world(MAPPED), path)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("scna", "did you mean 'scan'?"),
        ("scans[0]::sccan", "did you mean 'scan'?"),
        ("nothing", "available: late, lates, scan, scans"),
        ("scan", "the first one is called scans[0]::scan"),
        ("scans[3]::scan", "the first one is called scans[0]::scan"),
        ("scans[0]::lates", "it is called lates"),
        ("lates[0]::late", "no iteration of 'lates' has come to it"),
    ],
)
def test_says_which_step_a_wrong_id_may_mean(path: str, hint: str) -> None:
    late = """
    - id: lates
      map: {items: run.id, step: {id: late, run: {uses: builtin:noop}}}
    """
    with pytest.raises(NotFoundError) as refused:
        detail(a_world(MAPPED + textwrap.indent(textwrap.dedent(late), "    ")), path)

    assert str(refused.value) == f"step {path} in run run-7 not found; {hint}"


def test_does_not_find_a_step_of_another_tenant() -> None:
    with pytest.raises(NotFoundError):
        detail(a_world(MAPPED), "scans", tenant="globex")
