from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import NotFoundError
from taskrunner.model.entries.step_entries import LOST
from taskrunner.model.journal import Event, Level
from taskrunner.model.run import RunStatus
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.read_state import run_state
from taskrunner.usecases.settle_run import NOT_STARTED, settle_run
from tests.fakes.failing_world import CrashError
from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    GATED,
    TENANT,
    a_world,
    assert_recovers,
    entry_ids,
    gate,
    result_of,
    step,
    stored_state,
)

if TYPE_CHECKING:
    from taskrunner.model.artifact import Artifact
    from taskrunner.model.journal import Entry


def _dies(*_: object) -> Any:  # noqa: ANN401
    raise CrashError


def settle(world: MemoryWorld, error: str | None = None) -> Any:  # noqa: ANN401
    return settle_run(TENANT, "run-7", error, world)


def with_a_dead_function(world: MemoryWorld, step_id: str) -> None:
    """Let the function of a step die while it executes the attempt."""
    execute = world.sandbox.execute
    world.sandbox.execute = _dies  # type: ignore[method-assign, assignment]
    result_of(lambda: step(world, step_id))
    world.sandbox.execute = execute  # type: ignore[method-assign]


def last(world: MemoryWorld) -> Entry:
    return world.runs.journal(TENANT, "run-7")[-1].entry


def artifacts(world: MemoryWorld) -> dict[str, Artifact]:
    return {artifact.name: artifact for artifact in world.artifacts.list(TENANT, "run-7")}


def with_output(output: str, steps: str = "- {id: ship, run: {uses: builtin:noop}}") -> str:
    return pack(steps, spec=f"outputs: [{output}]")


class TestOutcome:
    def test_is_succeeded_without_an_error(self) -> None:
        world = a_world()
        step(world, "ship")

        assert settle(world) == {"status": "succeeded"}

        assert world.runs.snapshot(TENANT, "run-7").run.outcome is RunStatus.SUCCEEDED
        assert (last(world).event, last(world).message) == (Event.RUN_COMPLETED, "Run completed.")

    def test_names_the_failed_step_as_the_cause(self) -> None:
        world = a_world(pack("- {id: ship, run: {uses: builtin:fail}}"))
        result_of(lambda: step(world, "ship"))

        assert settle(world, "StepFailedError")["status"] == "failed"

        assert (last(world).event, last(world).level) == (Event.RUN_FAILED, Level.ERROR)
        assert last(world).message == "Run failed: step ship failed."
        assert last(world).metadata == {"error": "StepFailedError"}

    def test_records_the_failure_of_a_step_whose_function_ended_the_run_by_dying(self) -> None:
        world = a_world(pack("- {id: ship, run: {uses: builtin:noop}}"))
        world.sandbox.execute = _dies  # type: ignore[method-assign, assignment]
        result_of(lambda: step(world, "ship"))
        assert entry_ids(world)[-1] == "ship#1#started"

        assert settle(world, "Runtime.ExitError")["status"] == "failed"

        assert entry_ids(world)[-2:] == ["ship#1#ended", "run.ended"]
        lost = world.runs.journal(TENANT, "run-7")[-2].entry
        assert (lost.event, lost.metadata["reason"]) == (Event.STEP_FAILED, "executor-error")
        assert last(world).message == "Run failed: step ship failed."

    def test_does_not_name_a_step_whose_failure_was_let_pass(self) -> None:
        world = a_world(pack("- {id: ship, continueOnError: true, run: {uses: builtin:fail}}"))
        result_of(lambda: step(world, "ship"))

        settle(world, "States.Timeout")

        assert last(world).message == "Run failed: its execution ended with States.Timeout."

    @pytest.mark.parametrize(("begins", "lost"), [(True, "ship#1#ended"), (False, "ship#0#ended")])
    def test_records_a_step_that_was_let_pass_because_its_functions_died(
        self, *, begins: bool, lost: str
    ) -> None:
        world = a_world(
            pack("""
            - {id: ship, continueOnError: true, run: {uses: builtin:noop}}
            - {id: after, run: {uses: builtin:noop}}
            """)
        )
        if begins:
            with_a_dead_function(world, "ship")
        step(world, "after")

        assert settle(world) == {"status": "succeeded"}

        state = run_state(TENANT, "run-7", world)["steps"][0]
        assert entry_ids(world)[-2:] == [lost, "run.ended"]
        assert (state["status"], state["statusReason"]) == ("Failed", "executor-error")
        assert state["attempts"] == int(begins)
        assert state["errorMessage"] == LOST

    def test_records_nothing_of_a_step_that_may_still_finish(self) -> None:
        world = a_world(
            pack("""
            - id: outer
              continueOnError: true
              parallel:
                steps:
                  - id: lanes
                    parallel:
                      steps:
                        - {id: ship, run: {uses: builtin:noop}}
                        - {id: broken, run: {uses: builtin:fail}}
            """)
        )
        with_a_dead_function(world, "ship")
        result_of(lambda: step(world, "broken"))

        settle(world)

        assert "ship#1#ended" not in entry_ids(world)

    def test_names_an_execution_that_could_not_be_started(self) -> None:
        world = a_world()

        assert settle(world, NOT_STARTED)["status"] == "failed"

        assert last(world).event is Event.RUN_SCHEDULE_FAILED

    def test_settling_twice_gives_the_same_answer_and_changes_nothing(self) -> None:
        world = a_world()
        first = settle(world)
        before = stored_state(world)

        assert settle(world, "States.Timeout") == first
        assert stored_state(world) == before

    def test_of_a_cancelled_run_stays_cancelled(self) -> None:
        world = a_world(GATED)
        cancel_run(TENANT, "run-7", "bob", world)
        before = entry_ids(world)

        assert settle(world)["status"] == "cancelled"
        assert (entry_ids(world), set(artifacts(world))) == (before, {"evidence-bundle"})

    def test_is_cancelled_when_the_run_is_cancelled_at_the_same_time(self) -> None:
        world = a_world(GATED)
        end = world.runs.end

        def cancelled_first(*args: Any, **more: Any) -> RunStatus:  # noqa: ANN401
            world.runs.end = end  # type: ignore[method-assign]
            cancel_run(TENANT, "run-7", "bob", world)
            return end(*args, **more)

        world.runs.end = cancelled_first  # type: ignore[method-assign]

        assert settle(world)["status"] == "cancelled"
        assert set(artifacts(world)) == {"evidence-bundle"}

    def test_does_not_find_an_unknown_run(self) -> None:
        with pytest.raises(NotFoundError):
            settle(MemoryWorld())


