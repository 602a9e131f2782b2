"""The clone whose local stack the tests of this process use.

A clone has one stack, which the tests of one process use. pytest-xdist gives the tests of the stack
to two processes (tests/conftest.py): one uses the stack of this clone, and the other that of a
folder with links to this clone's files.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

from taskrunner_cli import local
from taskrunner_cli.local.emulator import HOST
from taskrunner_cli.local.workspace import Workspace
from tests.template import ROOT

if TYPE_CHECKING:
    from taskrunner_cli.local import Stack

# pytest-xdist sets it. It gives the first of the files in order to its first process.
_PROCESS: Final = "PYTEST_XDIST_WORKER"
_USES_THIS_CLONE: Final = {"", "gw0"}


def own_workspace() -> Workspace:
    """Return this clone, or the folder of this process with links to its files."""
    process = os.environ.get(_PROCESS, "")
    return Workspace(ROOT if process in _USES_THIS_CLONE else ROOT / ".local" / "linked" / process)


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
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
