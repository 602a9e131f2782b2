"""The sandbox, with real processes: whatever an executor does, the parent learns how it ended."""

from __future__ import annotations

import gc
import json
import os
import socket
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import TryAgainError
from taskrunner.executors.work import Services
from taskrunner.model.run import Reason
from taskrunner.sandbox.job import Ended, Job, Limits
from taskrunner.sandbox.launcher import ForkedSandbox
from tests.fakes.executor_world import (
    MemoryArtifacts,
    MemoryBundles,
    MemoryEnvironments,
    MemoryFunctions,
    MemoryImages,
    NoNetwork,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENOUGH = Limits(memory_mib=128, cpu_s=10, wall_s=30)
SERVICES = Services(
    bundles=MemoryBundles(),
    artifacts=MemoryArtifacts({"report": b"all is well"}),
    environments=MemoryEnvironments(),
    network=NoNetwork(),
    functions=MemoryFunctions({"change-window": {"open": True}}),
    images=MemoryImages(),
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[ForkedSandbox]:
    with closing(ForkedSandbox("tests.fakes.hostile_executors")) as made:
        yield made


@pytest.fixture
def attempt(sandbox: ForkedSandbox, tmp_path: Path) -> Attempt:
    return Attempt(sandbox, tmp_path)


class Attempt:
    def __init__(self, sandbox: ForkedSandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        for name in ("output", "scratch"):
            (folder / name).mkdir()

    def __call__(
        self,
        name: str,
        limits: Limits = ENOUGH,
        services: Services = SERVICES,
        **parameters: Any,  # noqa: ANN401 - whatever the executor takes
    ) -> Ended:
        job = Job(
            uses=f"hostile:{name}",
            parameters=parameters,
            run_id="run-7",
            run_created_at="2025-12-06T12:00:00.000Z",
            tenant="acme",
            step_id="ship",
            attempt=1,
            plan_document={"inputs": {}},
            folder=self.folder,
            limits=limits,
        )
        return self.sandbox.execute(job, services)


def works(attempt: Attempt) -> bool:
    outputs: object = attempt("echo", said="hello").outputs
    return outputs == {"said": "hello"}


class TestMemory:
    @pytest.mark.parametrize("how", ["fill_heap", "fill_shared_memory"])
    def test_within_the_limit_is_fine(self, attempt: Attempt, how: str) -> None:
        assert attempt(how, mib=40).reason is None

    def test_beyond_it_the_step_fails_and_the_next_one_runs(self, attempt: Attempt) -> None:
        ended = attempt("fill_heap", replace(ENOUGH, memory_mib=64), mib=500)

        assert ended.reason is Reason.MEMORY_EXCEEDED
        assert "64 MiB" in ended.message
        # What is resident has the code of libraries in it as well.
        assert 48 <= ended.usage.memory_mib <= 80
        assert works(attempt)

    def test_memory_that_is_no_data_is_bounded_as_well(self, attempt: Attempt) -> None:
        ended = attempt("fill_shared_memory", replace(ENOUGH, memory_mib=64), mib=1000)

        assert ended.reason in {Reason.MEMORY_EXCEEDED, Reason.EXECUTOR_ERROR}
        assert ended.usage.memory_mib < 512

    def test_less_than_the_interpreter_itself_needs(self, attempt: Attempt) -> None:
        ended = attempt("fill_heap", replace(ENOUGH, memory_mib=1), mib=8)

        assert ended.reason is Reason.MEMORY_EXCEEDED

    def test_what_was_used_is_told(self, attempt: Attempt) -> None:
        little, much = attempt("echo"), attempt("fill_heap", mib=50)

        assert 45 <= much.usage.memory_mib - little.usage.memory_mib <= 60


class TestTime:
    @pytest.mark.parametrize(
        "how",
        ["spin", "spin_in_c", "spin_in_threads", "ignore_signals_and_spin", "disarm_and_spin"],
    )
    def test_cpu_time_is_limited(self, attempt: Attempt, how: str) -> None:
        ended = attempt(how, replace(ENOUGH, cpu_s=0.2))

        assert ended.reason in {Reason.TIMEOUT, Reason.MEMORY_EXCEEDED}
        assert ended.usage.cpu_s < 4
        assert ended.usage.wall_s < ENOUGH.wall_s
        assert works(attempt)

    def test_the_message_names_the_limit(self, attempt: Attempt) -> None:
        ended = attempt("spin", Limits(memory_mib=128, cpu_s=0.2, wall_s=20))

        assert ended.reason is Reason.TIMEOUT
        assert ended.message == (
            "used up its 0.2 seconds of CPU time, which are cpuLimitMillicores of the 20 seconds "
            "it had"
        )
        assert 0.1 < ended.usage.cpu_s < 1

    def test_wall_time_is_limited(self, attempt: Attempt) -> None:
        began = time.monotonic()

        ended = attempt("rest", replace(ENOUGH, wall_s=0.3), seconds=300)

        assert (ended.reason, ended.message) == (Reason.TIMEOUT, "not done after 0.3 seconds")
        assert time.monotonic() - began < 20
        assert works(attempt)

    def test_who_has_no_time_to_begin_with_is_killed_all_the_same(self, attempt: Attempt) -> None:
        """The last of a quota: over before the child is a group of its own, now and then."""
        limits = replace(ENOUGH, wall_s=0.0003)

        ends = [attempt("rest", limits, seconds=2) for _ in range(60)]

        assert {ended.reason for ended in ends} == {Reason.TIMEOUT}
        assert max(ended.usage.wall_s for ended in ends) < 1.5
        assert works(attempt)

    def test_a_service_that_takes_too_long_is_not_waited_for(self, attempt: Attempt) -> None:
        answer = threading.Event()

        class Slow(MemoryFunctions):
            def invoke(self, name: str, payload: Any) -> Any:  # noqa: ANN401, ARG002
                answer.wait(60)
                return {}

        ended = attempt(
            "call_a_function",
            replace(ENOUGH, wall_s=0.3),
            replace(SERVICES, functions=Slow()),
        )

        assert ended.reason is Reason.TIMEOUT
        answer.set()
        assert works(attempt)


class TestAClosedRoom:
    def test_it_knows_nothing_of_the_parent(
        self, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
        with closing(ForkedSandbox("tests.fakes.hostile_executors")) as fresh:
            attempt.sandbox = fresh

            seen = attempt("look_around").outputs

        assert seen["environment"] == {}
        assert "hunter2" not in json.dumps(seen)
        assert seen["folder"] == str(attempt.folder)
        assert seen["modules"] == []
        # Nothing, three times, the socket to the parent, and the listing itself.
        assert len(seen["descriptors"]) == 5

    def test_the_parents_environment_is_not_read(self, attempt: Attempt) -> None:
        ended = attempt("read_parent", pid=os.getpid())

        assert ended.reason is Reason.EXECUTOR_ERROR
        assert ended.message == "the executor broke off with PermissionError"

    @pytest.mark.parametrize(
        "how",
        ["connect", "connect_by_number", "send_datagram", "send_message", "listen", "resolve"],
    )
    def test_it_has_no_network(self, attempt: Attempt, how: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]

            ended = attempt(how, host="127.0.0.1", port=port)

            server.settimeout(0)
            with pytest.raises(BlockingIOError):
                server.accept()
        assert ended.reason is Reason.EGRESS_DENIED

    @pytest.mark.parametrize(
        "how", ["run_a_program", "become_a_program", "multiply", "kill_the_parent", "raise_limits"]
    )
    def test_it_has_no_other_processes(self, attempt: Attempt, how: str) -> None:
        ended = attempt(how, pid=os.getpid())

        assert ended.message == "the executor broke off with PermissionError"

    def test_it_may_not_open_files_without_end(self, attempt: Attempt) -> None:
        told = json.loads(attempt("open_many_files").message)

        assert told["opened"] < 256

    def test_what_it_prints_goes_nowhere(
        self, attempt: Attempt, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with closing(ForkedSandbox("tests.fakes.hostile_executors")) as fresh:
            attempt.sandbox = fresh
            attempt("print_and_log")

        assert capfd.readouterr() == ("", "")


class TestWhatItAsksFor:
    def test_a_connection_that_the_parent_makes(self, attempt: Attempt) -> None:
        class Open(NoNetwork):
            def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
                return socket.create_connection((host, port), timeout_s)

        with ExitStack() as stack:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def answer() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(connection.recv(100).upper())

            thread = threading.Thread(target=answer)
            thread.start()
            stack.callback(thread.join)
            ended = attempt(
                "connect_through_the_parent",
                services=replace(SERVICES, network=Open()),
                host="127.0.0.1",
                port=server.getsockname()[1],
            )

        assert ended.outputs == {"answer": "HELLO"}

    def test_a_connection_that_is_denied(self, attempt: Attempt) -> None:
        ended = attempt("connect_through_the_parent", host="example.com", port=443)

        assert ended.reason is Reason.EGRESS_DENIED
        assert "example.com:443" in ended.message

    def test_files_of_its_own_alone(self, attempt: Attempt) -> None:
        outside = attempt.folder.parent / "outside"
        outside.write_text("not yours")
        (attempt.folder / "output" / "link").symlink_to(outside)
        (attempt.folder / "output" / "fine").write_text("mine")

        assert attempt("put_a_bundle", file="fine").reason is None
        for file in ("../../outside", "link", "/etc/passwd"):
            ended = attempt("put_a_bundle", file=file)
            assert ended.reason is Reason.EXECUTOR_ERROR
            assert "broke off" in ended.message or "is no file of this step" in ended.message
        assert attempt("fetch_into", into="here").outputs == {"fetched": True}
        assert attempt("fetch_into", into="../../outside").reason is Reason.EXECUTOR_ERROR
        assert outside.read_text() == "not yours"

    def test_nothing_that_is_not_served(self, attempt: Attempt) -> None:
        ended = attempt("ask_for_what_is_not_served")

        assert ended.reason is Reason.EXECUTOR_ERROR
        assert works(attempt)

    def test_a_service_that_says_later_ends_the_attempt_for_now(self, attempt: Attempt) -> None:
        class Busy(MemoryFunctions):
            def invoke(self, name: str, payload: Any) -> Any:  # noqa: ANN401, ARG002
                raise TryAgainError("too many requests")

        with pytest.raises(TryAgainError):
            attempt("call_a_function", services=replace(SERVICES, functions=Busy()))
        assert works(attempt)

    def test_a_function_that_answers_much(self, attempt: Attempt) -> None:
        functions = MemoryFunctions({"change-window": {"text": "x" * 6_000_000}})

        ended = attempt("call_a_function", services=replace(SERVICES, functions=functions))

        assert len(ended.outputs["text"]) == 6_000_000


class TestHowItEnds:
    @pytest.mark.parametrize(
        ("error", "reason", "message"),
        [
            ("KeyError", Reason.EXECUTOR_ERROR, "the executor broke off with KeyError"),
            ("SystemExit", Reason.EXECUTOR_ERROR, "the executor broke off with SystemExit"),
            (
                "KeyboardInterrupt",
                Reason.EXECUTOR_ERROR,
                "the executor broke off with KeyboardInterrupt",
            ),
            ("RecursionError", Reason.EXECUTOR_ERROR, "the executor broke off with RecursionError"),
            (
                "MemoryError",
                Reason.MEMORY_EXCEEDED,
                "more than the 128 MiB of memory that the pack's sandbox allows",
            ),
            ("ExecutorFailure", Reason.EXECUTOR_ERROR, "no luck"),
            ("EgressDenied", Reason.EGRESS_DENIED, "no way"),
        ],
    )
    def test_by_an_error(self, attempt: Attempt, error: str, reason: Reason, message: str) -> None:
        ended = attempt("raise_it", error=error)

        assert (ended.reason, ended.message) == (reason, message)

    def test_by_recursion(self, attempt: Attempt) -> None:
        assert attempt("recurse").message == "the executor broke off with RecursionError"

    def test_by_leaving(self, attempt: Attempt) -> None:
        assert attempt("leave", code=3).message == "the executor's process ended with exit code 3"
        assert attempt("leave", code=0).message == "the executor's process ended with exit code 0"
        assert works(attempt)

    def test_by_a_crash(self, attempt: Attempt) -> None:
        ended = attempt("crash")

        assert ended.message == "the executor's process ended with SIGSEGV"
        assert works(attempt)

    def test_by_what_is_no_json(self, attempt: Attempt) -> None:
        ended = attempt("answer_no_json")

        assert ended.reason is Reason.EXECUTOR_ERROR
        assert ended.message.startswith("the outputs are no JSON")

    def test_by_much_too_much(self, attempt: Attempt) -> None:
        ended = attempt("answer_much", bytes=17_000_000)

        assert ended.reason in {Reason.EXECUTOR_ERROR, Reason.MEMORY_EXCEEDED}

    def test_by_nonsense(self, attempt: Attempt) -> None:
        ended = attempt("speak_nonsense")

        assert ended.reason is not None
        assert ended.usage.wall_s < 30
        assert works(attempt)

    def test_files_that_it_wrote_are_there(self, attempt: Attempt) -> None:
        attempt("write_files", report="all is well")

        assert (attempt.folder / "output" / "report").read_text() == "all is well"


def server_of(sandbox: ForkedSandbox) -> Any:  # noqa: ANN401 - nobody else's business
    (server,) = sandbox._idle
    return server


class TestTheServer:
    def test_one_serves_all_attempts(self, attempt: Attempt) -> None:
        assert works(attempt)
        server = server_of(attempt.sandbox)
        assert works(attempt)
        assert server_of(attempt.sandbox) is server

    def test_one_that_was_prepared_is_used(self, tmp_path: Path) -> None:
        with closing(ForkedSandbox("tests.fakes.hostile_executors")) as sandbox:
            sandbox.prepare()
            server = server_of(sandbox)
            assert works(Attempt(sandbox, tmp_path))
            assert server_of(sandbox) is server

    def test_one_that_is_gone_is_replaced(self, attempt: Attempt) -> None:
        assert works(attempt)
        server = server_of(attempt.sandbox)
        server._process.kill()
        server._process.wait()

        assert works(attempt)

    def test_one_whose_attempt_was_not_seen_to_its_end_is_replaced(self, attempt: Attempt) -> None:
        """What it says next would be of that attempt, and who is killed next somebody else."""
        for_ever = replace(ENOUGH, wall_s=float("inf"))

        with pytest.raises(OverflowError):  # no clock counts so far; the child is there by then
            attempt("rest", for_ever, seconds=300)

        assert works(attempt)
        assert attempt("rest", replace(ENOUGH, wall_s=0.2), seconds=2).usage.wall_s < 1.5

    def test_one_that_dies_meanwhile_is_a_reason_to_try_again(self, attempt: Attempt) -> None:
        assert works(attempt)
        alarm = threading.Timer(0.2, server_of(attempt.sandbox)._process.kill)
        alarm.start()

        with pytest.raises(TryAgainError):
            attempt("rest", seconds=60)
        alarm.join()
        assert works(attempt)

    def test_it_ends_with_its_parent(self, tmp_path: Path) -> None:
        sandbox = ForkedSandbox("tests.fakes.hostile_executors")
        assert works(Attempt(sandbox, tmp_path))
        server = server_of(sandbox)

        server._channel.close()

        assert server._process.wait(20) == 0
        sandbox.close()

    def test_who_forgets_it_leaves_no_process(self, tmp_path: Path) -> None:
        sandbox = ForkedSandbox("tests.fakes.hostile_executors")
        assert works(Attempt(sandbox, tmp_path))
        process = server_of(sandbox)._process

        del sandbox
        gc.collect()

        assert process.poll() is not None

    def test_attempts_of_several_threads_go_on_at_the_same_time(self, tmp_path: Path) -> None:
        with closing(ForkedSandbox("tests.fakes.hostile_executors")) as sandbox:
            both = threading.Barrier(2, timeout=30)

            class Meeting(MemoryFunctions):
                def invoke(self, name: str, payload: Any) -> Any:  # noqa: ANN401, ARG002
                    both.wait()
                    return "met"

            answers: list[object] = []

            def run(folder: Path) -> None:
                folder.mkdir()
                services = replace(SERVICES, functions=Meeting())
                answers.append(
                    Attempt(sandbox, folder)("call_a_function", ENOUGH, services).outputs
                )

            threads = [
                threading.Thread(target=run, args=(tmp_path / name,)) for name in ("one", "other")
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        assert answers == ["met", "met"]
