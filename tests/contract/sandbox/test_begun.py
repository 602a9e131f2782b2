"""An attempt's process begins while the start is recorded, and may end after it has answered."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest

from taskrunner.errors import TryAgainError
from taskrunner.model.run import Reason
from taskrunner.sandbox.attempt_folder import attempt_folder
from taskrunner.sandbox.launcher import ForkedSandbox
from tests.contract.sandbox.attempt import AMPLE, HOSTILE_EXECUTORS, SERVICES, Attempt, works
from tests.contract.sandbox.processes import (
    PATIENCE_S,
    running_child,
    server_of,
    wait_for_end,
    wait_for_file,
    wait_for_report,
    wait_for_waiting_child,
    waiting_child,
)
from tests.fakes.executor_world import MemoryArtifacts, MemoryFunctions


class TestBegun:
    """An attempt begins while its start is recorded, and is executed to its end after that."""

    def test_is_executed_by_the_process_that_has_begun_it(self, attempt: Attempt) -> None:
        request = attempt.request("look_around")
        with attempt.sandbox.begun(request):
            child = running_child(attempt.sandbox, request)
            result = attempt.sandbox.execute(request, SERVICES)

        assert result.outputs["process"] == child

    def test_begins_on_another_processor_than_the_function(self, attempt: Attempt) -> None:
        request, usable = attempt.request("look_around"), os.sched_getaffinity(0)
        attempt.sandbox.prepare()
        child = wait_for_waiting_child(attempt.sandbox)
        os.kill(child, signal.SIGSTOP)
        with attempt.sandbox.begun(request):
            allowed = os.sched_getaffinity(child)
            os.kill(child, signal.SIGCONT)
            result = attempt.sandbox.execute(request, SERVICES)

        assert allowed <= usable
        assert len(allowed) == max(len(usable) - 1, 1)
        assert set(result.outputs["processors"]) == usable

    def test_goes_on_while_its_start_is_recorded(self, attempt: Attempt) -> None:
        request = attempt.request("write_files", report="done")
        with attempt.sandbox.begun(request):
            wait_for_file(request.output / "report")
            result = attempt.sandbox.execute(request, SERVICES)

        assert result.reason is None
        assert (request.output / "report").read_text() == "done"

    def test_is_served_nothing_before_it_is_executed(self, attempt: Attempt) -> None:
        functions = MemoryFunctions({"change-window": {"open": True}})
        request = attempt.request("call_a_function_after_a_file")
        with attempt.sandbox.begun(request):
            wait_for_file(request.output / "calling")
            assert functions.calls == []
            services = replace(SERVICES, functions=functions)
            result = attempt.sandbox.execute(request, services)

        assert result.outputs == {"open": True}
        assert len(functions.calls) == 1

    def test_ends_with_the_block_if_it_was_not_executed(self, attempt: Attempt) -> None:
        request = attempt.request("write_files_and_rest", report="done")
        with attempt.sandbox.begun(request):
            wait_for_file(request.output / "report")
            child = running_child(attempt.sandbox, request)

        assert not Path(f"/proc/{child}").exists()
        assert works(attempt)

    def test_ends_if_the_start_cannot_be_recorded(self, attempt: Attempt) -> None:
        request = attempt.request("rest", seconds=300)
        children = []

        def begin_in_vain() -> None:
            with attempt.sandbox.begun(request):
                children.append(running_child(attempt.sandbox, request))
                raise TryAgainError("AWS is busy")

        with pytest.raises(TryAgainError, match="AWS is busy"):
            begin_in_vain()

        (child,) = children
        assert not Path(f"/proc/{child}").exists()
        assert works(attempt)

    def test_has_a_server_of_its_own_until_it_ends(self, tmp_path: Path) -> None:
        with closing(ForkedSandbox(HOSTILE_EXECUTORS)) as sandbox:
            attempt = Attempt(sandbox, tmp_path)
            request = attempt.request("echo", text="mine")
            with sandbox.begun(request):
                sandbox.prepare()
                assert works(attempt)
                assert sandbox.execute(request, SERVICES).outputs == {"text": "mine"}

    def test_fails_for_parameters_that_do_not_fit(self, attempt: Attempt) -> None:
        request = attempt.request("take_nothing", surplus=1)
        with attempt.sandbox.begun(request):
            result = attempt.sandbox.execute(request, SERVICES)

        assert result.message == "$.with.surplus: unknown parameter 'surplus'"

    def test_has_all_its_time_once_its_start_is_recorded(self, attempt: Attempt) -> None:
        limits = replace(AMPLE, wall_s=0.3)
        request = attempt.request("write_files_and_rest", limits, report="done")
        with attempt.sandbox.begun(request):
            wait_for_file(request.output / "report")
            started = monotonic()
            result = attempt.sandbox.execute(request, SERVICES)

        assert result.reason is Reason.TIMEOUT
        assert monotonic() - started >= 0.3

    def test_has_used_the_time_before_its_start_was_recorded(self, attempt: Attempt) -> None:
        request = attempt.request("spin_for", cpu_s=0.2)
        with attempt.sandbox.begun(request):
            wait_for_end(running_child(attempt.sandbox, request))
            result = attempt.sandbox.execute(request, SERVICES)

        assert result.usage.wall_s >= 0.2
        assert result.usage.cpu_s >= 0.2

    @pytest.mark.parametrize("size_bytes", [100_000, 1_000_000])
    def test_a_large_one_begins_when_it_is_executed(
        self, attempt: Attempt, size_bytes: int
    ) -> None:
        request = attempt.request("echo", text="x" * size_bytes)
        with attempt.sandbox.begun(request):
            result = attempt.sandbox.execute(request, SERVICES)

        assert result.outputs == {"text": "x" * size_bytes}

    def test_fails_when_it_is_executed_if_it_has_no_form(self, attempt: Attempt) -> None:
        request = attempt.request("echo", text={1, 2})
        with (
            attempt.sandbox.begun(request),
            pytest.raises(TypeError, match="not JSON serializable"),
        ):
            attempt.sandbox.execute(request, SERVICES)
        assert works(attempt)

    def test_has_failed_if_its_process_was_killed(self, attempt: Attempt) -> None:
        request = attempt.request("rest", seconds=300)
        with attempt.sandbox.begun(request):
            child = running_child(attempt.sandbox, request)
            os.kill(child, signal.SIGKILL)
            wait_for_end(child)
            result = attempt.sandbox.execute(request, SERVICES)

        assert "was killed (SIGKILL)" in result.message
        assert works(attempt)

    def test_gets_another_process_if_its_own_was_killed_before(self, attempt: Attempt) -> None:
        attempt.sandbox.prepare()
        child = waiting_child(attempt.sandbox)
        os.kill(child, signal.SIGKILL)
        wait_for_end(child)

        request = attempt.request("echo", text="hello")
        with attempt.sandbox.begun(request):
            assert attempt.sandbox.execute(request, SERVICES).outputs == {"text": "hello"}

    def test_kills_no_other_process_with_the_number_of_one_that_has_ended(
        self, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The record of the start may take so long that the number is another's."""
        request = attempt.request("echo", text="hello")
        with attempt.sandbox.begun(request):
            wait_for_report(attempt.sandbox, request)
            monkeypatch.setattr(os, "killpg", pytest.fail)
            monkeypatch.setattr(os, "kill", pytest.fail)
            assert attempt.sandbox.execute(request, SERVICES).outputs == {"text": "hello"}

    @pytest.mark.parametrize("is_executed", [True, False])
    def test_may_be_made_again_if_the_server_was_killed(
        self, attempt: Attempt, *, is_executed: bool
    ) -> None:
        request = attempt.request("rest", seconds=300)
        with attempt.sandbox.begun(request):
            server = attempt.sandbox._begun[id(request)]
            server._process.kill()
            server._process.wait()
            if is_executed:
                with pytest.raises(TryAgainError):
                    attempt.sandbox.execute(request, SERVICES)

        assert works(attempt)