class TestExecution:
    """EventBridge reports executions. The run that an execution's input names may be another's."""

    def test_of_the_run_ends_it(self) -> None:
        world = a_world()
        run = world.runs.snapshot(TENANT, "run-7").run

        settled = settle_run(
            TENANT, "run-7", "ABORTED", world, execution=f"{run.machine}:{run.execution}"
        )

        assert settled["status"] == "failed"

    @pytest.mark.parametrize("whose", ["{0.machine}:of-an-earlier-run", "of-others:{0.execution}"])
    def test_of_another_run_changes_nothing(self, whose: str) -> None:
        world = a_world()
        before = stored_state(world)
        execution = whose.format(world.runs.snapshot(TENANT, "run-7").run)

        settled = settle_run(TENANT, "run-7", "ABORTED", world, execution=execution)

        assert settled == {"status": "unknown"}
        assert stored_state(world) == before

    def test_of_another_run_lets_an_ended_run_be_sealed(self) -> None:
        world = a_world(GATED)
        cancel_run(TENANT, "run-7", "bob", world)

        settled = settle_run(TENANT, "run-7", "ABORTED", world, execution="of:others")

        assert settled["status"] == "cancelled"
        assert set(artifacts(world)) == {"evidence-bundle"}


class TestOutputs:
    def test_captures_a_value(self) -> None:
        world = a_world(GATED)
        step(world, "build")
        step(world, "ship")

        settle(world)

        captured = artifacts(world)["size"]
        assert captured.status.value == "captured"
        assert captured.expression_json == '{"size":3}'
        assert captured.captured_at == "2025-12-06T12:00:00.000Z"

    def test_a_value_may_read_the_status_of_a_gate(self) -> None:
        manifest = pack(
            "- {id: review, gate: {approval: {id: security}}}",
            spec="""
            approvals: [{id: security}]
            outputs: [{name: how, type: object, expression: "{{ steps.review.status }}"}]
            """,
        )
        world = a_world(manifest)
        gate(world)

        settle(world)

        assert artifacts(world)["how"].expression_json == '"Pending"'

    def test_lists_a_missing_file_as_failed(self) -> None:
        world = a_world(with_output("{name: report, type: file, path: /output/report.json}"))
        step(world, "ship")

        settle(world)

        report = artifacts(world)["report"]
        assert (report.status.value, report.notes) == (
            "failed",
            "no step wrote /output/report.json",
        )

    def test_keeps_a_file_that_was_captured(self) -> None:
        manifest = with_output(
            "{name: zip, type: file, path: /output/bundle.zip}",
            "- {id: ship, run: {uses: builtin:build, with: {files: {a: b}}}}",
        )
        world = a_world(manifest)
        step(world, "ship")
        before = artifacts(world)

        settle(world)

        assert artifacts(world)["zip"] == before["zip"]
        assert before["zip"].status.value == "captured"

    def test_lists_a_value_that_a_failed_run_does_not_have(self) -> None:
        world = a_world(GATED)

        settle(world, "StepFailedError")

        size = artifacts(world)["size"]
        assert (size.status.value, size.notes) == (
            "failed",
            "the run failed before there was a value",
        )

    def test_ends_the_run_when_a_value_cannot_be_evaluated(self) -> None:
        world = a_world(
            with_output('{name: sum, type: object, expression: "{{ sum(steps.ship.status) }}"}')
        )
        step(world, "ship")

        assert settle(world) == {"status": "succeeded"}

        sum_of = artifacts(world)["sum"]
        assert sum_of.status.value == "failed"
        assert "sum" in str(sum_of.notes)

    def test_ends_the_run_when_a_value_is_too_large(self) -> None:
        read = ", ".join(["steps.ship.outputs"] * 5)
        manifest = with_output(
            f'{{name: all, type: object, expression: "{{{{ [{read}] }}}}"}}',
            f"- {{id: ship, run: {{uses: 'builtin:noop', with: {{t: {'x' * 60_000}}}}}}}",
        )
        world = a_world(manifest)
        step(world, "ship")

        assert settle(world) == {"status": "succeeded"}

        size = len(json.dumps([{"t": "x" * 60_000}] * 5, separators=(",", ":")))
        assert artifacts(world)["all"].notes == (
            f"the value has {size} bytes, at most 262144; write a file"
        )


