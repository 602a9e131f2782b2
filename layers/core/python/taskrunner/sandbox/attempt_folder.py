"""The folder of one attempt, which is removed with everything in it however the attempt ends.

A function that is killed removes nothing. Lambda then starts it again in the same environment and
does not clear /tmp (see "Lambda execution environment lifecycle"), so the files would take disk
space from the steps of other tenants. Each attempt therefore holds a lock on its folder, and the
next attempt removes every folder whose lock is free.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from taskrunner.sandbox.attempt import OUTPUT_FOLDER, SCRATCH_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def attempt_folder() -> Iterator[Path]:
    """Make a new folder that contains `output` and `scratch`, and remove it afterwards."""
    parent = Path(tempfile.gettempdir(), f"taskrunner-attempts-{os.getuid()}")
    parent.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as until_the_end:
        # The parent is locked as well: until its own lock is held, a new folder looks abandoned.
        with _locked(parent):
            _remove_abandoned(parent)
            folder = Path(tempfile.mkdtemp(dir=parent))
            until_the_end.enter_context(_locked(folder))
        until_the_end.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / OUTPUT_FOLDER).mkdir()
        (folder / SCRATCH_FOLDER).mkdir()
        yield folder


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.iterdir():
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
