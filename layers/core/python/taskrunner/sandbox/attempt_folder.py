"""The folder of one attempt; nothing of the attempt stays in it, however the attempt ends.

A function that is killed removes nothing. Lambda then starts it again in the same environment and
does not clear /tmp (see "Lambda execution environment lifecycle"), so the files would take disk
space from the steps of other tenants. Each attempt therefore holds a lock on its folder, and the
next attempt removes every folder whose lock is free.

A folder that an attempt has left empty is kept for the next attempt of this process, with its lock,
because removing three folders and making three others waits for the disk: 0.6 ms, and 3.5 on a busy
one. The next attempt looks whether it is still empty. It looks at plain strings: with pathlib, that
took a third of a millisecond for each attempt.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from taskrunner.sandbox.attempt import OUTPUT_FOLDER, SCRATCH_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES: Final = {OUTPUT_FOLDER, SCRATCH_FOLDER}
_PRIVATE: Final = 0o700


class _Lock:
    """A lock on *folder*. The kernel releases it when this process is killed.

    Raises BlockingIOError if another process holds it, and *operation* does not wait.
    """

    def __init__(self, folder: Path, operation: int = fcntl.LOCK_EX) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(folder, flags)
        try:
            fcntl.flock(self._descriptor, operation)
        except OSError:
            self.close()
            raise

    def is_on(self, folder: str) -> bool:
        """Return whether *folder* is still the one that was locked."""
        return os.path.samestat(os.fstat(self._descriptor), os.lstat(folder))

    def close(self) -> None:
        os.close(self._descriptor)


class _Folder:
    """The folder of an attempt of this process, which has its lock."""

    def __init__(self, path: Path) -> None:
        """Make the folders in *path*, which is new."""
        for name in _NAMES:
            (path / name).mkdir(mode=_PRIVATE)
        self.path = path
        self._name = str(path)
        self._inner = [f"{path}/{name}" for name in _NAMES]
        self._lock = _Lock(path)

    def is_in(self, parent: str) -> bool:
        return self._name.rpartition("/")[0] == parent

    def is_as_made(self) -> bool:
        """Return whether nothing was left in it, and nothing about its folders has changed."""
        folders = (self._name, *self._inner)
        try:
            return (
                self._lock.is_on(self._name)
                and all(os.lstat(folder).st_mode == stat.S_IFDIR | _PRIVATE for folder in folders)
                and set(os.listdir(self._name)) == _NAMES  # noqa: PTH208 - faster than pathlib
                and not any(os.listdir(folder) for folder in self._inner)  # noqa: PTH208
            )
        except OSError:
            return False

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        _own.discard(self.path.name)
        self._lock.close()


_own: Final[set[str]] = set()  # the names of this process's folders
_kept: Final[list[_Folder]] = []  # those that attempts have left empty, for the next ones


@contextmanager
def attempt_folder() -> Iterator[Path]:
    """Yield a folder that contains `output` and `scratch`, both empty; clear or remove it then."""
    parent = f"{tempfile.gettempdir()}/taskrunner-attempts-{os.getuid()}"
    folder = _taken(parent)
    try:
        if folder is None or not _own.issuperset(os.listdir(parent)):  # noqa: PTH208
            folder = _cleared(Path(parent), folder)
        yield folder.path
    except BaseException:
        if folder is not None:
            folder.remove()  # the attempt's process may not have ended yet
        raise
    if folder.path.name in _own and folder.is_as_made():
        _kept.append(folder)
    else:
        folder.remove()


def abandon(path: Path) -> None:
    """Let no other attempt get the folder *path*: something may still write to it."""
    _own.discard(path.name)


def _taken(parent: str) -> _Folder | None:
    """Return a folder in *parent* that an attempt has left empty, if there still is one."""
    with suppress(IndexError):  # there is none any more: other threads take them, too
        while True:
            folder = _kept.pop()
            if folder.is_in(parent) and folder.is_as_made():
                return folder
            folder.remove()
    return None


def _cleared(parent: Path, folder: _Folder | None) -> _Folder:
    """Remove from *parent* what killed functions have left; return *folder*, or a new one."""
    parent.mkdir(mode=_PRIVATE, exist_ok=True)
    # The parent is locked as well: until its own lock is held, a new folder looks abandoned.
    with closing(_Lock(parent)):
        for other in parent.iterdir():
            if other.name not in _own:
                with suppress(OSError), closing(_Lock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)):
                    shutil.rmtree(other)
        if folder is None:
            folder = _Folder(Path(tempfile.mkdtemp(dir=parent)))
            _own.add(folder.path.name)
    return folder
