"""What a machine is given as the error of a function is what AWS gives it.

The local stack runs functions with AWS's own runtime client, and the emulator names their ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil
import pytest

from taskrunner_cli.local import emulator, workspace
from tests.packs import pack
from tests.stack.conftest import until
from tests.stack.machines import Executions

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stack.conftest import Api


@pytest.fixture(name="executions")
def _executions(aws: Callable[[str], Any]) -> Executions:
    return Executions(aws)


def test_a_machine_is_given_the_class_of_an_error(operator: Api, executions: Executions) -> None:
    """So that `ErrorEquals: [ConflictError]` and others match."""
    run_id = operator.run(pack("- {id: broken, run: {uses: builtin:fail, with: {message: no}}}"))
    operator.ended(run_id)

    assert executions.errors(run_id) == ["StepFailedError"]


def test_a_step_is_given_the_class_of_its_executor_functions_error(operator: Api) -> None:
    run_id = operator.run(pack("- {id: it, run: {uses: 'lambda:change-window', with: {}}}"))

    (step,) = operator.ended(run_id)["steps"]

    assert "failed: BadParametersError: 'environment' is missing" in step["errorMessage"]


def processes_of(function: str) -> list[psutil.Process]:
    """The emulator's processes of one function of the template, of whichever stack."""
    process = emulator.running(workspace.find())
    assert process is not None
    return [
        child
        for child in psutil.Process(process.pid).children()
        if function in child.environ().get("AWS_LAMBDA_FUNCTION_NAME", "")
    ]


def test_a_function_that_dies_is_named_as_on_aws_and_leaves_no_process(
    operator: Api, executions: Executions
) -> None:
    run_id = operator.run(pack("- {id: long, run: {uses: builtin:sleep, with: {seconds: 30}}}"))
    until(lambda: "Running" in str(operator("GET", f"runs/{run_id}").json()["steps"]), "it runs")
    died = [it for it in processes_of("RunStepFunction") if len(it.children(recursive=True)) > 1]
    family = [it for process in died for it in [process, *process.children(recursive=True)]]

    for process in died:
        process.kill()
    until(lambda: "Runtime.ExitError" in executions.errors(run_id), "the machine is told")
    operator("POST", f"runs/{run_id}/cancel")

    assert len(died) == 1
    _, left = psutil.wait_procs(family, timeout=10)
    assert left == []
