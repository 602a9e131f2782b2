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

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

CLIENT_SECRET: Final = "worker-client-s3cret"
TOKEN: Final = "worker-access-token"
_ROOT: Final = "/v1/task-runner/worker/leases"
_RECORDED_BYTES: Final = 64 << 10
_PATIENCE_S: Final = 30.0


@dataclass(kw_only=True)
class OfferedJob:
    """A job of the pool, and everything that the worker has sent about it."""

    job: dict[str, Any]
    number: int
    pool: str
    timeout_s: float
    secrets: dict[str, str]
    artifacts: list[dict[str, Any]]
    key: str = field(default_factory=lambda: secrets.token_hex(32))
    lease_id: str = ""
    secret: str = ""
    expires_s: float = 0.0
    workers: list[str] = field(default_factory=list)
    losses: int = 0
    heartbeats: int = 0
    stop_reason: str = ""
    completion: dict[str, Any] | None = None
    completions: int = 0
    answer: dict[str, Any] = field(default_factory=dict)
    output: list[dict[str, Any]] = field(default_factory=list)
    addresses: dict[str, dict[str, Any]] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)

    @property
    def is_waiting(self) -> bool:
        """Whether a worker may lease it."""
        return not self.lease_id and self.completion is None

    def text(self, stream: str = "stdout") -> str:
        """Return the recorded text of a stream."""
        return "".join(item["text"] for item in self.output if item["stream"] == stream)

    @property
    def recorded_bytes(self) -> int:
        """How much output is recorded."""
        return sum(len(item["text"].encode()) for item in self.output)


