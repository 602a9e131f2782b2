"""Start functions in MiniStack in both ways, and print what happened as JSON.

test_starts.py runs it in the emulator's environment. Arguments: emulator_starts.py, the
`bootstrap` of packaging.py, and what to do.
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
LOOK = """
import gc, os, random, resource, signal, ssl, sys, threading, time, urllib.request, uuid
at_import = dict(os.environ)

def shown(name):
    with open(f"/proc/self/{name}") as file:
        return sorted(file.read().rstrip("\\0").split("\\0"))

def handler(event, context):
    if event == "exit":
        os._exit(3)
    if event == "print":
        print("to output")
        print("to errors", file=sys.stderr)
    if event == "modules":
        import botocore, pydantic, taskrunner
        return [taskrunner.__file__, botocore.__file__, pydantic.__file__]
    main = sys.modules["__main__"]
    return {
        "process": os.getpid(),
        "modules": sorted(sys.modules),
        "random": [
            random.random(), os.urandom(8).hex(), ssl.RAND_bytes(8).hex(), uuid.uuid4().hex
        ],
        "same": {
            "variables": dict(os.environ),
            "variables at import": at_import,
            "variables shown": shown("environ"),
            "command shown": shown("cmdline"),
            "folder": os.getcwd(),
            "arguments": [sys.argv, sys.orig_argv],
            "path": sys.path,
            "interpreter": [repr(sys.flags), sys.executable, sys.prefix, sys.warnoptions],
            "main": [main.__file__, main.__package__, main.__spec__.name],
            "files": [fd for fd in range(256) if os.path.exists(f"/proc/self/fd/{fd}")],
            "input": [sys.stdin.read(), os.readlink("/proc/self/fd/0")],
            "one pipe": os.readlink("/proc/self/fd/1") == os.readlink("/proc/self/fd/2"),
            "encodings": [[it.encoding, it.errors] for it in (sys.stdin, sys.stdout, sys.stderr)],
            "signals": [str(signal.getsignal(each)) for each in sorted(signal.valid_signals())],
            "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
            "limits": [resource.getrlimit(each) for each in range(16)],
            "mask and priority": [os.umask(0o022), os.nice(0)],
            "parent and session": [os.getppid(), os.getpgid(0), os.getsid(0)],
            "threads": [thread.name for thread in threading.enumerate()],
            "collector": [gc.isenabled(), gc.get_threshold()],
            "zone": time.tzname,
        },
    }
"""
_OF_ONE_START = {"AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_LOG_STREAM_NAME"}
_OF_THE_SHELL = {"_", "PWD", "OLDPWD", "SHLVL"}


class Functions:
    """Starts functions with one `bootstrap`, and ends them."""

    def __init__(self, bootstrap: str) -> None:
        self._code = _archive(bootstrap)
        self._workers: list[Any] = []

    def new(self, **variables: str) -> Any:  # noqa: ANN401 - MiniStack has no static types
        """Return what calls a function, which is started by its first call."""
        config = {
            "FunctionName": "look",
            "FunctionArn": ARN,
            "Timeout": 60,
            "Handler": "app.handler",
            "Environment": {"Variables": variables},
        }
        self._workers.append(lambda_runtime.ProvidedWorker("look", config, self._code))
        return self._workers[-1]

    def look(self, **variables: str) -> Any:  # noqa: ANN401 - it is JSON
        """Return what a new function says of its process."""
        found = call(self.new(**variables), "look")["result"]
        same = found["same"]
        for name in ("variables", "variables at import"):
            same[name] = {key: same[name][key] for key in same[name] if _is_lasting(key)}
        shown = same["variables shown"]
        same["variables shown"] = [each for each in shown if _is_lasting(each.partition("=")[0])]
        return found

    def end(self) -> None:
        """End them all."""
        lambda_runtime.kill_workers(self._workers)


def call(worker: Any, event: str) -> Any:  # noqa: ANN401 - MiniStack has no static types
    """Call a function, and return MiniStack's answer."""
    return worker.invoke(event, f"id-{event}")


def _is_lasting(variable: str) -> bool:
    return variable not in _OF_ONE_START | _OF_THE_SHELL


