"""An attempt's folder is gone with it, and what a killed one left goes with the next."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from taskrunner.sandbox.attempt_folder import attempt_folder

# An attempt in a process of its own, which says where it works and goes on until it is killed.
AT_WORK = """
import sys
from taskrunner.sandbox.attempt_folder import attempt_folder
with attempt_folder() as folder:
    (folder / "output" / "file").write_text("of a tenant")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


def at_work() -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(  # noqa: S603 - our own source
        [sys.executable, "-c", AT_WORK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_it_has_the_steps_folders_and_goes_with_all_that_is_in_it() -> None:
    with attempt_folder() as folder:
        (folder / "scratch" / "deep").mkdir()
        (folder / "output" / "file").write_text("x")
        found = sorted(path.name for path in folder.iterdir())

    assert found == ["output", "scratch"]
    assert not folder.exists()


def test_nobody_else_may_look_into_it() -> None:
    with attempt_folder() as folder:
        assert [oct(path.stat().st_mode & 0o777) for path in (folder, folder.parent)] == [
            "0o700",
            "0o700",
        ]


def test_it_goes_when_the_attempt_breaks_off() -> None:
    with pytest.raises(ZeroDivisionError), attempt_folder() as folder:
        _ = 1 / 0

    assert not folder.exists()


def test_what_a_killed_function_left_goes_with_the_next_attempt() -> None:
    process, left = at_work()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (left / "output" / "file").exists()

    with attempt_folder():
        assert not left.exists()


def test_what_is_still_worked_in_stays() -> None:
    process, other = at_work()

    with attempt_folder() as one, attempt_folder() as two:
        assert (other / "output" / "file").exists()
        assert one.exists()
        assert two.exists()

    process.communicate("")
    assert not other.exists()
