"""The sandbox ends an executor that uses more memory or time than it may."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.model.run import Reason
from taskrunner.sandbox.attempt import Limits
from tests.contract.sandbox.attempt import AMPLE, SERVICES, works
from tests.fakes.executor_world import MemoryFunctions

if TYPE_CHECKING:
    from tests.contract.sandbox.attempt import Attempt


class TestMemory:
    @pytest.mark.parametrize("executor", ["fill_heap", "fill_shared_memory"])
    def test_an_executor_may_use_memory_up_to_the_limit(
        self, attempt: Attempt, executor: str
    ) -> None:
        assert attempt(executor, mib=40).reason is None

    def test_an_executor_over_the_limit_fails_and_the_next_attempt_works(
        self, attempt: Attempt
    ) -> None:
        result = attempt("fill_heap", replace(AMPLE, memory_mib=64), mib=500)

        assert result.reason is Reason.MEMORY_EXCEEDED
        assert "64 MiB" in result.message
        # Resident memory contains the code of libraries as well.
        assert 48 <= result.usage.memory_mib <= 80
        assert works(attempt)

    def test_shared_memory_is_bounded_too(self, attempt: Attempt) -> None:
        result = attempt("fill_shared_memory", replace(AMPLE, memory_mib=64), mib=1000)

        assert result.reason in {Reason.MEMORY_EXCEEDED, Reason.EXECUTOR_ERROR}
        assert result.usage.memory_mib < 512

    def test_a_limit_below_what_the_interpreter_needs_fails_the_attempt(
        self, attempt: Attempt
    ) -> None:
        result = attempt("fill_heap", replace(AMPLE, memory_mib=1), mib=8)

        assert result.reason is Reason.MEMORY_EXCEEDED

    def test_the_result_reports_the_peak_memory(self, attempt: Attempt) -> None:
        little, much = attempt("echo"), attempt("fill_heap", mib=50)

        assert 45 <= much.usage.memory_mib - little.usage.memory_mib <= 60


class TestCpuTime:
    @pytest.mark.parametrize(
        "executor",
        ["spin", "spin_in_c", "spin_in_threads", "ignore_signals_and_spin", "disarm_and_spin"],
    )
    def test_an_executor_that_only_computes_is_ended(self, attempt: Attempt, executor: str) -> None:
        result = attempt(executor, replace(AMPLE, cpu_s=0.2))

        assert result.reason is Reason.TIMEOUT
        assert result.usage.cpu_s < 4
        assert result.usage.wall_s < AMPLE.wall_s
        assert works(attempt)

    def test_the_message_names_the_limit(self, attempt: Attempt) -> None:
        result = attempt("spin", Limits(memory_mib=128, cpu_s=0.2, wall_s=20))

        assert result.reason is Reason.TIMEOUT
        assert result.message == (
            "used up its 0.2 seconds of CPU time: cpuLimitMillicores is its share of the 20 "
            "seconds that the attempt had"
        )
        assert 0.1 < result.usage.cpu_s < 1


class TestWallTime:
    def test_an_executor_that_waits_too_long_is_killed(self, attempt: Attempt) -> None:
        started = time.monotonic()

        result = attempt("rest", replace(AMPLE, wall_s=0.3), seconds=300)

        assert (result.reason, result.message) == (Reason.TIMEOUT, "not done after 0.3 seconds")
        assert time.monotonic() - started < 150
        assert works(attempt)

    @pytest.mark.parametrize("name", ["speak_too_slowly", "call_then_speak_too_slowly"])
    def test_a_message_that_never_ends_is_not_awaited(self, attempt: Attempt, name: str) -> None:
        result = attempt(name, replace(AMPLE, wall_s=0.3))

        assert (result.reason, result.message) == (Reason.TIMEOUT, "not done after 0.3 seconds")
        assert works(attempt)

    def test_an_attempt_with_almost_no_time_is_killed(self, attempt: Attempt) -> None:
        """As at the end of a quota: the child may not yet lead a process group of its own."""
        limits = replace(AMPLE, wall_s=0.0003)

        results = [attempt("rest", limits, seconds=300) for _ in range(60)]

        assert {result.reason for result in results} == {Reason.TIMEOUT}
        assert max(result.usage.wall_s for result in results) < 150
        assert works(attempt)

    def test_an_attempt_does_not_wait_for_a_service_that_is_too_slow(
        self, attempt: Attempt
    ) -> None:
        may_answer = threading.Event()

        class SlowFunctions(MemoryFunctions):
            def invoke(self, name: str, payload: Any) -> Any:  # noqa: ANN401, ARG002
                may_answer.wait(300)
                return {}

        services = replace(SERVICES, functions=SlowFunctions())
        result = attempt("call_a_function", replace(AMPLE, wall_s=0.3), services)

        assert result.reason is Reason.TIMEOUT
        may_answer.set()
        assert works(attempt)
