"""Runs that do not end in the usual way: stopped from outside, or recorded and never started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.stack.machines import Executions
from tests.stack.packs import GATE
from tests.stack.recorded import make_due, record_without_start

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner_cli.local import Stack
    from tests.stack.api import Api


def test_settles_a_run_whose_execution_is_stopped_in_the_console(
    operator: Api, aws: Callable[[str], Any]
) -> None:
    run_id = operator.run(GATE)
    operator.wait(run_id, "waiting")

    aws("stepfunctions").stop_execution(executionArn=Executions(aws, operator).arn(run_id))
    state = operator.ended(run_id)

    assert state["status"] == "failed"
    assert state["steps"][0]["statusReason"] == "run-failed"
    assert "ABORTED" in operator.log(run_id)[-1]["message"]


def test_starts_a_run_that_was_recorded_and_not_started(
    operator: Api, stack: Stack, aws: Callable[[str], Any]
) -> None:
    run_id = record_without_start(stack, aws)
    assert operator.state(run_id)["status"] == "queued"

    make_due(stack, aws, run_id)
    aws("lambda").invoke(FunctionName=stack.reconcile_function)

    operator.wait(run_id, "succeeded")
