from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskrunner.model.machine_call import Execution, ExecutionReport, ExecutionStatus
from taskrunner.model.run import StepStatus
from taskrunner.usecases.cancel_run import cancel_run
from tests.unit.usecases.machine_call_run import (
    CALLING,
    call,
    called,
    execution,
    job_is_done,
    report_end,
)
from tests.unit.usecases.scenarios import (
    TENANT,
    assert_recovers,
    entry_ids,
    last_of_a_step,
)

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld

RETRIED = CALLING.replace("{id: load,", "{id: load, retries: {maxAttempts: 2},")


def ends(
    world: MemoryWorld,
    status: ExecutionStatus,
    output_text: str | None = None,
    error: str | None = None,
    cause: str | None = None,
) -> None:
    of = execution(world)
    report = world.called_machines.end(of, status, output_text, error, cause)
    assert report_end(world, of, report) == {"status": "ended"}


def test_a_success_has_the_output_as_the_steps_outputs() -> None:
    world = called()

    ends(world, ExecutionStatus.SUCCEEDED, '{"rows": 12}')

    outcome = world.runs.outcomes(TENANT, "run-7", ["load"])["load"]
    assert (outcome.status, outcome.outputs) == (StepStatus.SUCCEEDED, {"rows": 12})
    assert world.jobs.answers == [("token-1", None)]
    assert last_of_a_step(world).metadata["duration"] == "1.500s"


@pytest.mark.parametrize(
    ("status", "error", "cause", "reason", "message"),
    [
        (ExecutionStatus.FAILED, "NoRows", "none", "executor-error", "NoRows: none"),
        (ExecutionStatus.FAILED, "NoRows", None, "executor-error", "NoRows"),
        (ExecutionStatus.FAILED, None, None, "executor-error", "gave no reason"),
        (ExecutionStatus.TIMED_OUT, None, None, "timeout", "machine's own TimeoutSeconds"),
        (ExecutionStatus.ABORTED, "Mine", "why", "executor-error", "stopped in Step Functions"),
    ],
)
def test_a_failure_has_the_reason_of_the_execution(
    status: ExecutionStatus, error: str | None, cause: str | None, reason: str, message: str
) -> None:
    world = called()

    ends(world, status, error=error, cause=cause)

    failed = last_of_a_step(world)
    assert failed.metadata["reason"] == reason
    assert message in failed.message
    assert world.jobs.answers == [("token-1", "StepFailedError")]


def test_an_execution_that_a_cancellation_stopped_says_so() -> None:
    world = called()
    cancel_run(TENANT, "run-7", "bob", world)
    of = execution(world)

    report_end(world, of, world.called_machines.executions[of])

    assert last_of_a_step(world).metadata["reason"] == "cancelled"
    assert job_is_done(world)


def test_an_execution_that_was_stopped_at_the_time_limit_says_so() -> None:
    world = called()
    world.clock.advance(3600)

    ends(world, ExecutionStatus.ABORTED)

    assert last_of_a_step(world).metadata["reason"] == "timeout"


@pytest.mark.parametrize(
    ("output_text", "message"),
    [
        (json.dumps("x" * 70_000), "at most 65536"),
        ('{"a": 1, "a": 2}', "cannot be read"),
        ('{"n": 12345678901234567890}', "the outputs are not JSON"),
    ],
)
def test_an_output_that_cannot_be_kept_fails_the_attempt(output_text: str, message: str) -> None:
    world = called()

    ends(world, ExecutionStatus.SUCCEEDED, output_text)

    assert last_of_a_step(world).metadata["reason"] == "executor-error"
    assert message in last_of_a_step(world).message


def test_a_failed_attempt_is_followed_by_another_execution() -> None:
    world = called(RETRIED)
    ends(world, ExecutionStatus.FAILED)

    call(world, "token-2")

    assert world.jobs.answers == [("token-1", "AttemptFailedError")]
    assert world.called_machines.starts == [execution(world, 1), execution(world, 2)]
    assert execution(world, 1) != execution(world, 2)


def test_a_report_that_was_cut_off_anywhere_goes_on_from_there() -> None:
    def arrange() -> MemoryWorld:
        world = called()
        world.called_machines.end(execution(world), output_text='{"rows": 12}')
        return world

    def act(world: object) -> object:
        of = execution(arrange())
        report = arrange().called_machines.executions[of]
        return report_end(world, of, report)  # type: ignore[arg-type]

    assert assert_recovers(arrange, act) > 5


def test_a_late_report_about_an_earlier_attempt_changes_nothing() -> None:
    world = called(RETRIED)
    ends(world, ExecutionStatus.FAILED)
    call(world, "token-2")
    first = execution(world, 1)

    answer = report_end(world, first, world.called_machines.executions[first])

    assert answer == {"status": "unknown"}
    assert not job_is_done(world)


def test_a_report_without_its_texts_is_completed() -> None:
    world = called()
    of = execution(world)
    report = world.called_machines.end(of, output_text='{"rows": 12}')

    report_end(world, of, replace(report, input_text=None, output_text=None))

    assert world.runs.outcomes(TENANT, "run-7", ["load"])["load"].outputs == {"rows": 12}


CALLER = {"tenant": TENANT, "run": "run-7", "step": "load", "attempt": 1}


@pytest.mark.parametrize(
    "given",
    [
        None,
        [],
        {},
        {"taskrunner": "run-7"},
        {"taskrunner": {"tenant": TENANT, "run": "run-7", "step": "load"}},
        {"taskrunner": CALLER | {"attempt": "1"}},
        {"taskrunner": CALLER | {"attempt": 2}},
        {"taskrunner": CALLER | {"tenant": "globex"}},
        {"taskrunner": CALLER | {"run": None}},
        {"taskrunner": CALLER},
    ],
)
def test_an_execution_that_no_step_has_started_ends_nothing(given: object) -> None:
    world = called()
    before = entry_ids(world)
    report = ExecutionReport(
        status=ExecutionStatus.SUCCEEDED, input_text=json.dumps(given), output_text="{}"
    )

    answers = [
        report_end(world, Execution("import", "mine"), report),
        report_end(world, Execution("other", execution(world).name), report),
    ]

    assert answers == [{"status": "unknown"}] * 2
    assert entry_ids(world) == before


def test_input_that_is_not_json_names_no_step() -> None:
    world = called()
    report = ExecutionReport(status=ExecutionStatus.SUCCEEDED, input_text="{", output_text="{}")

    assert report_end(world, execution(world), report) == {"status": "unknown"}
