"""Run a function in MiniStack with what replaces its looks, and print what happened as JSON.

test_idle.py runs it in the emulator's environment. The function answers each event with
itself, and writes its own process's number.
"""

import io
import json
import os
import queue
import runpy
import socketserver
import sys
import threading
import time
import zipfile
from typing import Any

from ministack.core.lambda_runtime import ProvidedWorker

ARN = "arn:aws:lambda:us-east-1:123456789012:function:echo"
BOOTSTRAP = f"""#!{sys.executable}
import os, urllib.request
here = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(here + "next") as answer:
        event, number = answer.read(), answer.headers["Lambda-Runtime-Aws-Request-Id"]
    if event == b'"end"':
        raise SystemExit
    urllib.request.urlopen(here + number + "/response", event).close()
"""


class Looks:
    """Counts the looks of functions' servers for their end, and for events."""

    count = 0


def service_actions(server: object) -> None:
    """Count a look: a server calls this after each."""
    del server
    Looks.count += 1


def get(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - what any queue holds
    """Count a look, and do what a queue does."""
    Looks.count += 1
    return _get(*arguments, **options)


def archive() -> bytes:
    """Return the function's code."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        file.writestr(entry, BOOTSTRAP)
    return content.getvalue()


def function_threads() -> int:
    """Return how many threads serve functions."""
    return sum(not thread.name.startswith("Main") for thread in threading.enumerate())


def main() -> dict[str, Any]:
    """Call a function, let it wait for a second, call it again, let it end, and end it."""
    config = {"FunctionName": "echo", "FunctionArn": ARN, "Timeout": 60}
    worker = ProvidedWorker("echo", config, archive())
    answers = [worker.invoke(event, f"id-{event}").get("result") for event in (1, 2)]
    before = Looks.count
    time.sleep(1)
    looks = Looks.count - before
    first = worker._proc.pid
    failure = worker.invoke("end", "id-end")["error_payload"]["errorType"]
    answers.append(worker.invoke(3, "id-3").get("result"))
    is_another = worker._proc.pid != first
    server = worker._server
    worker._teardown()
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(10)
    return {
        "answers": answers,
        "looks": looks,
        "failure": failure,
        "is_another": is_another,
        "threads": function_threads(),
        "socket": server.socket.fileno(),
    }


runpy.run_path(sys.argv[1])["install"]()
server_class: Any = socketserver.ThreadingTCPServer
server_class.service_actions = service_actions
queue_class: Any = queue.Queue
_get, queue_class.get = queue_class.get, get
os.environ.setdefault("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
json.dump(main(), sys.stdout)
