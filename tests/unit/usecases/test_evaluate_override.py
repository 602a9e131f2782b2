"""Policies that take secrets or a function, before their gates are handed on to open_gate."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import AttemptFailedError, StepFailedError, TryAgainError
from taskrunner.model.approval import Verdict
from taskrunner.model.run import StepReference
from taskrunner.usecases.enter_gate import enter_gate
from taskrunner.usecases.evaluate_override import evaluate_override
from tests.packs import pack
from tests.unit.usecases.scenarios import TENANT, a_world, entry_ids

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld

GATE = StepReference(TENANT, "run-7", "g")


def a_gate(gate: str = "", policy: str = "", spec: str = "") -> str:
    """Return a pack with the gate `g`, whose policy is decided by the function `window`."""
    return pack(
        f"""
        - id: g
          {gate}
          gate:
            policy:
              {{policy: p, {policy} failureAction: requestOverride, override: {{approval: a}}}}
        """,
        spec=f"""
        approvals: [{{id: a}}]
        policies: [{{id: p, version: "1", uses: "lambda:window"}}]
        {spec}
        """,
    )


def world_where(passed: bool, manifest: str = "", takes_s: int = 0) -> MemoryWorld:  # noqa: FBT001
    """Return a world whose function `window` answers *passed* after so many seconds."""
    world = a_world(manifest or a_gate())

    def window(_: Any) -> Any:  # noqa: ANN401 - any JSON
        world.clock.time += timedelta(seconds=takes_s)
        return {"passed": passed}

    world.functions.functions["window"] = window
    return world


def evaluate(world: MemoryWorld, call: str = "first", *, late: bool = False) -> None:
    """Call the function as the machine does, with a task token that is named after the call."""
    evaluate_override(GATE, call, world, remaining_s=900, has_timed_out=late)


@pytest.mark.parametrize(
    ("passed", "woken", "status"),
    [(True, {"first": Verdict.APPROVED}, "passed"), (False, {}, "open")],
)
def test_hands_the_gate_on_by_its_verdict(
    woken: dict[str, Verdict], status: str, *, passed: bool
) -> None:
    world = world_where(passed)

    evaluate(world)

    assert world.overrides.entered == [("g", "first")]
    # open_gate reads the verdict, and calls no function.
    assert enter_gate(GATE, "first", world) == {"status": status}
    assert world.approvals.woken == woken
    assert len(world.functions.calls) == 1


def test_hands_on_a_gate_that_is_skipped_without_an_evaluation() -> None:
    world = world_where(False, a_gate(gate="when: run.id == 'other'"))

    evaluate(world)

    assert enter_gate(GATE, "first", world) == {"status": "skipped"}
    assert world.functions.calls == []


def test_evaluates_as_often_as_the_pack_says_and_then_hands_the_gate_on() -> None:
    world = world_where(False, a_gate(policy="retries: {count: 1},"))

    with pytest.raises(AttemptFailedError):
        evaluate(world)
    assert world.overrides.entered == []
    evaluate(world, "second")

    assert world.overrides.entered == [("g", "second")]
    assert entry_ids(world)[-2:] == ["g#1#policy", "g#2#policy"]


def test_a_repeated_call_evaluates_nothing_and_hands_on_the_newer_token() -> None:
    world = world_where(False)

    evaluate(world)
    evaluate(world, "newer", late=True)

    assert len(world.functions.calls) == 1
    assert world.overrides.entered == [("g", "first"), ("g", "newer")]
    assert world.overrides.timed_out == {"newer"}


def test_a_slow_evaluation_takes_no_time_from_the_approvers() -> None:
    """The machine's limit counts from the call on, so the next call opens the gate."""
    world = world_where(False, takes_s=30)

    with pytest.raises(TryAgainError):
        evaluate(world)
    assert world.overrides.entered == []
    evaluate(world, "newer")

    assert world.overrides.entered == [("g", "newer")]
    assert len(world.functions.calls) == 1


def test_a_slow_policy_that_holds_lets_the_run_go_on_at_once() -> None:
    world = world_where(True, takes_s=30)

    evaluate(world)

    assert world.overrides.entered == [("g", "first")]


def test_a_policy_without_its_secret_fails_the_gate_and_is_not_overridden() -> None:
    manifest = a_gate(policy="with: {t: '{{ secrets.token }}'},", spec="secrets: [{name: token}]")
    world = world_where(True, manifest)

    with pytest.raises(StepFailedError):
        evaluate(world)

    assert world.overrides.entered == []
