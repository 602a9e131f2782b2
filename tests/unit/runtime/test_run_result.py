"""The end of a run as its execution shows it: the step and the reason, and no text of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.errors import StartRefusedError
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.settle_run import not_started, settle_run
from tests.packs import pack
from tests.unit.usecases.scenarios import TENANT, a_world, result_of, step

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld

BROKEN = "run: {uses: builtin:fail, with: {message: of-the-executor}}"


def settled(world: MemoryWorld, error: str | None = None) -> dict[str, object]:
    return settle_run(TENANT, "run-7", error, world)


def failed(error: str, cause: str) -> dict[str, object]:
    return {"status": "failed", "error": error, "cause": cause}


def test_a_succeeded_run_has_neither_error_nor_cause() -> None:
    world = a_world()
    step(world, "ship")

    assert settled(world) == {"status": "succeeded"}


def test_a_failed_run_names_the_step_inside_the_blocks_and_its_reason() -> None:
    world = a_world(pack(f"- {{id: lanes, parallel: {{steps: [{{id: ship, {BROKEN}}}]}}}}"))
    result_of(lambda: step(world, "ship"))

    answer = settled(world, "StepFailedError")

    assert answer == failed("executor-error", "step ship failed: executor-error")
    assert settled(world, "States.Timeout") == answer


def test_a_step_whose_failure_was_let_pass_is_not_named() -> None:
    world = a_world(pack(f"- {{id: ship, continueOnError: true, {BROKEN}}}"))
    result_of(lambda: step(world, "ship"))

    expected = failed("RunFailed", "Run failed: its execution ended with States.Timeout.")
    assert settled(world, "States.Timeout") == expected


def test_a_run_that_could_not_be_started_says_why() -> None:
    world = a_world()

    error = not_started(StartRefusedError("InvalidDefinition", for_good=True))

    message = (
        "Run failed: its execution could not be started; AWS refused it with InvalidDefinition."
    )
    assert settled(world, error) == failed("RunFailed", message)


def test_a_run_whose_plan_has_expired_says_so() -> None:
    world = a_world()
    world.plans.texts.clear()

    assert settled(world) == failed("RunFailed", "Run failed: its plan has expired.")


def test_a_cancelled_run_says_so() -> None:
    world = a_world()
    cancel_run(TENANT, "run-7", "bob", world)

    expected = {"status": "cancelled", "error": "RunCancelled", "cause": "the run was cancelled"}
    assert settled(world) == expected
