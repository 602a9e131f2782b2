"""The content of each function's snapshot, and what is renewed after a restore.

A snapshot is taken once, when a function has been imported. So each test imports one in a fresh
process, as Lambda does, and runs the hooks that it has registered.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.architecture.ports import USED
from tests.template import ROOT, folder, functions

if TYPE_CHECKING:
    from collections.abc import Iterator

# The functions of which a deployment may let Lambda take snapshots.
SNAPSHOTS = sorted(folder(name) for name, it in functions().items() if "SnapStart" in it)
# The others have no port, so they call nobody and repeat nothing.
WITH_PORTS = [name for name in SNAPSHOTS if USED[name]]
BEGIN = """
import json, os, random, app
from snapshot_restore_py import get_after_restore, get_before_snapshot
from taskrunner.bootstrap import aws

def snapshot():
    for hook, args, kwargs in reversed(get_before_snapshot()):
        hook(*args, **kwargs)

def restore():
    for hook, args, kwargs in get_after_restore():
        hook(*args, **kwargs)
"""
VARIABLES = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "TABLE_NAME": "runs",
    "BUCKET_NAME": "runs",
    "PACK_RUN_MACHINE_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:x_pack-run",
    "MACHINE_PREFIX": "x",
    "CALLED_MACHINE_PREFIX_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:x_machine_",
    "EVIDENCE_KEY_ARN": "arn:aws:kms:us-east-1:123456789012:key/1",
    "APPROVAL_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:approvals",
    "EVENT_BUS": "default",
    "ISSUER": "https://id.example.com",
    "JWKS_URL": "https://id.example.com/keys",
}
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def play(function: str, source: str, **variables: str) -> Any:  # noqa: ANN401 - any JSON
    """Import a function as for a snapshot, run *source*, and return what it prints."""
    done = subprocess.run(  # noqa: S603 - every word is ours
        [sys.executable, "-c", BEGIN + source],
        env={
            "PYTHONPATH": f"{ROOT}/functions/{function}:{ROOT}/layers/core/python",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
            **VARIABLES,
            **variables,
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@cache
def snapshot_of(function: str) -> dict[str, Any]:
    """Take a snapshot, and start two environments from it.

    `ports` and `files` are what it has made and opened, and `pauses` what each of the environments
    draws first.
    """
    source = """
snapshot()
links = [os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
files = [os.readlink(link) for link in links if os.path.exists(link)]
ports, frozen, pauses = list(vars(aws())), random.getstate(), []
for environment in range(2):
    random.setstate(frozen)
    restore()
    pauses.append(random.random())
print(json.dumps({"ports": ports, "files": files, "pauses": pauses}))
"""
    taken: dict[str, Any] = play(function, source, **KEYS)
    return taken


@pytest.mark.parametrize("function", SNAPSHOTS)
def test_a_snapshot_holds_the_ports_of_the_first_event(function: str) -> None:
    assert USED[function] <= set(snapshot_of(function)["ports"])


@pytest.mark.parametrize("function", SNAPSHOTS)
def test_a_snapshot_holds_no_connection(function: str) -> None:
    files = snapshot_of(function)["files"]

    assert files
    assert [name for name in files if name.startswith("socket:")] == []


@pytest.mark.parametrize("function", WITH_PORTS)
def test_environments_of_one_snapshot_pause_for_different_times(function: str) -> None:
    first, second = snapshot_of(function)["pauses"]

    assert first != second


def test_credentials_of_a_snapshot_are_renewed_when_they_are_used() -> None:
    source = """
snapshot()
restore()
try:
    aws().runs.snapshot("tenant", "run-1")
except Exception as error:
    print(json.dumps(repr(error)))
"""
    with an_account() as account:
        play(
            "cancel_run",
            source,
            AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{account.url}/credentials",
            AWS_CONTAINER_AUTHORIZATION_TOKEN="token",
            AWS_ENDPOINT_URL=account.url,
        )

    assert account.handed_out == ["KEY-OF-THE-SNAPSHOT", "KEY-AFTER-THE-RESTORE"]
    assert set(account.signed_by) == {"KEY-AFTER-THE-RESTORE"}


@pytest.mark.parametrize("function", SNAPSHOTS)
def test_a_function_without_snapshots_registers_nothing(function: str) -> None:
    registered = play(
        function,
        "print(json.dumps(len(get_before_snapshot()) + len(get_after_restore())))",
        AWS_LAMBDA_INITIALIZATION_TYPE="on-demand",
    )

    assert registered == 0


class _Account:
    """Lambda's credentials and AWS's answers, and which keys signed the calls."""

    def __init__(self) -> None:
        self.url = ""
        self.handed_out: list[str] = []
        self.signed_by: list[str] = []

    def credentials(self) -> dict[str, str]:
        """Return keys; the first ones are about to expire, as after weeks in a snapshot."""
        is_first = not self.handed_out
        key = "KEY-OF-THE-SNAPSHOT" if is_first else "KEY-AFTER-THE-RESTORE"
        self.handed_out.append(key)
        expires = datetime.now(UTC) + timedelta(minutes=1 if is_first else 60)
        return {
            "AccessKeyId": key,
            "SecretAccessKey": "secret",
            "Token": "token",
            "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, account: _Account, *args: Any) -> None:  # noqa: ANN401 - http.server's
        self._account = account
        super().__init__(*args)

    def do_GET(self) -> None:
        self._answer(self._account.credentials())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        credential = self.headers["Authorization"].partition("Credential=")[2]
        self._account.signed_by.append(credential.partition("/")[0])
        self._answer({"Items": [], "Count": 0})

    def _answer(self, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@contextmanager
def an_account() -> Iterator[_Account]:
    account = _Account()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, account)) as server:
        account.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield account
        finally:
            server.shutdown()
            thread.join()