@pytest.mark.parametrize("error", [None, "StepFailedError", NOT_STARTED])
def test_settling_again_after_a_crash_completes_the_end(error: str | None) -> None:
    def arrange() -> MemoryWorld:
        world = a_world(GATED)
        step(world, "build")
        gate(world)
        return world

    ways = assert_recovers(arrange, lambda world: settle_run(TENANT, "run-7", error, world))

    assert ways >= 2 * 2 * 5


def test_two_calls_may_settle_at_the_same_time() -> None:
    world = a_world()
    step(world, "ship")
    end = world.runs.end

    def reconciled_first(*args: Any, **more: Any) -> RunStatus:  # noqa: ANN401
        world.runs.end = end  # type: ignore[method-assign]
        settle(world, "ABORTED")
        return end(*args, **more)

    world.runs.end = reconciled_first  # type: ignore[method-assign]

    assert settle(world)["status"] == "failed"
    assert entry_ids(world).count("run.ended") == 1


class TestExpiredPlan:
    """Retention deletes objects on time, and items of the table up to two days later."""

    @pytest.mark.parametrize("error", [None, "States.Timeout", NOT_STARTED])
    def test_fails_the_run_for_good(self, error: str | None) -> None:
        world = a_world(GATED)
        world.plans.texts.clear()

        assert settle(world, error)["status"] == "failed"
        assert settle(world, error)["status"] == "failed"

        assert last(world).message == "Run failed: its plan has expired."
        assert entry_ids(world).count("run.ended") == 1
        assert artifacts(world) == {}

    def test_does_not_change_an_ended_run(self) -> None:
        world = a_world(GATED)
        cancel_run(TENANT, "run-7", "ana", world)
        world.plans.texts.clear()
        before = entry_ids(world)

        assert settle(world, "ABORTED")["status"] == "cancelled"
        assert entry_ids(world) == before