def _archive(bootstrap: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr(zipfile.ZipInfo("app.py"), LOOK)
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        file.writestr(entry, bootstrap)
    return content.getvalue()


def is_forked(found: Any) -> bool:  # noqa: ANN401 - it is JSON
    """Return whether a process was forked: it has a module that its function does not import."""
    return "pydantic.main" in found["modules"]


def prepared(starts: Any) -> list[Any]:  # noqa: ANN401 - the file has no importable name
    """Return the prepared processes."""
    return [each._process for each in starts._prepared.values()]


def compare(functions: Functions, starting: dict[str, Any]) -> dict[str, Any]:
    """Return what two forked functions say of themselves, and what a plain one says."""
    plain = functions.look(OWN="1")
    starting["install"]()
    forked = [functions.look(OWN="1"), functions.look(OWN="1")]
    return {
        "plain": plain["same"],
        "forked": [each["same"] for each in forked],
        "is_forked": [is_forked(each) for each in (plain, *forked)],
        "random": [number for each in forked for number in each["random"]],
        "new_modules": [sorted({*each["modules"]} - {*plain["modules"]}) for each in forked],
        "modules": forked[0]["modules"],
        "origins": call(functions.new(), "modules")["result"],
    }


def end_functions(functions: Functions, starting: dict[str, Any]) -> dict[str, Any]:
    """Return how the emulator sees the ends of forked functions, and what they write."""
    starting["install"]()
    exits, killed, terminated = functions.new(), functions.new(), functions.new()
    log = call(exits, "print")["log"]
    call(killed, "look")
    call(terminated, "look")
    exited = exits._proc
    failure = call(exits, "exit")["error_payload"]["errorType"]
    ends = [exited.wait(10)]
    for worker, end in ((killed, "kill"), (terminated, "terminate")):
        process = worker._proc
        before = process.poll()
        getattr(process, end)()
        ends += [before, process.wait(10)]
    again = call(killed, "look")["result"]
    return {"log": log, "failure": failure, "ends": ends, "again": is_forked(again)}


def lose_prepared(functions: Functions, starting: dict[str, Any]) -> dict[str, Any]:
    """Kill the prepared process; return how the functions before, at and after it do."""
    starting["install"]()
    before = functions.new()
    first = call(before, "look")["result"]
    (process,) = prepared(starting["starts"])
    process.kill()
    process.wait()
    kinds = [is_forked(functions.look()) for _ in range(3)]
    same = call(before, "look")["result"]["process"] == first["process"]
    return {"kinds": kinds, "survives": same, "prepared": len(prepared(starting["starts"]))}


def reinstall(functions: Functions, starting: dict[str, Any]) -> dict[str, Any]:
    """Change what says which packages are installed; return whether another process serves."""
    starting["install"]()
    pins = Path(sys.argv[4])
    processes = []
    for text in ("old", "old", "new"):
        if not pins.exists() or pins.read_text(encoding="utf-8") != text:
            pins.unlink(missing_ok=True)
            pins.write_text(text, encoding="utf-8")
        found = functions.look()
        assert is_forked(found)
        processes.append(prepared(starting["starts"])[-1].pid)
    pins.unlink()
    return {
        "is_kept": processes[0] == processes[1],
        "is_replaced": processes[1] != processes[2],
        "without": is_forked(functions.look()),
    }


def refuse(functions: Functions, starting: dict[str, Any]) -> dict[str, Any]:
    """Return which functions are forked that need an interpreter of their own."""
    starting["install"]()
    variables = [{}, {"PYTHONHASHSEED": "1"}, {"TZ": "Asia/Tokyo"}, {"LD_PRELOAD": ""}, {"A": "1"}]
    return {"kinds": [is_forked(functions.look(**each)) for each in variables]}


def fail(functions: Functions, starting: dict[str, Any]) -> dict[str, Any]:
    """Return how functions start when no process can be prepared."""
    starting["install"]()
    kinds = [is_forked(functions.look()) for _ in range(2)]
    return {"kinds": kinds, "tries": starting["starts"]._is_possible}


def wait_for_kill(functions: Functions, starting: dict[str, Any]) -> None:
    """Print the processes of a function and of what it was forked from, and wait for SIGKILL."""
    starting["install"]()
    function = functions.look()["process"]
    (process,) = prepared(starting["starts"])
    print(json.dumps([function, process.pid]), flush=True)  # noqa: T201 - for the test
    time.sleep(60)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    os.environ.setdefault("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    _functions = Functions(Path(sys.argv[2]).read_text(encoding="utf-8"))
    try:
        json.dump(globals()[sys.argv[3]](_functions, runpy.run_path(sys.argv[1])), sys.stdout)
    finally:
        _functions.end()
