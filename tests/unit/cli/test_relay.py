"""The relay between containers and the local stack: every failure is a message."""

import json
from pathlib import Path

import pytest

from taskrunner_cli.local import relay

STACK = {
    "apiUrl": "http://a", "tokenUrl": "http://t", "endpointUrl": "http://127.0.0.1:4610",
    "region": "r", "tableName": "t", "bucketName": "b", "machinePrefix": "m",
    "packRunMachineArn": "p", "reconcileFunction": "c", "evidenceKeyArn": "e",
    "approvalTopicArn": "a", "userPoolId": "u", "accessKeyId": "k", "secretAccessKey": "s",
    "clients": {},
}  # fmt: skip


@pytest.fixture(name="clone")
def _clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with a stack file, and a folder of programs that is the whole PATH."""
    (tmp_path / "template.yaml").touch()
    for folder in ("statemachine", "layers/core/python", ".local", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / ".local" / "stack.json").write_text(json.dumps(STACK))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def _install_docker(clone: Path, script: str) -> None:
    docker = clone / "bin" / "docker"
    docker.write_text(f"#!/bin/sh\n{script}\n")
    docker.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'Cannot connect to the daemon' >&2; exit 1", "Cannot connect to the daemon"),
        ("exit 125", "docker exited with 125"),
        ("echo null", "does not say the address of its network"),
        ("echo '{}'", "does not say the address of its network"),
        ("echo 'not JSON'", "does not say the address of its network"),
        ("""echo '{"Subnet": "x"}'""", "does not say the address of its network"),
    ],
)
def test_says_what_is_wrong_with_docker(
    clone: Path, capsys: pytest.CaptureFixture[str], script: str, message: str
) -> None:
    _install_docker(clone, script)

    assert relay.main(["true"]) == 3
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert "\ntry:   " in error


@pytest.mark.usefixtures("clone")
def test_says_that_docker_is_not_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert relay.main(["true"]) == 3
    assert "try:   install Docker" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["no-such-program"]])
def test_rejects_a_command_that_cannot_be_run(
    clone: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    _install_docker(clone, """echo '{"Gateway": "192.0.2.1"}'""")

    assert relay.main(command) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps(STACK | {"endpointUrl": "nope"})])
def test_says_that_the_stack_file_cannot_be_used(
    clone: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (clone / ".local" / "stack.json").write_text(content)

    assert relay.main(["true"]) == 3
    assert capsys.readouterr().err.startswith("error: ")


def test_returns_the_exit_code_of_the_command(clone: Path) -> None:
    _install_docker(clone, """echo '{"Gateway": "192.0.2.1"}'""")

    assert relay.main(["/bin/sh", "-c", "exit 7"]) == 7
