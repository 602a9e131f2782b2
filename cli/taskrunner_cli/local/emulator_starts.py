"""Start functions as forks of a process that has imported what most of them import.

Imports are most of a function's cold start. Here one process imports what is in the layers
(`prepared_function.py`), and each function is a fork of it, which goes on as its `bootstrap` would.
A fork is a child of the emulator, so MiniStack waits for it, ends it and sees its exit status as
before.

Everything else is started by its `bootstrap`: functions without the layers, functions on other
platforms than Linux, functions with other variables that an interpreter reads when it starts, and
each start for which the prepared process fails. There is one for each copy of the package and each
installation of its packages, and a new one when it has died. It ends with the emulator, because it
reads from a socket that closes then.

`emulator_process.py` loads this file. It runs in the emulator's environment, so it imports nothing
of the project. tests/programs/emulator/test_starts.py tests it.
"""

import json
import os
import platform
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from ministack.core import lambda_runtime

_PROGRAM = Path(__file__).with_name("prepared_function.py")
_MACHINES = frozenset({"x86_64", "aarch64"})
_PATIENCE_S = 30.0
_MOST_PREPARED = 2  # a release and the next one
# What the interpreter and the packages read before a function's code does.
_READ_AT_START = ("PYTHON", "LANG", "LC_", "LD_", "TZ", "MALLOC_", "GLIBC_")
_READ_BY_IMPORTS = ("OPENSSL_", "CRYPTOGRAPHY_", "PYDANTIC_")
# /proc shows a process's variables where they were when its program began. A function's variables
# get room there by a large one, which the function itself does not have.
_ROOM = {"_ROOM": " " * 16384}


class Start(NamedTuple):
    """The program of a `bootstrap`: AWS's runtime, with folders to import from.

    Args:
        python: the interpreter.
        path: the folders, as PYTHONPATH has them.
        installed: the versions of the files that say what the environments of both hold.

    """

    python: str
    path: str
    installed: tuple[tuple[int, int], ...]


def read_start(bootstrap: str) -> Start | None:
    """Return what the *bootstrap* of packaging.py starts; None: another program, or no layer."""
    words = shlex.split(Path(bootstrap).read_text(encoding="utf-8"), comments=True)
    match words:
        case [path, "export", "PYTHONPATH", "exec", python, "-m", "awslambdaric", "$_HANDLER"]:
            folders = [Path(folder) for folder in path.removeprefix("PYTHONPATH=").split(":")]
        case _:
            return None
    # An environment has its packages in lib/pythonX.Y/site-packages, and its interpreter in bin.
    pins = [folder.parents[2] / ".pins" for folder in folders if folder.name == "site-packages"]
    if not pins:
        return None
    files = [Path(python).parents[1] / ".pins", *pins]
    installed = tuple((file.stat().st_ino, file.stat().st_mtime_ns) for file in files)
    return Start(python, ":".join(map(str, folders)), installed)


class Prepared:
    """A process that is prepared for a *start*, and is forked for each function."""

    def __init__(self, start: Start) -> None:
        self.has_forked = False
        self._control, far_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with far_end:
            self._process = subprocess.Popen(  # noqa: S603 -- our own program
                [start.python, _PROGRAM, str(far_end.fileno())],
                env={**os.environ, "PYTHONPATH": start.path, **_ROOM},
                stdin=subprocess.DEVNULL,
                pass_fds=[far_end.fileno()],
            )

    def fork(self, folder: str, variables: Mapping[str, str], streams: Sequence[int]) -> int:
        """Return the id of a new process of a function, which is a child of this process.

        Raises:
            OSError: the prepared process has died, or did not answer in time.

        """
        line, far_end = socket.socketpair()
        with line:
            line.settimeout(_PATIENCE_S)
            with far_end:
                request = json.dumps({"folder": folder, "variables": dict(variables)}).encode()
                socket.send_fds(self._control, [request], [*streams, far_end.fileno()])
            pid = line.recv(8)
            if not pid:
                raise BrokenPipeError("the prepared process has ended")
            # The fork waits for this, and ends if it does not come. So none runs that is not known.
            line.sendall(b"go")
        self.has_forked = True
        return int.from_bytes(pid, sys.byteorder)

    def end(self) -> None:
        """End the process, and not the functions that were forked from it."""
        self._control.close()
        self._process.kill()
        self._process.wait()


class Starts:
    """Starts functions by forks, where that is possible."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._prepared: dict[Start, Prepared] = {}  # the one that was used last comes last
        self._is_possible = sys.platform == "linux" and platform.machine() in _MACHINES

    def fork(
        self, bootstrap: str, folder: str, variables: Mapping[str, str], streams: Sequence[int]
    ) -> int | None:
        """Return the process id of a function, or None if its `bootstrap` must be started.

        Args:
            bootstrap: the path of the program.
            folder: the current folder of the function.
            variables: all environment variables of the function.
            streams: the descriptors of its standard input, output and errors.

        """
        with self._lock:
            if not self._is_possible or _settings(variables) != _settings(os.environ):
                return None
            try:
                start = read_start(bootstrap)
            except (OSError, ValueError):
                return None
            return self._fork(start, folder, variables, streams) if start else None

    def _fork(
        self, start: Start, folder: str, variables: Mapping[str, str], streams: Sequence[int]
    ) -> int | None:
        prepared = self._prepared.pop(start, None) or Prepared(start)
        try:
            pid = prepared.fork(folder, {**variables, "PYTHONPATH": start.path}, streams)
        except OSError:
            # The next start tries it with a new one, unless this one has never worked.
            self._is_possible = prepared.has_forked
            prepared.end()
            return None
        self._prepared[start] = prepared
        while len(self._prepared) > _MOST_PREPARED:
            self._prepared.pop(next(iter(self._prepared))).end()
        return pid


def _settings(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that count before a function's code runs."""
    known = (*_READ_AT_START, *_READ_BY_IMPORTS)
    return {name: text for name, text in variables.items() if name.startswith(known)}


class Function(subprocess.Popen[bytes]):
    """A process that MiniStack starts."""

    def _execute_child(self, args: Sequence[str], *details: Any) -> None:
        """Fork where that is possible; Popen does all that comes before and after it.

        Its *details* are, among others, the folder, the variables, and six descriptors: two each of
        the pipes for the input, the output and the errors.
        """
        folder, variables, pipes = details[4], details[5], details[9:15]
        streams = pipes[0], pipes[3], pipes[5]
        pid = None
        if Path(args[0]).name == "bootstrap" and -1 not in streams:
            pid = starts.fork(args[0], folder, variables, streams)
        if pid is None:
            super()._execute_child(args, *details)  # type: ignore[misc]
        else:
            self.pid, self._child_created = pid, True
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


starts = Starts()


def install() -> None:
    """Let MiniStack start functions so."""
    lambda_runtime.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": Function})
