"""An executor in the sandbox sees no credentials, no network and no other process."""

from __future__ import annotations

import json
import os
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from taskrunner.model.run import Reason
from taskrunner.sandbox.launcher import ForkedSandbox
from tests.contract.sandbox.attempt import HOSTILE_EXECUTORS

if TYPE_CHECKING:
    from tests.contract.sandbox.attempt import Attempt

REFUSED = "the executor failed with an unexpected error (PermissionError)"


def test_an_executor_has_nothing_of_the_parent_process(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    with closing(ForkedSandbox(HOSTILE_EXECUTORS)) as new_sandbox:
        attempt.sandbox = new_sandbox

        seen = attempt("look_around").outputs

    assert seen["environment"] == {}
    assert "hunter2" not in json.dumps(seen)
    assert seen["folder"] == str(attempt.folder)
    assert seen["modules"] == []
    # Three times /dev/null, the socket to the parent, and the listing itself.
    assert len(seen["descriptors"]) == 5


def test_an_executor_cannot_read_the_parents_environment(attempt: Attempt) -> None:
    result = attempt("read_parent", pid=os.getpid())

    assert result.reason is Reason.EXECUTOR_ERROR
    assert result.message == REFUSED


@pytest.mark.parametrize("path", ["/proc/self/statm", "/proc/thread-self/status"])
def test_an_executor_can_read_about_its_own_process(attempt: Attempt, path: str) -> None:
    assert attempt("read_file", path=path).outputs["bytes"] > 0


@pytest.mark.parametrize("path", ["/proc/self/root/../proc/{}/environ", "/proc/self/../{}/environ"])
def test_an_executor_cannot_read_another_process_by_way_of_its_own(
    attempt: Attempt, path: str
) -> None:
    assert attempt("read_file", path=path.format(os.getpid())).message == REFUSED


@pytest.mark.parametrize(
    "executor",
    ["connect", "connect_by_number", "send_datagram", "send_message", "listen", "resolve"],
)
def test_an_executor_has_no_network(attempt: Attempt, executor: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        result = attempt(executor, host="127.0.0.1", port=port)

        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert result.reason is Reason.EGRESS_DENIED


@pytest.mark.parametrize(
    "executor",
    ["run_a_program", "become_a_program", "multiply", "kill_the_parent", "raise_limits"],
)
def test_an_executor_cannot_start_or_change_processes(attempt: Attempt, executor: str) -> None:
    result = attempt(executor, pid=os.getpid())

    assert result.message == REFUSED


def test_an_executor_can_open_a_limited_number_of_files(attempt: Attempt) -> None:
    failure = json.loads(attempt("open_many_files").message)

    assert failure["opened"] < 256


def test_output_that_an_executor_prints_is_discarded(
    attempt: Attempt, capfd: pytest.CaptureFixture[str]
) -> None:
    with closing(ForkedSandbox(HOSTILE_EXECUTORS)) as new_sandbox:
        attempt.sandbox = new_sandbox
        attempt("print_and_log")

    assert capfd.readouterr() == ("", "")
