"""The service as a worker sees it, over real sockets: a pool of scripted jobs, and a file store.

It checks what the real one checks: the token, the pool, secrets of leases, their ends, the numbers
of output items and their sizes, uploaded files and their digests. A request that the protocol does
not allow is answered with 400 and kept in `faults`, which a test expects to be empty.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self

from tests.offered_job import RECORDED_BYTES, OfferedJob, RefusalError, require

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

# Each process of tests has another one: a hostile job reads the environments of all processes that
# it may, such as that of a worker which another process of tests is starting.
CLIENT_SECRET: Final = f"worker-client-s3cret-{secrets.token_hex(8)}"
TOKEN: Final = "worker-access-token"
OPERATOR_TOKEN: Final = "operator-access-token"
_ROOT: Final = "/v1/task-runner/worker/leases"
_PATIENCE_S: Final = 120.0


@dataclass(kw_only=True)
class WorkerService:
    """A service with one pool; use it as a context manager.

    Args:
        lease_s: how long a lease lasts.
        heartbeat_s: the interval that it asks of workers.
        pools: the pools that the client may use.
        longest_wait_s: how long a poll may wait, whatever it asks for.

    """

    lease_s: float = 300.0
    heartbeat_s: float = 1.0
    pools: tuple[str, ...] = ("linux",)
    longest_wait_s: float = 2.0
    jobs: list[OfferedJob] = field(default_factory=list)
    polls: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    is_down: bool = False
    """Whether it closes each connection without an answer."""
    is_replaced: bool = False
    """Whether another service is at its address."""
    open_polls: int = 0
    """The number of polls that wait for a job."""
    turned_away: int = 0
    """The number of connections that it closed without an answer."""
    busy_polls: int = 0
    """The number of polls to answer with 503."""
    failing_uploads: int = 0
    """The number of uploads to answer with 503."""
    holds_uploads: bool = False
    """Whether it reads no content of uploads."""
    held_uploads: int = 0
    """The number of uploads that it held."""
    refused_completions: int = 0
    """The number of completions with outputs to answer with 413."""
    unanswered_completions: int = 0
    """The number of completions to take without an answer."""
    changed: threading.Condition = field(default_factory=threading.Condition)
    origin: str = ""

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        serve = self._server.serve_forever
        threading.Thread(target=serve, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.is_down = True
        self._server.shutdown()
        self._server.server_close()

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a worker that uses it."""
        return {
            "TASKRUNNER_API_URL": self.origin,
            "TASKRUNNER_TOKEN_URL": f"{self.origin}/token",
            "TASKRUNNER_CLIENT_ID": "worker-client",
            "TASKRUNNER_CLIENT_SECRET": CLIENT_SECRET,
        }

    def offer(
        self,
        script: str = "",
        *,
        pool: str = "linux",
        timeout_s: float = 300,
        secrets: dict[str, str] | None = None,
        artifacts: dict[str, bytes] | None = None,
        **job: Any,  # noqa: ANN401 -- any JSON
    ) -> OfferedJob:
        """Put a job with *script*, or with the members *job*, into the pool."""
        with self.changed:
            offered = OfferedJob(
                job={"script": script, **job} if script else job,
                number=len(self.jobs) + 1,
                pool=pool,
                timeout_s=timeout_s,
                secrets=secrets or {},
                artifacts=[self._stored(*entry) for entry in (artifacts or {}).items()],
            )
            self.jobs.append(offered)
            self.changed.notify_all()
            return offered

    def stop(self, job: OfferedJob, reason: str) -> None:
        """Answer the next heartbeats of *job* with `stop`."""
        with self.changed:
            job.stop_reason = reason

    def wait_for(self, condition: Callable[[], object], timeout_s: float = _PATIENCE_S) -> None:
        """Wait until *condition* holds, which is tried at each change and every 20 ms."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f"waited {timeout_s} s in vain; {self.faults}"
            with self.changed:
                self.changed.wait(0.02)

    def ended(self, job: OfferedJob) -> dict[str, Any]:
        """Wait for the completion of *job*, and return it."""
        self.wait_for(lambda: job.completion is not None)
        assert job.completion is not None
        return job.completion

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Return the status, the headers and the content of an answer."""
        if path == "/token":
            tokens = {_basic("worker-client"): TOKEN, _basic("operator"): OPERATOR_TOKEN}
            value = tokens[headers.get("authorization", "")]
            token = {"access_token": value, "expires_in": 3600, "token_type": "Bearer"}
            return 200, {}, json.dumps(token).encode()
        if path.startswith("/store/"):
            return self._store(method, path, headers, body)
        try:
            status, document = self._call(path, headers, json.loads(body))
        except RefusalError as error:
            if error.status == 400:
                self.faults.append(str(error))
            envelope = {"code": error.code, "message": str(error), "traceId": "trace-1"}
            status, document = error.status, {"error": envelope}
        content = b"" if document is None else json.dumps(document).encode()
        return status, {"Content-Type": "application/json"}, content

    def _call(
        self, path: str, headers: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, dict[str, Any] | None]:
        if self.is_replaced:
            raise RefusalError(404, "", "Not Found")
        if headers.get("authorization") == f"Bearer {OPERATOR_TOKEN}":
            scopes = "The caller lacks the scope of this call: taskrunner.worker to take jobs"
            raise RefusalError(403, "forbidden", scopes)
        if headers.get("authorization") != f"Bearer {TOKEN}":
            raise RefusalError(401, "unauthorized", "the token is not valid")
        if path == _ROOT:
            return self._lease(body)
        _, lease_id, verb = path.removeprefix(_ROOT).split("/")
        with self.changed:
            try:
                return 200, self._of_lease(lease_id, verb, body)
            finally:
                self.changed.notify_all()

    def _of_lease(self, lease_id: str, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        self._take_back_expired()
        job = next((job for job in self.jobs if job.lease_id == lease_id), None)
        if job is None or job.secret != body.pop("secret", None):
            raise RefusalError(409, "lease_lost", "the lease has been lost")
        if verb == "completion":
            return self._complete(job, body)
        if job.completion is not None:
            raise RefusalError(409, "lease_lost", "the attempt has ended")
        if verb == "heartbeat":
            return self._heartbeat(job, body)
        require(verb == "artifacts", f"no operation {verb}")
        return job.address(self.origin, body)

    def _lease(self, body: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
        keys = {"pool", "worker", "labels", "waitSeconds"}
        require(body.keys() <= keys, f"unknown keys {body.keys() - keys}")
        require(re.fullmatch(r"[A-Za-z0-9._-]{1,64}", body["worker"]), "the worker's name")
        require(0 <= body.get("waitSeconds", 0) <= 20, "waitSeconds")
        if body["pool"] not in self.pools:
            raise RefusalError(403, "forbidden", f"no right to the pool {body['pool']}")
        wait_s = min(body.get("waitSeconds", 0), self.longest_wait_s)
        with self.changed:
            self.polls.append(body)
            if self.busy_polls:
                self.busy_polls -= 1
                raise RefusalError(503, "busy", "The service is busy; try again")
            self.open_polls += 1
            job = self._wait_for_job(body["pool"], time.monotonic() + wait_s)
            self.open_polls -= 1
            self.changed.notify_all()
            return (200, self._leased(job, body["worker"])) if job else (204, None)

    def _wait_for_job(self, pool: str, deadline_s: float) -> OfferedJob | None:
        while not self.is_down:
            self._take_back_expired()
            for job in self.jobs:
                if job.is_waiting and job.pool == pool:
                    return job
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                break
            self.changed.wait(min(left_s, 0.1))
        return None

    def _leased(self, job: OfferedJob, worker: str) -> dict[str, Any]:
        job.lease_id = f"{job.number}-{secrets.token_urlsafe(8)}"
        job.secret = secrets.token_urlsafe(32)
        job.workers.append(worker)
        self.changed.notify_all()
        return {
            "leaseId": job.lease_id,
            "secret": job.secret,
            "expiresAt": self._renew(job),
            "heartbeatSeconds": self.heartbeat_s,
            "run": {"id": f"run-{job.number}", "tenant": "acme", "pack": {"name": "release"}},
            "stepId": f"outer[{job.number}]::tests",
            "attempt": 1,
            "idempotencyKey": job.key,
            "timeoutSeconds": job.timeout_s,
            "with": job.job,
            "artifacts": job.artifacts,
            "secrets": job.secrets,
        }

    def _renew(self, job: OfferedJob) -> str:
        job.expires_s = time.monotonic() + self.lease_s
        expires = datetime.now(UTC) + timedelta(seconds=self.lease_s)
        return expires.isoformat().replace("+00:00", "Z")

    def _take_back_expired(self) -> None:
        for job in self.jobs:
            if job.lease_id and job.completion is None and time.monotonic() > job.expires_s:
                job.lease_id, job.losses = "", job.losses + 1

    def _heartbeat(self, job: OfferedJob, body: dict[str, Any]) -> dict[str, Any]:
        job.heartbeats += 1
        job.record(body.get("output", []))
        stop = {"reason": job.stop_reason} if job.stop_reason else {}
        return {
            "action": "stop" if stop else "continue",
            **stop,
            "expiresAt": self._renew(job),
            "outputBytesLeft": RECORDED_BYTES - job.recorded_bytes,
        }

    def _complete(self, job: OfferedJob, body: dict[str, Any]) -> dict[str, Any]:
        job.completions += 1
        if job.completion is not None:
            return job.answer
        if self.refused_completions and body.get("outputs"):
            self.refused_completions -= 1
            raise RefusalError(413, "too_large", "the outputs are too large")
        if body.get("reason") == "stopped" and not job.stop_reason:
            return job.give_back(body)
        job.finish(body)
        if self.unanswered_completions:
            self.unanswered_completions -= 1
            raise ConnectionAbortedError
        return job.answer

    def _stored(self, name: str, content: bytes) -> dict[str, Any]:
        path = f"/store/artifacts/{secrets.token_urlsafe(8)}"
        self.files[path] = content
        return {
            "name": name,
            "fileName": f"{name}.bin",
            "url": f"{self.origin}{path}?X-Amz-Signature=s",
            "sizeBytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }

    def _store(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        assert "authorization" not in headers
        if method == "GET":
            return 200, {}, self.files[path]
        if self.failing_uploads:
            self.failing_uploads -= 1
            return 503, {}, b""
        job = next(job for job in self.jobs if path in job.addresses)
        return (200, {}, b"") if job.upload(path, headers, body) else (403, {}, b"")


def _basic(client_id: str) -> str:
    """Return the header of a client's request for a token."""
    return f"Basic {base64.b64encode(f'{client_id}:{CLIENT_SECRET}'.encode()).decode()}"


Answer = tuple[int, dict[str, str], bytes]


def _handler(service: WorkerService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            if self.command == "PUT" and service.holds_uploads:
                service.held_uploads += 1
                service.wait_for(lambda: not service.holds_uploads)
            body = self.rfile.read(int(headers.get("content-length", "0")))
            self.close_connection = True
            try:
                if service.is_down:
                    service.turned_away += 1
                    return
                path = self.path.partition("?")[0]
                status, more, content = service.answer(self.command, path, headers, body)
                if service.is_down:
                    return
            except ConnectionAbortedError:
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **more}.items():
                if status != 204:
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = answer  # noqa: N815 -- http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's
            pass

    return Handler
