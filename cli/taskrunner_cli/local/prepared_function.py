"""The process that `emulator_starts.py` forks for each start of a function.

It imports the packages of the layers and the modules of `taskrunner`, from a copy that later edits
do not change. It does not import what looks at a process when it is imported, nor a function's
code. It has one thread, and learns nothing of a function: only a fork reads its variables.

A fork becomes what `python -m awslambdaric` would be in the function's folder: its variables,
arguments, streams, and folders to import from. Python seeds `random` anew in each fork, and OpenSSL
its generator. Only the order of a set of texts is the same in all forks, because Python chooses it
once for a process.

It runs in the emulator's environment, so it imports nothing of the project.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import platform
import runpy
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

# Most functions import these until their first call of AWS, and a few need the expensive ones.
_NAMES = """
botocore.handlers botocore.retries.adaptive botocore.retries.standard botocore.session
cachetools concurrent.futures.thread cryptography.x509 dateutil.parser difflib html jwt.algorithms
pydantic.json_schema pydantic.main rfc8785 simplejson urllib.request uuid yaml zoneinfo
"""
MODULES = _NAMES.split()
# `bootstrap` reads the variables of a function, the sandbox has programs of its own, and Powertools
# changes the clients of a process that imports it.
_OF_A_PROCESS = (
    "taskrunner.bootstrap",
    "taskrunner.sandbox",
    "taskrunner.adapters.stream_records",
)
# These files of the package say which parts of the packages are not imported in a function.
_LEFT_OUT = {
    "adapters/botocore_session.py": "leave_out_unused_modules",
    "pydantic_plugins.py": "find_none",
}

_SYS_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE_PARENT, _CLONE_CHILD_CLEARTID, _CLONE_CHILD_SETTID = 0x8000, 0x200000, 0x1000000
_PR_GET_TID_ADDRESS = 40
_MOST_BYTES = 1 << 17
_C_LIBRARY = ctypes.PyDLL(None)  # keeps the interpreter's lock during a call
_C_LIBRARY.syscall.restype = ctypes.c_long


def prepare(package: Path) -> None:
    """Import packages as the functions of *package* do, `taskrunner` or a folder without it."""
    gc.disable()
    for file, function in _LEFT_OUT.items():
        if (package / file).exists():
            runpy.run_path(str(package / file))[function]()
    for name in (*MODULES, *_modules(package)):
        with contextlib.suppress(Exception):  # a function that needs it will say why
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # no collection in a fork looks at, and so copies, what all of them share
    gc.enable()


def _modules(package: Path) -> list[str]:
    files = sorted(file for file in package.rglob("*.py") if file.name != "__init__.py")
    names = (".".join(file.relative_to(package.parent).with_suffix("").parts) for file in files)
    return [name for name in names if not name.startswith(_OF_A_PROCESS)]


def fork_for_parent() -> int:
    """Fork a process whose parent is this one's parent; return its id, and 0 in it.

    `os.fork` cannot do that. So this calls what it calls: Python's own functions before and after a
    fork, and Linux. Linux also writes the new id where the C library keeps that of the main thread.

    Raises:
        OSError: the C library keeps it elsewhere, or Linux refuses.

    """
    thread_id = ctypes.c_void_p()
    _C_LIBRARY.prctl(_PR_GET_TID_ADDRESS, ctypes.byref(thread_id), 0, 0, 0)
    if not thread_id.value or ctypes.c_int.from_address(thread_id.value).value != os.getpid():
        raise OSError("this is not the GNU C library")
    flags = _CLONE_PARENT | _CLONE_CHILD_CLEARTID | _CLONE_CHILD_SETTID
    number = _SYS_CLONE[platform.machine()]
    ctypes.pythonapi.PyOS_BeforeFork()
    # The last two are the place of the id and one that is not used, in either order.
    pid: int = _C_LIBRARY.syscall(number, ctypes.c_ulong(flags), None, None, thread_id, thread_id)
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError("Linux cannot fork for a parent")
    return pid


def serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each request; return the request in a fork, and None when the emulator has ended."""
    while True:
        request, files, _, _ = socket.recv_fds(control, _MOST_BYTES, 4)
        if not request:
            return None
        if fork_for_parent() == 0:
            control.close()
            _connect(*files)
            return dict(json.loads(request))
        for file in files:
            os.close(file)


def _connect(standard_input: int, output: int, errors: int, line: int) -> None:
    """Take the streams of a function, after the emulator has learned that this process exists."""
    with socket.socket(fileno=line) as emulator:
        emulator.sendall(os.getpid().to_bytes(8, sys.byteorder))
        if not emulator.recv(2):
            os._exit(1)  # it gave up, and has started another process
    for number, file in enumerate((standard_input, output, errors)):
        os.dup2(file, number)
        os.close(file)


def become(request: dict[str, Any], folders: list[str]) -> None:
    """Become the runtime of a function. *folders* are those that every interpreter imports from."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["variables"])
    path = [folder for folder in os.environ["PYTHONPATH"].split(":") if folder]
    sys.path[:] = [os.getcwd(), *path, *folders]  # noqa: PTH109 -- as Python itself does
    sys.argv[:] = ["-m", os.environ["_HANDLER"]]
    sys.orig_argv[:] = [sys.orig_argv[0], "-m", "awslambdaric", os.environ["_HANDLER"]]
    _show_as_function()
    sys.modules["__main__"] = ModuleType("__main__")
    run_as_main: Any = runpy._run_module_as_main  # type: ignore[attr-defined]  # noqa: SLF001
    run_as_main("awslambdaric")  # as `-m` does


def _show_as_function() -> None:
    """Let /proc show this function's command and variables, and not those of the process before."""
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    arguments_start, arguments_end, variables_start, variables_end = map(int, fields[45:49])
    _overwrite(arguments_start, arguments_end, map(os.fsencode, sys.orig_argv))
    _overwrite(variables_start, variables_end, (b"%b=%b" % item for item in os.environb.items()))


def _overwrite(start: int, end: int, texts: Iterable[bytes]) -> None:
    """Write what fits of *texts* between two addresses, each with a zero after it."""
    content = b"".join(text + b"\0" for text in texts)[: end - start - 1]
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, content, len(content))


def main() -> None:
    """Serve on the socket whose number is the argument."""
    control = socket.socket(fileno=int(sys.argv[1]))
    of_layers = os.environ["PYTHONPATH"].split(":")
    del sys.path[0]  # this file's folder
    folders = [folder for folder in sys.path if folder not in of_layers]
    prepare(Path(of_layers[0], "taskrunner"))
    request = serve(control)
    if request is not None:
        become(request, folders)


if __name__ == "__main__":
    main()