class TestEndOfTheProcess:
    """The end of an attempt's process takes longer than most attempts."""

    def test_is_not_awaited_when_the_attempt_has_left_nothing(self, attempt: Attempt) -> None:
        assert works(attempt)

        (server,) = attempt.sandbox._idle
        assert server._is_child_ending

        attempt.sandbox.prepare()
        assert not server._is_child_ending

    @pytest.mark.parametrize("folder", ["output", "scratch"])
    def test_is_awaited_when_it_has_left_files(self, attempt: Attempt, folder: str) -> None:
        (attempt.folder / folder / "report").write_text("done")

        child = attempt("look_around").outputs["process"]

        assert not Path(f"/proc/{child}").exists()

    def test_files_are_looked_at_only_if_it_is_awaited(self, attempt: Attempt) -> None:
        """One that a dying process makes may still change while it is searched and stored."""
        assert not attempt("echo").may_have_files
        assert attempt("write_files", report="done").may_have_files
        assert attempt("raise_it", error="KeyError").may_have_files

    def test_a_server_that_dies_with_it_is_replaced(self, attempt: Attempt) -> None:
        assert works(attempt)
        server = server_of(attempt.sandbox)
        server._process.kill()
        server.prepare()
        server._process.wait()

        assert works(attempt)

    def test_counts_what_it_has_used(self, attempt: Attempt) -> None:
        usage = attempt("spin_for", cpu_s=0.2).usage

        assert usage.cpu_s >= 0.2
        assert usage.wall_s >= 0.2
        assert 5 < usage.memory_mib < 128


def test_an_attempt_without_a_call_takes_no_thread(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading.Thread, "start", pytest.fail)

    assert works(attempt)


def test_no_other_attempt_gets_a_folder_that_a_late_service_may_write_to(attempt: Attempt) -> None:
    may_answer = threading.Event()

    class LateArtifacts(MemoryArtifacts):
        def fetch(self, name: str, into: Path) -> bool:  # noqa: ARG002
            return may_answer.wait(PATIENCE_S)

    with attempt_folder() as folder:
        request = attempt.request("fetch_into", replace(AMPLE, wall_s=0.5), into="report")
        request = replace(request, folder=folder)
        services = replace(SERVICES, artifacts=LateArtifacts({}))
        assert attempt.sandbox.execute(request, services).reason is Reason.TIMEOUT
    with attempt_folder() as next_folder:
        may_answer.set()
        assert next_folder != folder
