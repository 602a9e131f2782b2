"""Runs that do not end in the usual way: stopped from outside, or recorded and never started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.stack.api import until
from tests.stack.machines import Executions
from tests.stack.packs import GATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stack.api import Api


def test_settles_a_run_whose_execution_is_stopped_in_the_console(
    operator: Api, aws: Callable[[str], Any]
) -> None:
    run_id = operator.run(GATE)
    operator.wait(run_id, "waiting")

    aws("stepfunctions").stop_execution(executionArn=Executions(aws).arn(run_id))
    state = operator.ended(run_id)

    assert state["status"] == "failed"
    assert state["steps"][0]["statusReason"] == "run-failed"
    assert "ABORTED" in operator.log(run_id)[-1]["message"]


def test_starts_a_run_that_was_recorded_and_not_started(
    operator: Api, unstarted_run: tuple[str, str], aws: Callable[[str], Any]
) -> None:
    run_id, reconciler = unstarted_run

    operator.wait(run_id, "succeeded", deadline_s=120)

    states = aws("stepfunctions")
    until(
        lambda: states.describe_execution(executionArn=reconciler)["status"] == "SUCCEEDED",
        "the reconciler's pass ends",
    )
