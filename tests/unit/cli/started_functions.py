"""Run functions in MiniStack with what starts them, and print what happened as JSON.

test_emulator_starts.py runs it in the emulator's environment with a list of steps: what replaces
MiniStack's starts, then the `bootstrap` of packaging.py.
"""

import io
import json
import os
import runpy
import signal
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime

ARN = "arn:aws:lambda:us-east-1:123456789012:function:look"
# What differs in each start, and what a shell adds.
_OF_ONE_START = {"AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_LOG_STREAM_NAME"}
_OF_A_SHELL = {"_", "PWD", "OLDPWD", "SHLVL"}
LOOK = """
import gc, logging, os, random, resource, signal, ssl, sys, threading, time, uuid, yaml
at_import = dict(os.environ)
def handler(event, context):
    if event == "exit":
        os._exit(3)
    if event == "print":
        print("printed"); print("to errors", file=sys.stderr)
    with open("/proc/self/environ") as file:
        shown = file.read().rstrip("\\0").split("\\0")
    main = sys.modules["__main__"]
    return {
        "own": {
            "process": os.getpid(),
            "thread": threading.main_thread().native_id,
            "parent": os.getppid(),
            "command": open("/proc/self/cmdline").read(),
            "random": [random.random(), os.urandom(8).hex(), ssl.RAND_bytes(8).hex(), uuid.uuid4().hex],
        },
        "variables": dict(os.environ), "at_import": at_import, "shown": shown,
        "folder": os.getcwd(), "arguments": sys.argv, "original": sys.orig_argv,
        "path": sys.path, "flags": repr(sys.flags), "executable": [sys.executable, sys.prefix],
        "files": sorted(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")),
        "input": sys.stdin.read(),
        "streams": [[it.encoding, it.errors] for it in (sys.stdin, sys.stdout, sys.stderr)],
        "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "limits": [resource.getrlimit(number) for number in range(16)],
        "main": [main.__file__, main.__package__, main.__spec__.name, sorted(vars(main))],
        "threads": [thread.name for thread in threading.enumerate()],
        "collector": [gc.isenabled(), gc.get_threshold()],
        "loggers": sorted(name for name in logging.root.manager.loggerDict if name.startswith("task")),
        "zone": time.tzname, "group": [os.getpgid(0), os.getsid(0)],
        "package": yaml.__file__,
    }
"""


def archive(bootstrap: str) -> bytes:
    """Return a function's code."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("app.py", LOOK)
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        file.writestr(entry, bootstrap)
    return content.getvalue()


def new_worker(bootstrap: str, **variables: str) -> Any:  # noqa: ANN401 - MiniStack has no types
    """Return what starts and calls a function."""
    config = {
        "FunctionName": "look",
        "FunctionArn": ARN,
        "Timeout": 60,
        "Handler": "app.handler",
        "Environment": {"Variables": variables},
    }
    return lambda_runtime.ProvidedWorker("look", config, archive(bootstrap))
