"""`run.now`: the time when a step is reached, which stays the same when the step is repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from taskrunner.errors import AttemptFailedError, InvalidPackError
from taskrunner.model.flow import Question
from taskrunner.model.run import StepReference, StepStatus
from taskrunner.model.state.fold import fold
from taskrunner.usecases.decide_flow import decide_flow
from taskrunner.usecases.settle_run import settle_run
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    NOON,
    TENANT,
    a_world,
    assert_recovers,
    entry_ids,
    gate,
    step,
)

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld

BEFORE_ONE = "run.now < '2025-12-06T13:00:00.000Z'"
HOUR = 3600


def ask(world: MemoryWorld, question: Question, step_id: str, prefix: str = "") -> Any:  # noqa: ANN401
    return decide_flow(StepReference(TENANT, "run-7", step_id, prefix), question, world)["value"]


def outputs(world: MemoryWorld, path: str) -> Any:  # noqa: ANN401 - any JSON
    return world.runs.outcomes(TENANT, "run-7", [path])[path].outputs


def status(world: MemoryWorld, path: str) -> StepStatus:
    stored = world.runs.snapshot(TENANT, "run-7").run
    entries = [placed.entry for placed in world.runs.journal(TENANT, "run-7")]
    plan = world.plans.get(TENANT, stored.plan_hash)
    state = fold(plan, entries, stored.created_at)
    return next(step.status for step in state.steps if step.path == path)


def test_is_when_the_step_is_reached_and_not_when_the_run_was_created() -> None:
    world = a_world(pack('- {id: ship, run: {uses: builtin:noop, with: {at: "{{ run.now }}"}}}'))
    world.clock.advance(HOUR)

    step(world, "ship")

    assert outputs(world, "ship") == {"at": "2025-12-06T13:00:00.000Z"}
    assert entry_ids(world)[:4] == ["run.created", "run.started", "ship#time", "ship#1#started"]
    assert status(world, "ship") is StepStatus.SUCCEEDED


def test_a_second_attempt_has_the_time_of_the_first() -> None:
    steps = """
    - id: ship
      when: WHEN
      retries: {maxAttempts: 2}
      run: {uses: builtin:fail, with: {message: "at {{ run.now }}", attempts: 1}}
    """.replace("WHEN", BEFORE_ONE)
    world = a_world(pack(steps))

    with pytest.raises(AttemptFailedError):
        step(world, "ship", is_retry=False)
    world.clock.advance(2 * HOUR)
    step(world, "ship")

    assert entry_ids(world).count("ship#time") == 1
    assert world.runs.journal(TENANT, "run-7")[-1].entry.id == "ship#2#ended"
    messages = [placed.entry.message for placed in world.runs.journal(TENANT, "run-7")]
    assert any(NOON in message for message in messages)


def test_a_step_that_does_not_read_it_records_no_time() -> None:
    world = a_world(pack('- {id: ship, run: {uses: builtin:noop, with: {at: "{{ run.id }}"}}}'))

    step(world, "ship")

    assert "ship#time" not in entry_ids(world)


@pytest.mark.parametrize("hours", [0, 2])
def test_decides_a_condition_once(hours: int) -> None:
    world = a_world(pack(f'- {{id: ship, when: "{BEFORE_ONE}", run: {{uses: builtin:noop}}}}'))
    world.clock.advance(hours * HOUR)

    first = ask(world, Question.CONDITION, "ship")
    world.clock.advance(2 * HOUR)

    assert first is (hours == 0)
    assert ask(world, Question.CONDITION, "ship") is first
    if not first:
        assert status(world, "ship") is StepStatus.SKIPPED


def test_a_gate_that_is_skipped_by_the_time_stays_skipped() -> None:
    spec = "approvals: [{id: security, grants: [packs.approve]}]"
    review = f'- {{id: review, when: "!({BEFORE_ONE})", gate: {{approval: {{id: security}}}}}}'
    world = a_world(pack(review, spec=spec))

    assert gate(world) == {"status": "skipped"}
    world.clock.advance(2 * HOUR)

    assert gate(world, token="token-2") == {"status": "skipped"}


def test_a_policy_is_evaluated_at_the_time_of_each_evaluation() -> None:
    """Else a gate that waits for a change window would never open."""
    spec = f"""
    policies:
      - {{id: window, version: "1", rules: [{{id: later, require: "!({BEFORE_ONE})"}}]}}
    """
    steps = (
        "- {id: wait, gate: {policy: {policy: window, retries: {count: 3, backoffSeconds: 60}}}}"
    )
    world = a_world(pack(steps, spec=spec))

    first = ask(world, Question.POLICY, "wait")
    world.clock.advance(2 * HOUR)

    assert (first, ask(world, Question.POLICY, "wait")) == ("retry", "passed")


def test_until_is_evaluated_at_the_end_of_each_iteration_and_its_end_is_final() -> None:
    steps = """
    - id: poll
      loop:
        items: {range: {end: 9}}
        until: "run.now == '2025-12-06T13:00:00.000Z'"
        body: [{id: look, run: {uses: builtin:noop}}]
    """
    world = a_world(pack(steps))

    assert ask(world, Question.TURN, "poll")["path"] == "poll[0]::"
    assert ask(world, Question.TURN, "poll", "poll[0]::")["path"] == "poll[1]::"
    world.clock.advance(HOUR)
    assert ask(world, Question.TURN, "poll", "poll[1]::")["next"] == "end"
    world.clock.advance(HOUR)
    assert ask(world, Question.TURN, "poll", "poll[1]::")["next"] == "end"


def test_an_output_of_the_pack_has_the_time_of_the_runs_end() -> None:
    spec = """
    outputs: [{name: end, type: object, expression: "{at: run.now, by: run.createdBy}"}]
    """
    world = a_world(pack("- {id: ship, run: {uses: builtin:noop}}", spec=spec))
    step(world, "ship")
    world.clock.advance(HOUR)

    settle_run(TENANT, "run-7", None, world)

    end = next(item for item in world.artifacts.list(TENANT, "run-7") if item.name == "end")
    assert end.expression_json == '{"at":"2025-12-06T13:00:00.000Z","by":"ana"}'


def test_recovers_from_any_failure_at_any_call() -> None:
    manifest = pack(f'- {{id: ship, when: "!({BEFORE_ONE})", run: {{uses: builtin:noop}}}}')

    ways = assert_recovers(
        lambda: a_world(manifest),
        lambda world: ask(cast("MemoryWorld", world), Question.CONDITION, "ship"),
    )

    assert ways > 10


def test_the_value_of_an_iteration_cannot_read_it() -> None:
    steps = """
    - id: each
      loop:
        items: {range: {end: 1}}
        outputs: "{at: run.now}"
        body: [{id: look, run: {uses: builtin:noop}}]
    """
    with pytest.raises(InvalidPackError) as caught:
        a_world(pack(steps))

    (found,) = caught.value.diagnostics
    assert found.path == "$.spec.steps[0].loop.outputs"
    assert "run.now is the time when a step is reached" in found.message
