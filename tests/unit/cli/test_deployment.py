"""The deployment of the local stack: what makes it outdated, and the failures of the emulator."""

from pathlib import Path

import pytest

from taskrunner_cli.local import clients, deployment
from taskrunner_cli.local.emulator import Emulator
from taskrunner_cli.local.errors import LocalStackError
from taskrunner_cli.local.workspace import Workspace
from tests.unit.cli.fake_http import Answer, serving

SOURCES = (
    "template.yaml",
    "functions/run_step/app.py",
    "examples/executors/e.py",
    "layers/core/python/taskrunner/model.py",
    "statemachine/frame.asl.yaml",
    "cli/taskrunner_cli/local/deployment.py",
    "cli/taskrunner_cli/local/clients.py",
)


@pytest.fixture(name="clone")
def _clone(tmp_path: Path) -> Workspace:
    for source in SOURCES:
        (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / source).write_text("before")
    return Workspace(tmp_path)


@pytest.mark.parametrize("source", SOURCES)
def test_a_change_of_any_source_makes_the_deployment_outdated(
    clone: Workspace, source: str
) -> None:
    before = deployment.digest(clone)

    (clone.root / source).write_text("after")

    assert deployment.digest(clone) != before


def test_a_change_of_another_file_does_not(clone: Workspace) -> None:
    before = deployment.digest(clone)

    (clone.root / "README.md").write_text("after")

    assert deployment.digest(clone) == before


def test_clients_that_cannot_be_registered_are_an_error_of_the_local_stack() -> None:
    refused = Answer(
        400,
        {"__type": "ResourceNotFoundException", "message": "User pool p does not exist."},
        {"x-amzn-errortype": "ResourceNotFoundException"},
    )
    with serving(lambda _: refused) as origin:
        emulator = Emulator(pid=1, born=0.0, port=int(origin.rpartition(":")[2]))

        with pytest.raises(LocalStackError, match="User pool p does not exist") as raised:
            clients.register(emulator, "p", "table")

    assert "registering the clients" in raised.value.message
    assert raised.value.cure
