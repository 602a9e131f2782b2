"""Executors that misbehave in every way, for the tests in tests/contract/sandbox.

Each function here is an executor, `hostile:<name of the function>`.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from taskrunner.executors.parameters import AnyParameters, ExecutorParameters
from taskrunner.executors.work import EgressDenied, ExecutorFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import JsonObject

_PREFIX = "hostile:"
_MIB = 1024 * 1024


class NoParameters(ExecutorParameters):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Hostile:
    run: Callable[[JsonObject, Work], Any]
    Parameters: type[ExecutorParameters] = AnyParameters

    def execute(self, parameters: BaseModel, work: Work) -> Any:  # noqa: ANN401
        return self.run(dict(parameters.model_extra or {}), work)


def references() -> list[str]:
    return [_PREFIX + name for name in _ALL]


def find(reference: str) -> Hostile | None:
    run = _ALL.get(reference.removeprefix(_PREFIX))
    if run is None:
        return None
    return Hostile(run, NoParameters if run is take_nothing else AnyParameters)


def echo(parameters: JsonObject, _: Work) -> JsonObject:
    return parameters


def look_for_modules(parameters: JsonObject, _: Work) -> JsonObject:
    return {"loaded": [name for name in parameters["names"] if name in sys.modules]}


def take_nothing(_: JsonObject, __: Work) -> JsonObject:
    return {"executed": True}


def fill_heap(parameters: JsonObject, _: Work) -> JsonObject:
    kept = [os.urandom(_MIB) for _number in range(parameters["mib"])]
    return {"kept": len(kept)}


def fill_shared_memory(parameters: JsonObject, _: Work) -> JsonObject:
    with mmap.mmap(-1, parameters["mib"] * _MIB) as shared:
        for start in range(0, len(shared), 4096):
            shared[start] = 1
    return {}


def spin(_: JsonObject, __: Work) -> JsonObject:
    while True:
        pass


def spin_for(parameters: JsonObject, _: Work) -> JsonObject:
    # From now on: its process has used some milliseconds before, and the attempt has not.
    started, used = time.monotonic(), time.process_time()
    while min(time.monotonic() - started, time.process_time() - used) < parameters["cpu_s"]:
        pass
    return {}


def spin_in_c(_: JsonObject, __: Work) -> JsonObject:
    return {"text": len(str(7 ** (10**8)))}


def spin_in_threads(_: JsonObject, __: Work) -> JsonObject:
    for _number in range(3):
        threading.Thread(target=spin, args=({}, __), daemon=True).start()
    return spin({}, __)


def ignore_signals_and_spin(parameters: JsonObject, work: Work) -> JsonObject:
    for number in (signal.SIGXCPU, signal.SIGPROF, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    return spin(parameters, work)


def disarm_and_spin(parameters: JsonObject, work: Work) -> JsonObject:
    signal.setitimer(signal.ITIMER_PROF, 0)
    return spin(parameters, work)


def rest(parameters: JsonObject, _: Work) -> JsonObject:
    time.sleep(parameters["seconds"])
    return {}


def raise_limits(_: JsonObject, __: Work) -> JsonObject:
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return {}


def look_around(_: JsonObject, __: Work) -> JsonObject:
    return {
        "process": os.getpid(),
        "processors": sorted(os.sched_getaffinity(0)),
        "environment": dict(os.environ),
        "arguments": sys.argv,
        "folder": str(Path.cwd()),
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd")),  # noqa: PTH208
        "modules": [name for name in sys.modules if name.split(".")[0] in {"boto3", "botocore"}],
    }


def read_parent(parameters: JsonObject, _: Work) -> JsonObject:
    return {"read": Path(f"/proc/{parameters['pid']}/environ").read_text(encoding="utf-8")}


def read_file(parameters: JsonObject, _: Work) -> JsonObject:
    return {"bytes": len(Path(parameters["path"]).read_bytes())}


def connect(parameters: JsonObject, _: Work) -> JsonObject:
    with socket.create_connection((parameters["host"], parameters["port"]), timeout=1):
        return {}


def connect_by_number(parameters: JsonObject, _: Work) -> JsonObject:
    with socket.socket() as plain:
        plain.connect((parameters["host"], parameters["port"]))
    return {}


def send_datagram(parameters: JsonObject, _: Work) -> JsonObject:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.sendto(b"secret", (parameters["host"], parameters["port"]))
    return {}


def send_message(parameters: JsonObject, _: Work) -> JsonObject:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.sendmsg([b"secret"], [], 0, (parameters["host"], parameters["port"]))
    return {}


def listen(_: JsonObject, __: Work) -> JsonObject:
    with socket.socket() as plain:
        plain.bind(("127.0.0.1", 0))
    return {}


def resolve(_: JsonObject, __: Work) -> JsonObject:
    return {"found": str(socket.getaddrinfo("localhost", 80))}


def run_a_program(_: JsonObject, __: Work) -> JsonObject:
    return {"output": subprocess.check_output(["/bin/echo", "hello"]).decode()}


def become_a_program(_: JsonObject, __: Work) -> JsonObject:
    os.execv("/bin/true", ["true"])  # noqa: S606


def multiply(_: JsonObject, __: Work) -> JsonObject:
    return {"pid": os.fork()}


def kill_the_parent(parameters: JsonObject, _: Work) -> JsonObject:
    os.kill(parameters["pid"], signal.SIGKILL)
    return {}


def connect_through_the_parent(parameters: JsonObject, work: Work) -> JsonObject:
    with work.network.connect(parameters["host"], parameters["port"], 5) as connection:
        connection.sendall(b"hello")
        return {"answer": connection.recv(100).decode()}


def put_a_bundle(parameters: JsonObject, work: Work) -> JsonObject:
    file = work.output / parameters["file"]
    return {"bundle": work.bundles.put(file).digest}


def fetch_into(parameters: JsonObject, work: Work) -> JsonObject:
    return {"fetched": work.artifacts.fetch("report", work.scratch / parameters["into"])}


def call_what_does_not_exist(_: JsonObject, work: Work) -> JsonObject:
    bundles: Any = work.bundles
    bundles._caller.channel.send({"type": "services.__class__"})
    answer, _ = bundles._caller.channel.receive()
    raise ExecutorFailure(answer["message"])


def use_every_service(_: JsonObject, work: Work) -> JsonObject:
    bundle = work.bundles.put(work.output / "bundle.zip")
    last = work.bundles.last_of_run()
    found = work.bundles.find(bundle.reference)
    return {
        "put": bundle.digest,
        "found": found and found.digest,
        "last": last and last.digest,
        "unknown": work.bundles.find("sha256:" + "0" * 64),
        "revision": work.environments.promote("production", bundle).number,
        "matching": work.artifacts.matching("report"),
        "fetched": work.artifacts.fetch("report", work.scratch / "report"),
        "not_fetched": work.artifacts.fetch("nothing", work.scratch / "nothing"),
        "function": work.functions.invoke("change-window", {}),
        "scan": work.images.findings("registry.example.com", "app", "v1"),
    }


def call_a_function(parameters: JsonObject, work: Work) -> Any:  # noqa: ANN401
    return work.functions.invoke("change-window", parameters)


def speak_nonsense(_: JsonObject, work: Work) -> JsonObject:
    bundles: Any = work.bundles
    bundles._caller.channel._socket.sendall(b"\xff" * 64)
    time.sleep(60)
    return {}


def speak_too_slowly(_: JsonObject, work: Work) -> JsonObject:
    """Send the length of a message, and nothing more of it than a byte now and then."""
    bundles: Any = work.bundles
    connection = bundles._caller.channel._socket
    connection.sendall(struct.pack("!I", 10_000))
    while True:
        connection.sendall(b"{")
        time.sleep(0.02)


def call_then_speak_too_slowly(parameters: JsonObject, work: Work) -> JsonObject:
    work.bundles.last_of_run()
    return speak_too_slowly(parameters, work)


def pretend_to_have_used(parameters: JsonObject, work: Work) -> JsonObject:
    bundles: Any = work.bundles
    bundles._caller.channel.send({"type": "Finished", "outputs": None, "wall_s": 0.1, **parameters})
    bundles._caller.channel.receive()
    return {}


def leave(parameters: JsonObject, _: Work) -> JsonObject:
    os._exit(parameters["code"])


def crash(_: JsonObject, __: Work) -> JsonObject:
    signal.raise_signal(signal.SIGSEGV)
    return {}


def be_stopped(_: JsonObject, __: Work) -> JsonObject:
    signal.raise_signal(signal.SIGSTOP)
    return {}


def be_killed(_: JsonObject, __: Work) -> JsonObject:
    signal.raise_signal(signal.SIGKILL)
    return {}


def raise_it(parameters: JsonObject, _: Work) -> JsonObject:
    raise {
        "KeyError": KeyError("hunter2"),
        "SystemExit": SystemExit("hunter2"),
        "KeyboardInterrupt": KeyboardInterrupt("hunter2"),
        "RecursionError": RecursionError("hunter2"),
        "MemoryError": MemoryError("hunter2"),
        "ExecutorFailure": ExecutorFailure("no luck"),
        "EgressDenied": EgressDenied("no way"),
    }[parameters["error"]]


def recurse(parameters: JsonObject, work: Work) -> JsonObject:
    return recurse(parameters, work)


def answer_no_json(_: JsonObject, __: Work) -> Any:  # noqa: ANN401
    return {"when": {1, 2}}


def answer_deep_json(parameters: JsonObject, _: Work) -> Any:  # noqa: ANN401
    outputs: list[Any] = []
    for _level in range(parameters["levels"]):
        outputs = [outputs]
    return outputs


def answer_much(parameters: JsonObject, _: Work) -> JsonObject:
    return {"text": "x" * parameters["bytes"]}


def print_and_log(_: JsonObject, __: Work) -> JsonObject:
    print("hunter2")  # noqa: T201
    print("hunter2", file=sys.stderr)  # noqa: T201
    return {}


def write_files(parameters: JsonObject, work: Work) -> JsonObject:
    for name, text in parameters.items():
        (work.output / name).write_text(text)
    return {}


def write_files_and_rest(parameters: JsonObject, work: Work) -> JsonObject:
    write_files(parameters, work)
    time.sleep(300)
    return {}


def call_a_function_after_a_file(_: JsonObject, work: Work) -> Any:  # noqa: ANN401
    write_files({"calling": ""}, work)
    return work.functions.invoke("change-window", {})


def remove_a_folder(parameters: JsonObject, work: Work) -> JsonObject:
    (work.output.parent / parameters["folder"]).rmdir()
    return {"removed": True}


def open_many_files(_: JsonObject, work: Work) -> JsonObject:
    opened: list[Any] = []
    try:
        while True:
            opened.append((work.scratch / str(len(opened))).open("w"))
    except OSError as error:
        raise ExecutorFailure(json.dumps({"opened": len(opened), "errno": error.errno})) from None


_ALL: dict[str, Callable[[JsonObject, Work], Any]] = {
    name: value
    for name, value in list(globals().items())
    if callable(value)
    and getattr(value, "__module__", "") == __name__
    and name not in {"AnyParameters", "NoParameters", "Hostile", "references", "find"}
}
