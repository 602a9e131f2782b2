"""`worker run`: its options; tests/programs/worker has the tests of what it does."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Command


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--pool", "Linux"), "'Linux' cannot be the name of a pool"),
        (("--pool", "linux", "--name", "a b"), "'a b' cannot be the name of a worker"),
        (("--pool", "linux", "--label", "gpu"), "--label 'gpu' is not KEY=VALUE"),
        (("--pool", "linux", "--container", "lxc"), "lxc"),
        (("--pool", "linux", "--work-folder", "/dev/null/x"), "cannot make the work folder"),
        ((), "--pool"),
    ],
)
def test_rejects_options_that_cannot_be(
    taskrunner: Command, options: tuple[str, ...], message: str
) -> None:
    ended = taskrunner("worker", "run", *options)

    assert ended.code == 2
    assert message in ended.err


def test_rejects_a_folder_that_others_can_write_to(taskrunner: Command, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    ended = taskrunner("worker", "run", "--pool", "linux", "--work-folder", str(tmp_path))

    assert ended.code == 2
    assert "other users can write to the work folder" in ended.err
