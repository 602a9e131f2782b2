"""The local stack's worker: its command, its environment and its process."""

import os
import signal
import time
from pathlib import Path

import pytest

from taskrunner_cli.local import processes, worker
from taskrunner_cli.local.workspace import Workspace


@pytest.fixture(name="workspace")
def _workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    workspace.local.mkdir()
    # It describes a stack that does not answer, so the worker tries again and again.
    workspace.stack_file.write_text(
        '{"apiUrl": "http://127.0.0.1:9/live", "tokenUrl": "http://127.0.0.1:9/token", "clients":'
        ' {"worker": {"clientId": "id", "clientSecret": "s", "scope": "s", "tenant": "t"}}}'
    )
    return workspace


def test_no_variable_of_the_developer_chooses_its_caller() -> None:
    ambient = {"PATH": "/bin", "TASKRUNNER_API_URL": "https://live", "AWS_PROFILE": "production"}

    assert worker.environment(ambient) == {"PATH": "/bin"}


def test_it_is_a_client_of_the_stack(workspace: Workspace) -> None:
    words = worker.command(workspace)

    assert words[words.index("--as") + 1] == "worker"
    assert words[words.index("--stack") + 1] == str(workspace.stack_file)


def test_one_process_is_started_for_a_deployment_and_ended(workspace: Workspace) -> None:
    said: list[str] = []
    worker.ensure(workspace, "first", said.append)
    first = worker.running(workspace)
    worker.ensure(workspace, "first", said.append)
    again = worker.running(workspace)
    worker.ensure(workspace, "second", said.append)
    second = worker.running(workspace)
    worker.stop(workspace)

    assert first is not None
    assert again == first
    assert second is not None
    assert second.pid != first.pid
    assert [pid for pid, _ in second.earlier] == [first.pid]
    assert processes.find(first.pid, first.born) is None
    assert processes.find(second.pid, second.born) is None
    assert worker.running(workspace) is None
    assert said == ["starting a worker of the pool local"] * 2


def test_one_that_died_is_started_again(workspace: Workspace) -> None:
    worker.ensure(workspace, "target", lambda _: None)
    first = worker.running(workspace)
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while worker.running(workspace) is not None:
        assert time.monotonic() < end

    worker.ensure(workspace, "target", lambda _: None)
    second = worker.running(workspace)
    worker.stop(workspace)

    assert second is not None
    assert second.pid != first.pid
