"""An attempt's folder is empty before it, and nothing of it stays afterwards.

If the function was killed, the next attempt removes the folder.
"""

from __future__ import annotations

import fcntl
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from taskrunner.sandbox.attempt_folder import abandon, attempt_folder

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


def test_the_next_attempt_gets_a_folder_that_was_left_empty() -> None:
    with attempt_folder() as first:
        (first / "scratch" / "file").write_text("x")
        (first / "scratch" / "file").unlink()
    with attempt_folder() as second:
        assert sorted(path.name for path in second.rglob("*")) == ["output", "scratch"]

    assert second == first


@pytest.mark.parametrize("name", ["other", "output/.file", "scratch/deep/", "output/link"])
def test_a_folder_in_which_anything_was_left_is_removed(name: str) -> None:
    with attempt_folder() as folder:
        if name.endswith("/"):
            (folder / name).mkdir()
        elif name.endswith("link"):
            (folder / name).symlink_to("nowhere")
        else:
            (folder / name).write_text("x")

    assert not folder.exists()


@pytest.mark.parametrize("name", ["", "output", "scratch"])
def test_a_folder_with_other_permissions_is_removed(name: str) -> None:
    with attempt_folder() as folder:
        (folder / name).chmod(0o755)

    assert not folder.exists()


def test_a_folder_is_removed_when_another_one_stands_for_its_output(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    with attempt_folder() as folder:
        (folder / "output").rmdir()
        (folder / "output").symlink_to(elsewhere)

    assert not folder.exists()
    assert elsewhere.exists()


def test_an_empty_folder_is_removed_when_the_attempt_raises() -> None:
    """Its process may go on for a moment, and write to it."""
    with pytest.raises(ZeroDivisionError), attempt_folder() as first:
        _ = 1 / 0
    with attempt_folder() as second:
        assert second != first


def test_a_folder_that_was_changed_while_it_was_kept_is_removed() -> None:
    with attempt_folder() as first:
        pass
    (first / "output" / "file").write_text("x")

    with attempt_folder() as second:
        assert second != first
        assert sorted(path.name for path in second.rglob("*")) == ["output", "scratch"]
    with attempt_folder():
        assert not first.exists()


def test_a_folder_that_vanished_while_it_was_kept_is_made_again() -> None:
    with attempt_folder() as first:
        pass
    shutil.rmtree(first)

    with attempt_folder() as second:
        assert sorted(path.name for path in second.rglob("*")) == ["output", "scratch"]


def test_attempts_at_the_same_time_never_get_the_same_folder() -> None:
    with attempt_folder():
        pass
    with attempt_folder() as first, attempt_folder() as second:
        assert first != second


def test_a_folder_that_another_one_was_put_in_place_of_is_removed() -> None:
    """The lock is on the first one, and another function would take the second as abandoned."""
    with attempt_folder() as folder:
        folder.rename(f"{folder}-moved")
        for path in (folder, folder / "output", folder / "scratch"):
            path.mkdir(mode=0o700)

    assert not folder.exists()
    with attempt_folder() as other:
        assert list(other.parent.iterdir()) == [other]


def no_more_locks(*_: int) -> None:
    raise OSError("no more locks")


def open_files() -> int:
    return len(set(Path("/proc/self/fd").iterdir()))


def test_a_folder_is_removed_when_the_next_attempt_cannot_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with attempt_folder() as folder:
        pass
    (folder.parent / "abandoned").mkdir()
    before = open_files()

    monkeypatch.setattr(fcntl, "flock", no_more_locks)
    with pytest.raises(OSError, match="no more locks"), attempt_folder():
        pass

    assert not folder.exists()
    assert open_files() == before - 1


def test_a_folder_that_was_abandoned_is_removed() -> None:
    with attempt_folder() as folder:
        abandon(folder)

    assert not folder.exists()
