"""The folder of one attempt; nothing of the attempt stays in it, however the attempt ends.

A function that is killed removes nothing. Lambda then starts it again in the same environment and
does not clear /tmp (see "Lambda execution environment lifecycle"), so the files would take disk
space from the steps of other tenants. Each attempt therefore holds a lock on its folder, and the
next attempt removes every folder whose lock is free.

A folder that an attempt has left empty is kept for the next attempt of this process, because
removing three folders and making three others waits for the disk: 0.6 ms, and 3.5 on a busy one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from taskrunner.sandbox.attempt import OUTPUT_FOLDER, SCRATCH_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDERS: Final = (OUTPUT_FOLDER, SCRATCH_FOLDER)
_PRIVATE: Final = 0o700
# The folders that attempts of this process have left empty. Only the holder of the lock on their
# parent takes one. Another process may remove them.
_empty: Final[list[Path]] = []


@contextmanager
def attempt_folder() -> Iterator[Path]:
    """Yield a folder that contains `output` and `scratch`, both empty; clear or remove it then."""
    parent = Path(tempfile.gettempdir(), f"taskrunner-attempts-{os.getuid()}")
    parent.mkdir(mode=_PRIVATE, exist_ok=True)
    with ExitStack() as until_the_end:
        # The parent is locked as well: until its own lock is held, a new folder looks abandoned.
        with _locked(parent):
            _remove_abandoned(parent)
            folder = _taken(parent) or _made(parent)
            until_the_end.enter_context(_locked(folder))
        try:
            yield folder
        except BaseException:
            # The attempt's process may not have ended yet.
            shutil.rmtree(folder, ignore_errors=True)
            raise
        if _is_as_made(folder):
            _empty.append(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _made(parent: Path) -> Path:
    folder = Path(tempfile.mkdtemp(dir=parent))
    for name in _FOLDERS:
        (folder / name).mkdir(mode=_PRIVATE)
    return folder


def _taken(parent: Path) -> Path | None:
    """Return a folder in *parent* that an attempt has left empty, if there still is one."""
    while _empty:
        folder = _empty.pop()
        if folder.parent == parent and _is_as_made(folder):
            return folder
    return None


def _is_as_made(folder: Path) -> bool:
    """Return whether nothing was left in *folder*, and nothing about its folders has changed."""
    inner = [folder / name for name in _FOLDERS]
    try:
        return (
            all(os.lstat(path).st_mode == stat.S_IFDIR | _PRIVATE for path in (folder, *inner))
            and set(folder.iterdir()) == set(inner)
            and not any(any(path.iterdir()) for path in inner)
        )
    except OSError:
        return False


def _remove_abandoned(parent: Path) -> None:
    for folder in set(parent.iterdir()).difference(_empty):
        with suppress(OSError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(folder)


@contextmanager
def _locked(folder: Path, operation: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold a lock on *folder*. The kernel releases it when this process is killed.

    Raises:
        BlockingIOError: another process holds it, and *operation* does not wait.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)