class _RefusalError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(kw_only=True)
class WorkerService:
    """A service with one pool; use it as a context manager.

    Args:
        lease_s: how long a lease lasts.
        heartbeat_s: the interval that it asks of workers.
        pools: the pools that the client may use.

    """

    lease_s: float = 8.0
    heartbeat_s: float = 1.0
    pools: tuple[str, ...] = ("linux",)
    jobs: list[OfferedJob] = field(default_factory=list)
    polls: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    is_down: bool = False
    """Whether it closes each connection without an answer."""
    turned_away: int = 0
    """How many connections it closed without an answer."""
    failing_uploads: int = 0
    """How many uploads it answers with 503."""
    refused_completions: int = 0
    """How many completions with outputs it answers with 400."""
    unanswered_completions: int = 0
    """How many completions it takes without an answer."""
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
        timeout_s: float = 60,
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
            given = base64.b64encode(f"worker-client:{CLIENT_SECRET}".encode()).decode()
            assert headers.get("authorization") == f"Basic {given}"
            token = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
            return 200, {}, json.dumps(token).encode()
        if path.startswith("/store/"):
            return self._store(method, path, headers, body)
        try:
            status, document = self._call(path, headers, json.loads(body))
        except _RefusalError as error:
            if error.status == 400:
                self.faults.append(str(error))
            envelope = {"code": error.code, "message": str(error), "traceId": "trace-1"}
            status, document = error.status, {"error": envelope}
        content = b"" if document is None else json.dumps(document).encode()
        return status, {"Content-Type": "application/json"}, content

    def _call(
        self, path: str, headers: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, dict[str, Any] | None]:
        if headers.get("authorization") != f"Bearer {TOKEN}":
            raise _RefusalError(401, "unauthorized", "the token is not valid")
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
            raise _RefusalError(409, "lease_lost", "the lease has been lost")
        if verb == "completion":
            return self._complete(job, body)
        if job.completion is not None:
            raise _RefusalError(409, "lease_lost", "the attempt has ended")
        if verb == "heartbeat":
            return self._heartbeat(job, body)
        _require(verb == "artifacts", f"no operation {verb}")
        return self._address(job, body)

    def _lease(self, body: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
        keys = {"pool", "worker", "labels", "waitSeconds"}
        _require(body.keys() <= keys, f"unknown keys {body.keys() - keys}")
        _require(re.fullmatch(r"[A-Za-z0-9._-]{1,64}", body["worker"]), "the worker's name")
        _require(0 <= body.get("waitSeconds", 0) <= 20, "waitSeconds")
        if body["pool"] not in self.pools:
            raise _RefusalError(403, "forbidden", f"no right to the pool '{body['pool']}'")
        deadline_s = time.monotonic() + body.get("waitSeconds", 0)
        with self.changed:
            self.polls.append(body)
            self.changed.notify_all()
            while True:
                self._take_back_expired()
                waiting = (j for j in self.jobs if j.is_waiting and j.pool == body["pool"])
                if (job := next(waiting, None)) or self.is_down:
                    break
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return 204, None
                self.changed.wait(min(left_s, 0.1))
            if job is None:
                return 204, None
            return 200, self._leased(job, body["worker"])

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
        self._record(job, body.get("output", []))
        stop = {"reason": job.stop_reason} if job.stop_reason else {}
        return {
            "action": "stop" if stop else "continue",
            **stop,
            "expiresAt": self._renew(job),
            "outputBytesLeft": _RECORDED_BYTES - job.recorded_bytes,
        }

    def _record(self, job: OfferedJob, items: list[dict[str, Any]]) -> None:
        _require(len(items) <= 4, "more than 4 items of output")
        for item in items:
            _require(item.keys() == {"sequence", "stream", "text"}, "the keys of an output item")
            _require(item["stream"] in {"stdout", "stderr"}, "the stream of an output item")
            _require(0 < len(item["text"]) <= 4000, "the length of an output item")
            known = job.output[item["sequence"] - 1 : item["sequence"]]
            if known:
                _require(known[0] == item, f"item {item['sequence']} changed")
                continue
            _require(item["sequence"] == len(job.output) + 1, "a gap in the sequence")
            job.output.append(item)
        _require(job.recorded_bytes <= _RECORDED_BYTES, "more than 64 KiB of output")

    def _address(self, job: OfferedJob, body: dict[str, Any]) -> dict[str, Any]:
        keys = {"path", "sizeBytes", "sha256", "mediaType"}
        _require(body.keys() == keys, "the keys of a file")
        _require(not {"", ".", ".."} & set(body["path"].split("/")), "the path of a file")
        place = f"/store/{job.number}/{secrets.token_urlsafe(8)}"
        digest = base64.b64encode(bytes.fromhex(body["sha256"])).decode()
        headers = {"x-amz-checksum-sha256": digest, "Content-Type": body["mediaType"]}
        job.addresses[place] = {**body, "headers": headers}
        return {"url": f"{self.origin}{place}?X-Amz-Signature=s", "headers": headers}

    def _complete(self, job: OfferedJob, body: dict[str, Any]) -> dict[str, Any]:
        job.completions += 1
        if job.completion is not None:
            return job.answer
        if self.refused_completions and body.get("outputs"):
            self.refused_completions -= 1
            raise _RefusalError(413, "too_large", "the outputs are too large")
        self._record(job, body.pop("output", []))
        for file in body.get("artifacts", []):
            _require(file["path"] in job.uploads, f"{file['path']} was not uploaded")
            content = job.uploads[file["path"]]
            _require(file["sha256"] == hashlib.sha256(content).hexdigest(), "a digest")
        _require(body["status"] in {"succeeded", "failed"}, "the status")
        job.answer = {"status": body["status"].capitalize(), "attempt": 1}
        job.completion = body
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
        file = job.addresses[path]
        signed = {name.lower(): value for name, value in file["headers"].items()}
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        is_right = digest == signed["x-amz-checksum-sha256"] and len(body) == file["sizeBytes"]
        if not is_right or not signed.items() <= headers.items():
            return 403, {}, b"SignatureDoesNotMatch"
        job.uploads[file["path"]] = body
        return 200, {}, b""


Answer = tuple[int, dict[str, str], bytes]


def _require(condition: object, message: str) -> None:
    if not condition:
        raise _RefusalError(400, "invalid_request", message)


def _handler(service: WorkerService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
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
