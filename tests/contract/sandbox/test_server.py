"""One server process serves many attempts, and is replaced when it is of no use."""

from __future__ import annotations

import gc
import os
import signal
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner import executors
from taskrunner.errors import TryAgainError
from taskrunner.sandbox import server as server_program
from taskrunner.sandbox.channel import ChannelClosedError, channel_pair
from taskrunner.sandbox.launcher import ForkedSandbox
from tests.contract.sandbox.attempt import AMPLE, HOSTILE_EXECUTORS, SERVICES, Attempt, works
from tests.contract.sandbox.processes import (
    PATIENCE_S,
    running_child,
    server_of,
    wait_for_end,
    wait_for_state,
    waiting_child,
)
from tests.fakes.executor_world import MemoryFunctions

if TYPE_CHECKING:
    from taskrunner.sandbox.attempt import Limits


def test_attempts_share_one_server(attempt: Attempt) -> None:
    assert works(attempt)
    server = server_of(attempt.sandbox)
    assert works(attempt)
    assert server_of(attempt.sandbox) is server


def test_a_server_looks_for_no_plugins_of_pydantic(attempt: Attempt) -> None:
    """The search takes a seventh of the time until a server is ready."""
    names = ["pydantic.main", "importlib.metadata"]

    assert attempt("look_for_modules", names=names).outputs == {"loaded": ["pydantic.main"]}


def test_neither_a_server_nor_its_child_interrupts_the_function(attempt: Attempt) -> None:
    attempt.sandbox.prepare()
    child = waiting_child(attempt.sandbox)
    server = server_of(attempt.sandbox)._process.pid

    assert os.sched_getscheduler(server) == os.SCHED_BATCH
    assert os.sched_getscheduler(child) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) != os.SCHED_BATCH


def test_an_attempt_uses_the_server_that_was_prepared(tmp_path: Path) -> None:
    with closing(ForkedSandbox(HOSTILE_EXECUTORS)) as sandbox:
        sandbox.prepare()
        server = server_of(sandbox)
        assert works(Attempt(sandbox, tmp_path))
        assert server_of(sandbox) is server


def test_an_attempt_gets_the_child_that_waits_and_no_other_attempt_gets_it(
    attempt: Attempt,
) -> None:
    attempt.sandbox.prepare()
    child = waiting_child(attempt.sandbox)
    attempt.sandbox.prepare()
    assert waiting_child(attempt.sandbox) == child

    assert attempt("look_around").outputs["process"] == child
    assert attempt("look_around").outputs["process"] != child


def test_a_child_that_is_killed_while_it_waits_fails_no_attempt(attempt: Attempt) -> None:
    attempt.sandbox.prepare()
    server = server_of(attempt.sandbox)
    child = waiting_child(attempt.sandbox)
    os.kill(child, signal.SIGKILL)
    wait_for_end(child)

    assert works(attempt)
    assert server_of(attempt.sandbox) is server


def test_a_child_that_waits_ends_with_its_server() -> None:
    with closing(ForkedSandbox(HOSTILE_EXECUTORS)) as sandbox:
        sandbox.prepare()
        child = waiting_child(sandbox)

    wait_for_end(child)


def test_a_child_whose_server_ended_before_it_began_ends_too() -> None:
    """The kernel ends a child with its server, but only from when the child has asked for it."""
    channel, far_end = channel_pair()
    process = os.fork()
    if process == 0:
        try:
            server_program._be_child(far_end.fileno(), executors, server=-1)
        finally:  # else an error would leave a second process of tests
            os._exit(1)
    far_end.close()
    channel.set_deadline(monotonic() + PATIENCE_S)

    with pytest.raises(ChannelClosedError):
        channel.receive()
    assert os.waitpid(process, 0) == (process, 0)
    channel.close()


def test_a_server_that_has_ended_is_replaced(attempt: Attempt) -> None:
    assert works(attempt)
    server = server_of(attempt.sandbox)
    server._process.kill()
    server._process.wait()

    assert works(attempt)


def test_a_server_whose_attempt_was_abandoned_is_replaced(attempt: Attempt) -> None:
    """Its next message would be about the old attempt, and the wrong process would be killed."""
    endless = replace(AMPLE, wall_s=float("inf"))

    with pytest.raises(OverflowError):  # from the clock, once the child has been forked
        attempt("rest", endless, seconds=300)

    assert works(attempt)
    assert attempt("rest", replace(AMPLE, wall_s=0.2), seconds=300).usage.wall_s < 150


