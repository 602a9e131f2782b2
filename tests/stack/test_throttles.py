"""A throttle of Lambda loses nothing: machines retry, and clients learn when to retry.

The emulator alone would lose a gate here; cli/taskrunner_cli/local/emulator_process.py corrects it.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from bench.burst import Peak, burst
from taskrunner_cli.local import emulator
from tests.packs import pack
from tests.stack.api import until
from tests.stack.machines import Executions
from tests.stack.own_stack import own_workspace
from tests.stack.packs import GATED, STEP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner_cli.local import Stack
    from tests.stack.api import Api

THROTTLED = "Lambda.TooManyRequestsException"
LANES = 12


@pytest.fixture(name="executions")
def _executions(aws: Callable[[str], Any], operator: Api) -> Executions:
    return Executions(aws, operator)


@pytest.fixture(name="throttled")
def _throttled(aws: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a context manager that throttles every call of a function of the template."""
    functions = aws("lambda")

    @contextmanager
    def throttled(logical_id: str) -> Iterator[None]:
        name = {"StackName": "taskrunner", "LogicalResourceId": logical_id}
        found = aws("cloudformation").describe_stack_resource(**name)["StackResourceDetail"]
        function = {"FunctionName": found["PhysicalResourceId"]}
        before = functions.get_function_concurrency(**function)["ReservedConcurrentExecutions"]
        functions.put_function_concurrency(**function, ReservedConcurrentExecutions=0)
        try:
            yield
        finally:
            functions.put_function_concurrency(**function, ReservedConcurrentExecutions=before)

    return throttled


def test_a_throttled_create_answers_503_with_retry_after(
    operator: Api, throttled: Callable[[str], Any]
) -> None:
    with throttled("CreateRunFunction"):
        refused = operator("POST", "runs", {"manifest": STEP})

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "try_again")
    assert int(refused.headers["Retry-After"]) > 0


def test_a_throttled_step_is_retried_and_the_throttle_is_not_an_attempt(
    operator: Api, executions: Executions, throttled: Callable[[str], Any]
) -> None:
    with throttled("RunStepFunction"):
        run_id = operator.run(STEP)
        until(lambda: THROTTLED in executions.errors(run_id), "the machine sees a throttle")

    ended = operator.ended(run_id)

    assert set(executions.errors(run_id)) == {THROTTLED}
    assert (ended["status"], ended["steps"][0]["attempts"]) == ("succeeded", 1)


def test_a_throttled_gate_opens_later(
    operator: Api, approver: Api, executions: Executions, throttled: Callable[[str], Any]
) -> None:
    with throttled("OpenGateFunction"):
        run_id = operator.run(GATED)
        until(lambda: THROTTLED in executions.errors(run_id), "the machine sees a throttle")

    operator.wait(run_id, "waiting")
    approver.decide(run_id, "security", "approved")

    assert operator.ended(run_id)["status"] == "succeeded"


def test_throttled_lanes_are_retried_with_jitter(
    operator: Api, executions: Executions, throttled: Callable[[str], Any]
) -> None:
    """Without jitter they meet again at each retry, and the last lane waits for minutes."""
    lanes = "".join(
        f"\n    - {{id: lane{n}, run: {{uses: builtin:noop, with: {{}}}}}}" for n in range(LANES)
    )
    with throttled("RunStepFunction"):
        run_id = operator.run(pack(f"- id: together\n  parallel:\n    steps:{lanes}"))
        until(lambda: executions.errors(run_id).count(THROTTLED) >= LANES, "each lane is throttled")

    assert operator.ended(run_id)["status"] == "succeeded"
    history = executions.history(run_id)
    throttles = [event for event in history if event["type"] == "TaskFailed"]
    started = [event for event in history if event["type"] == "TaskScheduled"]
    retries = started[LANES : LANES + len(throttles)]
    # The interval is 1 s, of which FULL takes any part. If each retry came 1 s or more after its
    # throttle, then the nth of all retries would come 1 s or more after the nth throttle.
    pauses_s = [
        (retry["timestamp"] - throttle["timestamp"]).total_seconds()
        for throttle, retry in zip(throttles, retries, strict=True)
    ]
    assert min(pauses_s) < 0.99


def test_a_burst_of_runs_succeeds_in_fewer_than_64_processes(stack: Stack) -> None:
    process = emulator.running(own_workspace())
    assert process is not None
    peak = Peak()

    # In a thread of its own: the browser of the console's tests keeps a loop in this one.
    with (
        ThreadPoolExecutor(1) as thread,
        peak.watched(psutil.Process(process.pid), own_workspace().scratch),
    ):
        load = thread.submit(lambda: asyncio.run(burst(stack, runs=30, steps=3, seconds=300)))
        outcome = load.result()

    assert outcome.runs == {"succeeded": 30}
    assert peak.processes < 64
    assert peak.memory_mib < 4096
