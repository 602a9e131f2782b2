"""An attempt's folder is removed after it, or by the next attempt when the function was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from taskrunner.sandbox.attempt_folder import attempt_folder

# An attempt in a process of its own: it prints its folder and goes on until its input ends.
ATTEMPT = """
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


def running_attempt() -> tuple[subprocess.Popen[str], Path]:
    """Start an attempt; return its process and its folder."""
    process = subprocess.Popen(  # noqa: S603 - our own source
        [sys.executable, "-c", ATTEMPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_the_folder_has_the_steps_folders_and_is_removed_with_all_its_content() -> None:
    with attempt_folder() as folder:
        (folder / "scratch" / "deep").mkdir()
        (folder / "output" / "file").write_text("x")
        content = sorted(path.name for path in folder.iterdir())

    assert content == ["output", "scratch"]
    assert not folder.exists()


def test_the_folder_and_its_parent_are_private_to_the_user() -> None:
    with attempt_folder() as folder:
        modes = [oct(path.stat().st_mode & 0o777) for path in (folder, folder.parent)]

    assert modes == ["0o700", "0o700"]


def test_the_folder_is_removed_when_the_attempt_raises() -> None:
    with pytest.raises(ZeroDivisionError), attempt_folder() as folder:
        _ = 1 / 0

    assert not folder.exists()


def test_the_next_attempt_removes_the_folder_of_a_killed_function() -> None:
    process, abandoned = running_attempt()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (abandoned / "output" / "file").exists()

    with attempt_folder():
        assert not abandoned.exists()


def test_an_attempt_keeps_the_folders_of_running_attempts() -> None:
    process, running = running_attempt()

    with attempt_folder() as first, attempt_folder() as second:
        assert (running / "output" / "file").exists()
        assert first.exists()
        assert second.exists()

    process.communicate("")
    assert not running.exists()