def test_an_attempt_whose_server_dies_may_be_tried_again(attempt: Attempt) -> None:
    assert works(attempt)
    server = server_of(attempt.sandbox)

    class KillingFunctions(MemoryFunctions):
        def invoke(self, name: str, payload: Any) -> Any:  # noqa: ANN401, ARG002
            server._process.kill()
            server._process.wait()
            return {}

    with pytest.raises(TryAgainError):
        attempt("call_a_function", services=replace(SERVICES, functions=KillingFunctions()))
    assert works(attempt)


def test_a_server_ends_when_its_parent_closes_the_channel(tmp_path: Path) -> None:
    sandbox = ForkedSandbox(HOSTILE_EXECUTORS)
    assert works(Attempt(sandbox, tmp_path))
    server = server_of(sandbox)

    server._channel.close()

    assert server._process.wait(PATIENCE_S) == 0
    sandbox.close()


def test_a_server_whose_child_is_stopped_ends_with_its_parent(tmp_path: Path) -> None:
    sandbox = ForkedSandbox(HOSTILE_EXECUTORS)
    request = Attempt(sandbox, tmp_path).request("be_stopped")
    with sandbox.begun(request):
        wait_for_state(running_child(sandbox, request), "T")
        server = sandbox._begun[id(request)]

        server._channel.close()

        assert server._process.wait(PATIENCE_S) == 0


def test_a_sandbox_that_is_collected_leaves_no_process(tmp_path: Path) -> None:
    sandbox = ForkedSandbox(HOSTILE_EXECUTORS)
    assert works(Attempt(sandbox, tmp_path))
    process = server_of(sandbox)._process

    del sandbox
    gc.collect()

    assert process.poll() is not None


def test_attempts_of_several_threads_run_at_the_same_time(tmp_path: Path) -> None:
    with closing(ForkedSandbox(HOSTILE_EXECUTORS)) as sandbox:
        both_are_called = threading.Barrier(2, timeout=PATIENCE_S)

        class MeetingFunctions(MemoryFunctions):
            def invoke(self, name: str, payload: Any) -> Any:  # noqa: ANN401, ARG002
                both_are_called.wait()
                return "met"

        services = replace(SERVICES, functions=MeetingFunctions())
        answers: list[object] = []

        def run(folder: Path) -> None:
            folder.mkdir()
            attempt = Attempt(sandbox, folder)
            answers.append(attempt("call_a_function", AMPLE, services).outputs)

        threads = [
            threading.Thread(target=run, args=(tmp_path / name,)) for name in ("first", "second")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert answers == ["met", "met"]


def prepare_for(attempt: Attempt, name: str, limits: Limits = AMPLE) -> int:
    """Prepare the child of an attempt, and return its process id."""
    attempt.sandbox.prepare_for(f"hostile:{name}", limits)
    return waiting_child(attempt.sandbox)


def test_an_attempt_gets_the_child_that_was_prepared_for_it(attempt: Attempt) -> None:
    child = prepare_for(attempt, "look_around")

    assert attempt("look_around").outputs["process"] == child
    assert attempt("look_around").outputs["process"] != child


@pytest.mark.parametrize(
    ("name", "limits"),
    [("echo", AMPLE), ("look_around", replace(AMPLE, memory_mib=129))],
    ids=["executor", "limits"],
)
def test_an_attempt_never_gets_a_child_that_was_prepared_for_another(
    attempt: Attempt, name: str, limits: Limits
) -> None:
    child = prepare_for(attempt, name, limits)

    assert attempt("look_around").outputs["process"] != child
    assert not Path(f"/proc/{child}").exists()


def test_a_child_is_prepared_once(attempt: Attempt) -> None:
    child = prepare_for(attempt, "echo")

    assert prepare_for(attempt, "look_around") == child
    assert attempt("look_around").outputs["process"] != child


def test_a_prepared_child_that_is_killed_while_it_waits_fails_no_attempt(attempt: Attempt) -> None:
    child = prepare_for(attempt, "echo")
    os.kill(child, signal.SIGKILL)
    wait_for_end(child)

    assert works(attempt)


def test_a_child_that_is_killed_before_it_is_prepared_fails_no_attempt(attempt: Attempt) -> None:
    attempt.sandbox.prepare()
    child = waiting_child(attempt.sandbox)
    os.kill(child, signal.SIGKILL)
    wait_for_end(child)

    attempt.sandbox.prepare_for("hostile:echo", AMPLE)

    assert works(attempt)


def test_a_server_that_is_killed_after_it_was_prepared_is_replaced(attempt: Attempt) -> None:
    prepare_for(attempt, "echo")
    process = server_of(attempt.sandbox)._process
    process.kill()
    process.wait()

    assert works(attempt)
