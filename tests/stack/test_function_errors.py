"""A function's error has the name that AWS gives it, so that `ErrorEquals` matches.

The local stack runs functions with AWS's runtime client, which reports their exceptions.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from taskrunner_cli.local import emulator
from tests.packs import pack
from tests.stack.api import PATIENCE_S, until
from tests.stack.machines import Executions
from tests.stack.own_stack import own_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stack.api import Api


@pytest.fixture(name="executions")
def _executions(aws: Callable[[str], Any], operator: Api) -> Executions:
    return Executions(aws, operator)


def test_a_machine_receives_the_class_of_a_steps_error(
    operator: Api, executions: Executions
) -> None:
    run_id = operator.run(pack("- {id: broken, run: {uses: builtin:fail, with: {message: no}}}"))
    operator.ended(run_id)

    assert executions.errors(run_id) == ["StepFailedError"]


def test_a_step_receives_the_class_of_its_executor_functions_error(operator: Api) -> None:
    run_id = operator.run(pack("- {id: it, run: {uses: 'lambda:change-window', with: {}}}"))

    (step,) = operator.ended(run_id)["steps"]

    assert "failed: BadParametersError: 'environment' is missing" in step["errorMessage"]


def processes_of(function: str) -> list[psutil.Process]:
    """Return the emulator's processes of one function of the template."""
    process = emulator.running(own_workspace())
    assert process is not None
    found = []
    for child in psutil.Process(process.pid).children():
        with suppress(psutil.Error):  # others end meanwhile
            if function in child.environ().get("AWS_LAMBDA_FUNCTION_NAME", ""):
                found.append(child)
    return found


def kill_all_that_execute(function: str) -> list[psutil.Process]:
    """Kill the processes of a function in which a step runs; return them and those below them.

    Such a process has a sandbox, and below it a second child while a step runs. The step may be
    that of a run beside this one.
    """
    family = []
    for process in processes_of(function):
        with suppress(psutil.Error):
            below = process.children(recursive=True)
            if len(below) > 1:
                process.kill()
                family += [process, *below]
    return family


def test_a_killed_function_is_an_exit_error_and_leaves_no_process(
    operator: Api, executions: Executions
) -> None:
    run_id = operator.run(pack("- {id: long, run: {uses: builtin:sleep, with: {seconds: 300}}}"))
    until(lambda: "Running" in str(operator("GET", f"runs/{run_id}").json()["steps"]), "it runs")
    killed: list[psutil.Process] = []

    def is_seen() -> bool:
        """Kill again, because a step is recorded as running before it runs in a process."""
        killed.extend(kill_all_that_execute("RunStepFunction"))
        return "Runtime.ExitError" in executions.errors(run_id)

    until(is_seen, "the machine sees the error")
    operator("POST", f"runs/{run_id}/cancel")

    _, alive = psutil.wait_procs(set(killed), timeout=PATIENCE_S)
    assert killed
    assert alive == []


def test_a_call_waits_for_nothing_but_the_function(aws: Callable[[str], Any]) -> None:
    """The emulator alone takes 43 ms to send a function its event, and looks for a log for 50."""
    functions = aws("lambda")
    name = next(
        function["FunctionName"]
        for page in functions.get_paginator("list_functions").paginate()
        for function in page["Functions"]
        if "DescribeApiFunction" in function["FunctionName"]
    )
    event = json.dumps({"httpMethod": "GET", "path": "/openapi", "resource": "/openapi"})

    def call() -> None:
        functions.invoke(FunctionName=name, Payload=event)["Payload"].read()

    call_s = quickest_s(call)
    look_s = quickest_s(lambda: functions.get_function_configuration(FunctionName=name))

    # A call takes seven times as long as a look at the function's settings, which is 10 ms. On a
    # slow machine both take longer.
    assert call_s < max(0.04, 20 * look_s)


def quickest_s(call: Callable[[], object]) -> float:
    """The shortest time that *call* takes; others may be calling and working at the same time."""
    times_s = []
    for _ in range(30):
        start_s = time.monotonic()
        call()
        times_s.append(time.monotonic() - start_s)
    return min(times_s)
