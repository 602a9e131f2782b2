"""An S3 endpoint on this machine for large objects: it counts uploaded bytes and discards them.

A download returns as many zeros. moto would keep several copies of each object in memory.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = bytes(1024 * 1024)


@dataclass
class S3StandIn:
    """*sizes* and *checksums* are by object path; downloads break off after *cut_at* bytes."""

    url: str = ""
    sizes: dict[str, int] = field(default_factory=dict)
    checksums: dict[str, str | None] = field(default_factory=dict)
    cut_at: int | None = None


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that hang up, because tests make them do so."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def s3_stand_in() -> Iterator[S3StandIn]:
    """Serve until the end of the block."""
    state = S3StandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            left = int(self.headers["Content-Length"])
            state.sizes[self.path] = left
            state.checksums[self.path] = self.headers["x-amz-checksum-sha256"]
            while left:
                left -= len(self.rfile.read(min(left, len(_BLOCK))))
            self._answer(0)

        def do_GET(self) -> None:
            left = state.sizes[self.path]
            self._answer(left)
            if state.cut_at is not None:
                left = state.cut_at
                self.close_connection = True
            while left:
                left -= self.wfile.write(_BLOCK[: min(left, len(_BLOCK))])

        def _answer(self, length: int) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is named
            pass

    with _Server(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


def client(url: str | None = None) -> Any:  # noqa: ANN401 - boto3 has no static types
    return boto3.client(
        "s3",
        region_name="eu-central-1",
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(signature_version="s3v4", retries={"total_max_attempts": 1}),
    )
