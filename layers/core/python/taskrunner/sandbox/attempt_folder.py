"""The folder that an attempt works in, which is gone with it, however it ends.

An attempt whose function is killed removes nothing, and Lambda, which then starts the function anew
in the same environment, does not clear /tmp ("Lambda execution environment lifecycle"). So whoever
comes next removes what nobody holds any more: it would take disk from the steps of other tenants.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from taskrunner.sandbox.job import OUTPUT_FOLDER, SCRATCH_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def attempt_folder() -> Iterator[Path]:
    """A new folder with the folders `output` and `scratch` in it."""
    every = Path(tempfile.gettempdir(), f"taskrunner-attempts-{os.getuid()}")
    every.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as until_the_end:
        # A folder that is made and not held yet looks like one that was left behind.
        with _held(every):
            _remove_left_behind(every)
            own = Path(tempfile.mkdtemp(dir=every))
            until_the_end.enter_context(_held(own))
        until_the_end.callback(shutil.rmtree, own, ignore_errors=True)
        (own / OUTPUT_FOLDER).mkdir()
        (own / SCRATCH_FOLDER).mkdir()
        yield own


def _remove_left_behind(every: Path) -> None:
    for folder in every.iterdir():
        with suppress(OSError), _held(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(folder)


@contextmanager
def _held(folder: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold *folder* meanwhile, or until the process ends: the kernel lets go for who is killed.

    Raises:
        BlockingIOError: others hold it, and *how* does not wait for them.
    """
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(number, how)
        yield
    finally:
        os.close(number)
