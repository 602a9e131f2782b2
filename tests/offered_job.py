"""A job of `worker_service.py`: it checks what a worker sends about it, and keeps that."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

RECORDED_BYTES: Final = 64 << 10


class RefusalError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def require(condition: object, message: str) -> None:
    """Refuse the request unless *condition* holds."""
    if not condition:
        raise RefusalError(400, "invalid_request", message)


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
    given_back: int = 0
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
        """The size of the recorded output."""
        return sum(len(item["text"].encode()) for item in self.output)

    def record(self, items: list[dict[str, Any]]) -> None:
        """Append items of output; those that are known already count once."""
        require(len(items) <= 4, "more than 4 items of output")
        for item in items:
            require(item.keys() == {"sequence", "stream", "text"}, "the keys of an output item")
            require(item["stream"] in {"stdout", "stderr"}, "the stream of an output item")
            require(0 < len(item["text"]) <= 4000, "the length of an output item")
            known = self.output[item["sequence"] - 1 : item["sequence"]]
            if known:
                require(known[0] == item, f"item {item['sequence']} changed")
                continue
            require(item["sequence"] == len(self.output) + 1, "a gap in the sequence")
            self.output.append(item)
        require(self.recorded_bytes <= RECORDED_BYTES, "more than 64 KiB of output")

    def address(self, origin: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the address for an upload."""
        keys = {"path", "sizeBytes", "sha256", "mediaType"}
        require(body.keys() == keys, "the keys of a file")
        require(not {"", ".", ".."} & set(body["path"].split("/")), "the path of a file")
        place = f"/store/{self.number}/{secrets.token_urlsafe(8)}"
        digest = base64.b64encode(bytes.fromhex(body["sha256"])).decode()
        headers = {"x-amz-checksum-sha256": digest, "Content-Type": body["mediaType"]}
        self.addresses[place] = {**body, "headers": headers}
        return {"url": f"{origin}{place}?X-Amz-Signature=s", "headers": headers}

    def upload(self, place: str, headers: dict[str, str], content: bytes) -> bool:
        """Take a file; return whether it is the one that was announced for *place*."""
        file = self.addresses[place]
        signed = {name.lower(): value for name, value in file["headers"].items()}
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        is_right = digest == signed["x-amz-checksum-sha256"] and len(content) == file["sizeBytes"]
        if not is_right or not signed.items() <= headers.items():
            return False
        self.uploads[file["path"]] = content
        return True

    def give_back(self, body: dict[str, Any]) -> dict[str, Any]:
        """Wait for another worker, because this one was stopped."""
        self.record(body.get("output", []))
        self.lease_id, self.losses, self.given_back = "", self.losses + 1, self.given_back + 1
        return {"status": "Pending", "attempt": 1}

    def finish(self, body: dict[str, Any]) -> None:
        """Take the completion, whose files must have been uploaded."""
        self.record(body.pop("output", []))
        for file in body.get("artifacts", []):
            require(file["path"] in self.uploads, f"{file['path']} was not uploaded")
            content = self.uploads[file["path"]]
            require(file["sha256"] == hashlib.sha256(content).hexdigest(), "a digest")
        require(body["status"] in {"succeeded", "failed"}, "the status")
        is_cancelled = self.stop_reason == "cancelled"
        status = "Skipped" if is_cancelled else body["status"].capitalize()
        self.answer = {"status": status, "attempt": 1}
        self.completion = body
