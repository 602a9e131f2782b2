"""builtin:http reports what went wrong, with the origin and never with the path."""

from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from taskrunner.executors.builtin import http
from taskrunner.executors.builtin.http.exchange import MAX_BODY_BYTES
from taskrunner.executors.work import EgressDenied, ExecutorFailure
from tests.fakes.executor_world import a_work
from tests.unit.executors.builtin.http.web import HOST, OTHER, sends

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.executors.builtin.http.web import Web


def waits_for(event: threading.Event) -> Callable[[socket.socket], None]:
    def wait(_: socket.socket) -> None:
        event.wait()

    return wait


def resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_a_sealed_sandbox_denies_the_request(tmp_path: Path) -> None:
    with pytest.raises(EgressDenied):
        http.execute(http.Parameters(url=f"http://{HOST}/"), a_work(tmp_path))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 21,
    ],
    ids=lambda raw: repr(raw)[:40],
)
def test_a_response_that_is_not_valid_http_is_reported_with_the_origin(
    raw: bytes, web: Web
) -> None:
    web.raw_server(sends(raw))

    with pytest.raises(ExecutorFailure) as failure:
        web.request(f"http://{HOST}/path?key=secret")

    assert str(failure.value).startswith(f"http://{HOST} did not answer with valid HTTP")
    assert str(failure.value).isprintable()
    assert "secret" not in str(failure.value)


def test_a_connection_reset_is_reported(web: Web) -> None:
    web.raw_server(resets)

    with pytest.raises(ExecutorFailure) as failure:
        web.request()

    expected = f"the connection to http://{HOST} broke: Connection reset by peer"
    assert str(failure.value) == expected


def test_a_response_before_the_end_of_the_request_is_read(web: Web) -> None:
    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    web.raw_server(refuse)

    with pytest.raises(ExecutorFailure, match=r"^expected 2xx, got 413 Too Large"):
        web.request(method="POST", body="x" * 5_000_000)


def test_a_response_is_read_when_the_server_closes_during_the_request(web: Web) -> None:
    web.raw_server(sends(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"))

    with pytest.raises(ExecutorFailure, match=r"^expected 2xx, got 413 Too Large"):
        web.request(method="POST", body="x" * 20_000_000)


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"])
def test_a_server_that_drips_gets_no_more_time_than_a_silent_one(first: bytes, web: Web) -> None:
    test_is_over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(first)
        while not test_is_over.wait(0.01):
            connection.sendall(b"X")

    web.raw_server(drip)

    with pytest.raises(ExecutorFailure) as failure:
        web.request(time_s=0.2)
    test_is_over.set()

    assert str(failure.value) == f"http://{HOST} sent no complete response within 0.2 seconds"


def test_the_pack_sets_how_long_to_wait_for_a_silent_server(web: Web) -> None:
    test_is_over = threading.Event()
    web.raw_server(waits_for(test_is_over))

    with pytest.raises(ExecutorFailure, match=r"within 1 seconds$"):
        web.request(timeoutSeconds=1)
    test_is_over.set()


def test_redirects_share_one_deadline(web: Web) -> None:
    web.site().pages["/"] = (302, {"Location": f"http://{OTHER}/"}, b"")
    test_is_over = threading.Event()
    web.raw_server(waits_for(test_is_over), OTHER)

    with pytest.raises(ExecutorFailure) as failure:
        web.request(time_s=0.2)
    test_is_over.set()

    assert str(failure.value) == f"http://{OTHER} sent no complete response within 0.2 seconds"


def test_a_body_that_is_too_large_fails(web: Web) -> None:
    def pour(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(bytes(1024 * 1024))

    web.raw_server(pour)

    with pytest.raises(ExecutorFailure) as failure:
        web.request()

    assert str(failure.value) == f"http://{HOST} sent more than {MAX_BODY_BYTES} bytes"
    assert web.files == {}
