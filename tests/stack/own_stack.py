"""The clone whose local stack the tests of this process use.

A clone has one stack, which one process of tests can use at a time. The first that needs one uses
that of this clone, which stays up. Any other one uses that of a folder with links to this clone's
files. pytest-xdist gives the tests of the stack to two processes (tests/conftest.py).
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
from contextlib import suppress
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Final

from taskrunner_cli import local
from taskrunner_cli.local.emulator import HOST
from taskrunner_cli.local.workspace import Workspace
from tests.template import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner_cli.local import Stack

_LINKED: Final = ROOT / ".local" / "linked"
# Linux begins at 32768 by default, and other systems at 49152.
_NOT_EPHEMERAL: Final = range(20000, 32000)


@cache
def own_workspace() -> Workspace:
    """Return this clone, or a folder with links to its files if another process uses this clone."""
    _LINKED.mkdir(parents=True, exist_ok=True)
    free = next(number for number in count() if _is_free(_LINKED / f"{number}.lock"))
    return Workspace(_LINKED / str(free) if free else ROOT)


def _is_free(path: Path) -> bool:
    """Return whether no other process holds the lock *path*, and hold it until this one ends."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT)  # a file object would warn that nobody closes it
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    return True


def up() -> Stack:
    """Return the stack of this process, started when it is not up."""
    own = own_workspace()
    if own.root == ROOT:
        return local.up()
    _link(own)
    return local.up(port=_free_port(), workspace=own)


def end_if_linked() -> None:
    """End the stack of this process, unless it is that of this clone, which stays up."""
    own = own_workspace()
    if own.root != ROOT:
        local.down(workspace=own)


def _link(own: Workspace) -> None:
    """Link to the files of this clone, all that it ignores left out, and to the environments."""
    local.down(workspace=own)  # a session before this one may have been killed
    own.local.mkdir(parents=True, exist_ok=True)
    linked = {path.name: path for path in ROOT.iterdir() if not path.name.startswith(".")}
    linked[".local/venvs"] = Workspace(ROOT).local / "venvs"
    for name, target in linked.items():
        link = own.root / name
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def _free_port() -> int:
    """Return a port that nothing listens on, and that no connection gets by itself.

    The system gives connections of the tests beside these one of its ephemeral ports, also between
    this look and the start of the emulator.
    """
    while True:
        port = random.choice(_NOT_EPHEMERAL)  # noqa: S311 - for no secret
        with suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port))
            return port
