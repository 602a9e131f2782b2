"""builtin:http asks servers of this machine: good ones, bad ones, slow ones and lying ones."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from taskrunner.executors.builtin import exchange, http, response
from taskrunner.executors.work import EgressDenied, ExecutorFailure
from taskrunner.model.json_types import unusable
from tests.fakes.executor_world import a_work, mistakes
from tests.unit.executors.builtin.web import HEAD, LoopbackNetwork, Site, serving, speaking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from taskrunner.model.json_types import JsonObject

HOST = "api.example.com"
OTHER = "other.example.com"
JSON = {"Content-Type": "application/json"}


class Web:
    """Sites under made-up names for the time of one test, and steps that ask them."""

    def __init__(self, folder: Path) -> None:
        self.network = LoopbackNetwork()
        self.folder = folder
        self._open = ExitStack()

    def close(self) -> None:
        self._open.close()

    def site(self, host: str = HOST, port: int = 80, tls: ssl.SSLContext | None = None) -> Site:
        site = Site()
        self.network.ports[host, port] = self._open.enter_context(serving(site, tls))
        return site

    def speaker(
        self, say: Callable[[socket.socket], None], host: str = HOST, *, after: bytes = HEAD
    ) -> None:
        port = self._open.enter_context(speaking(say, after))
        self.network.ports |= {(host, 80): port, (host, 443): port}

    def ask(
        self,
        url: str = f"http://{HOST}/",
        tls: Callable[[], ssl.SSLContext] | None = None,
        time_s: float = 30,
        **more: Any,  # noqa: ANN401 - any parameter
    ) -> JsonObject:
        parameters = http.Parameters.model_validate({"url": url, **more})
        work = a_work(self.output, network=self.network, time_s=time_s)
        if tls is None:
            return http.execute(parameters, work)
        return http.perform(parameters, work, tls)

    @property
    def output(self) -> Path:
        return self.folder / "output"

    @property
    def files(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.output.iterdir()}


@pytest.fixture(name="web")
def _web(tmp_path: Path) -> Iterator[Web]:
    web = Web(tmp_path)
    yield web
    web.close()


def saying(raw: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(raw)


def saying_nothing_until(event: threading.Event) -> Callable[[socket.socket], None]:
    def wait(_: socket.socket) -> None:
        event.wait()

    return wait


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class TestARequest:
    def test_it_is_what_the_parameters_say(self, web: Web) -> None:
        site = web.site()
        site.pages["/a%20b/%C3%A9?q=1&r=%7B%7D"] = (200, {}, b"")

        web.ask(f"http://{HOST.upper()}/a%20b/é?q=1&r={{}}#part", headers={"X-Trace": "7"})

        [asked] = site.asked
        assert (asked.method, asked.body) == ("GET", b"")
        assert asked.headers == {
            "host": HOST,
            "x-trace": "7",
            "accept": "*/*",
            "user-agent": "taskrunner",
            "accept-encoding": "identity",
            "connection": "close",
        }

    @pytest.mark.parametrize(
        ("body", "content_type", "sent"),
        [
            ("grüße", "text/plain; charset=utf-8", "grüße".encode()),
            ({"a": ["ü", 1, None]}, "application/json", '{"a": ["ü", 1, null]}'.encode()),
            ([], "application/json", b"[]"),
            ("", "text/plain; charset=utf-8", b""),
        ],
    )
    def test_a_body_is_text_or_json(
        self, body: object, content_type: str, sent: bytes, web: Web
    ) -> None:
        site = web.site()
        site.pages["/"] = (200, {}, b"")

        web.ask(method="POST", body=body)

        [asked] = site.asked
        assert asked.body == sent
        assert asked.headers["content-type"] == content_type
        assert asked.headers["content-length"] == str(len(sent))

    def test_a_header_of_the_pack_replaces_our_own(self, web: Web) -> None:
        site = web.site()
        site.pages["/"] = (200, {}, b"")

        web.ask(
            method="PUT",
            body={},
            headers={"content-type": "application/merge-patch+json", "USER-AGENT": "me"},
        )

        [asked] = site.asked
        assert asked.headers["content-type"] == "application/merge-patch+json"
        assert asked.headers["user-agent"] == "me"

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def test_every_method_is_sent_as_it_is(self, method: str, web: Web) -> None:
        site = web.site()
        site.pages["/"] = (200, {}, b"")

        web.ask(method=method)

        assert [method] == [asked.method for asked in site.asked]
        assert ("content-length" in site.asked[0].headers) == (method in {"POST", "PUT", "PATCH"})

    def test_a_large_body_arrives_whole(self, web: Web) -> None:
        site = web.site()
        site.pages["/"] = (200, {}, b"")
        body = "x" * 3_000_000

        web.ask(method="POST", body=body)

        assert site.asked[0].body == body.encode()

    @pytest.mark.parametrize(
        ("url", "authority"),
        [
            (f"http://{HOST}:80/", HOST),
            (f"http://{HOST}:/", HOST),
            (f"http://{HOST}:8080/", f"{HOST}:8080"),
            ("http://[2001:DB8::1]/", "[2001:db8::1]"),
            ("http://bücher.example/", "xn--bcher-kva.example"),
        ],
    )
    def test_the_server_hears_its_name_in_the_normal_form(
        self, url: str, authority: str, web: Web
    ) -> None:
        site = web.site()
        site.pages["/"] = (200, {}, b"")
        [port] = web.network.ports.values()
        for host in (HOST, "2001:db8::1", "xn--bcher-kva.example"):
            web.network.ports |= {(host, 80): port, (host, 8080): port}

        web.ask(url)

        assert site.asked[0].headers["host"] == authority


class TestTheOutputs:
    @pytest.mark.parametrize(
        ("content_type", "content", "body"),
        [
            ("application/json", b'{"a": [1, 2.5, null, "\xc3\xbc"]}', {"a": [1, 2.5, None, "ü"]}),
            ("application/problem+json; charset=utf-8", b"[]", []),
            ("application/json", b"\xef\xbb\xbf0", 0),
            ("application/json", b"{not json}", "{not json}"),
            ("application/json", b"[NaN]", "[NaN]"),
            ("application/json", b'"\\ud800"', '"\\ud800"'),
            ("application/json", b"[1e999]", "[1e999]"),
            ("application/json", b"[12345678901234567890]", "[12345678901234567890]"),
            ("application/json", b"[" * 101 + b"]" * 101, "[" * 101 + "]" * 101),
            ("application/json", b"[" * 30_000, "[" * 30_000),
            ("text/plain", "grüße".encode(), "grüße"),
            ("text/plain; charset=iso-8859-1", b"gr\xfc\xdfe", "grüße"),
            ('text/html; charset="UTF-8"', b"<p>", "<p>"),
            ("application/atom+xml", b"<feed/>", "<feed/>"),
        ],
    )
    def test_json_and_text_stand_in_the_outputs(
        self, content_type: str, content: bytes, body: object, web: Web
    ) -> None:
        web.site().pages["/"] = (200, {"Content-Type": content_type}, content)

        outputs = web.ask()

        assert outputs["body"] == body
        assert not any(unusable(outputs))
        assert web.files == {}

    @pytest.mark.parametrize(
        ("headers", "content"),
        [
            ({"Content-Type": "application/octet-stream"}, b"\x00\xff"),
            ({}, b"text of no type"),
            ({"Content-Type": "text/plain"}, b"\xff is no UTF-8"),
            ({"Content-Type": "text/plain; charset=utf-7"}, b"+AGE-"),
            ({"Content-Type": "text/plain", "Content-Encoding": "gzip"}, b"\x1f\x8b"),
            ({"Content-Type": "text/plain"}, b"x" * (response.MAX_INLINE_BYTES - 1)),
            ({"Content-Type": "text/plain"}, b"\x01" * 6000),
            (JSON, b"[" + b"1," * 16_000 + b"1]"),
        ],
        ids=str,
    )
    def test_anything_else_is_a_file(
        self, headers: dict[str, str], content: bytes, web: Web
    ) -> None:
        web.site().pages["/"] = (200, headers, content)

        assert web.ask()["body"] is None
        assert web.files == {"response-body": content}

    def test_the_largest_text_that_fits_stands_in_the_outputs(self, web: Web) -> None:
        content = b"x" * (response.MAX_INLINE_BYTES - 2)  # with its quotes it is as long as it may
        web.site().pages["/"] = (200, {"Content-Type": "text/plain"}, content)

        assert web.ask()["body"] == content.decode()

    def test_headers_are_in_lower_case_and_of_one_name_joined(self, web: Web) -> None:
        raw = (
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nLink: <a>\r\nLINK: <b>\r\n"
            b"Set-Cookie: a=1; Expires=Wed, 1 Jan 2031\r\nSet-Cookie: b=2\r\n"
            b"X-Latin: \xfc\r\nX-Utf: \xc3\xbc\r\nX-Bell: a\x07b\r\n\r\n"
        )
        web.speaker(saying(raw))

        outputs = web.ask()

        assert outputs == {
            "status": 200,
            "headers": {
                "content-length": "0",
                "link": "<a>, <b>",
                "set-cookie": "a=1; Expires=Wed, 1 Jan 2031\nb=2",
                "x-latin": "ü",
                "x-utf": "ü",
                "x-bell": "a b",
            },
            "body": None,
        }

    @pytest.mark.parametrize("filler", [b'"', b"\\", b"\xfc", b"\x07"])
    def test_whatever_a_server_says_the_outputs_fit_into_64_kib(
        self, filler: bytes, web: Web
    ) -> None:
        body = b"x" * (response.MAX_INLINE_BYTES - 2)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX: "
        web.speaker(saying(head + filler * 16_353 + b"\r\n\r\n" + body))

        outputs = web.ask()

        assert len(json.dumps(outputs, ensure_ascii=False).encode()) <= 64 * 1024
        escaped = filler in b'"\\\xfc'  # one byte there, and two in the outputs
        assert web.files == ({"response-body": body} if escaped else {})
        assert outputs["body"] == (None if escaped else body.decode())

    @pytest.mark.parametrize(
        ("method", "status", "headers"), [("GET", 204, {}), ("HEAD", 200, JSON), ("GET", 200, JSON)]
    )
    def test_no_body_is_null_and_no_file(
        self, method: str, status: int, headers: dict[str, str], web: Web
    ) -> None:
        web.site().pages["/"] = (status, headers, b"")

        outputs = web.ask(method=method)

        assert (outputs["status"], outputs["body"]) == (status, None)
        assert web.files == {}

    def test_a_body_in_chunks_is_put_together(self, web: Web) -> None:
        chunks = b"5\r\nhello\r\n7;a=b\r\n, world\r\n0\r\nTrailer: x\r\n\r\n"
        headers = {"Transfer-Encoding": "chunked", "Content-Type": "text/plain"}
        web.site().pages["/"] = (200, headers, chunks)

        assert web.ask()["body"] == "hello, world"

    def test_a_body_that_ends_with_the_connection_is_whole(self, web: Web) -> None:
        web.speaker(saying(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold"))

        assert web.ask()["body"] == "old"

    def test_interim_answers_are_passed_over(self, web: Web) -> None:
        raw = b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        web.speaker(saying(raw + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))

        assert web.ask()["status"] == 200


class TestTheStatus:
    def test_another_status_than_2xx_is_a_failure_with_the_body_which_is_not_cut_here(
        self, web: Web
    ) -> None:
        content = b'{"error":\n  "no such\x1b thing' + b"!" * 300 + b'"}'
        web.site().pages["/token?key=secret"] = (503, JSON, content)

        with pytest.raises(ExecutorFailure) as failure:
            web.ask(f"http://{HOST}/token?key=secret")

        assert str(failure.value).startswith(
            f"expected 2xx, got 503 Service Unavailable from http://{HOST}: "
            '{"error": "no such  thing!!!'
        )
        assert str(failure.value).endswith('!"}')
        assert "secret" not in str(failure.value)
        assert web.files == {"response-body": content}

    @pytest.mark.parametrize(("expect", "status"), [(404, 404), ([200, 409], 409), (302, 302)])
    def test_what_is_expected_is_no_failure(self, expect: object, status: int, web: Web) -> None:
        web.site().pages["/"] = (status, {"Location": "/elsewhere"}, b"")

        assert web.ask(expectStatus=expect)["status"] == status

    def test_what_is_expected_is_the_only_one(self, web: Web) -> None:
        web.site().pages["/"] = (200, {}, b"")

        with pytest.raises(ExecutorFailure, match=r"^expected 201 or 202, got 200 OK from"):
            web.ask(expectStatus=[201, 202])


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_each_is_followed_by_a_connection_of_its_own(self, status: int, web: Web) -> None:
        site, other = web.site(), web.site(OTHER)
        site.pages["/a/b?c"] = (status, {"Location": "../d"}, b"moved")
        site.pages["/d"] = (status, {"Location": f"//{OTHER}/e?f=1#g"}, b"moved")
        other.pages["/e?f=1"] = (200, {"Content-Type": "text/plain"}, b"here")

        assert web.ask(f"http://{HOST}/a/b?c")["body"] == "here"
        assert web.network.asked == [(HOST, 80), (HOST, 80), (OTHER, 80)]

    @pytest.mark.parametrize(
        ("status", "method", "then"),
        [
            (301, "POST", "GET"),
            (302, "POST", "GET"),
            (303, "POST", "GET"),
            (307, "POST", "POST"),
            (308, "POST", "POST"),
            (301, "PUT", "PUT"),
            (302, "DELETE", "DELETE"),
            (303, "PUT", "GET"),
            (303, "DELETE", "GET"),
        ],
    )
    def test_the_method_changes_as_it_does_in_browsers(
        self, status: int, method: str, then: str, web: Web
    ) -> None:
        site = web.site()
        site.pages["/"] = (status, {"Location": "/there"}, b"")
        site.pages["/there"] = (200, {}, b"")

        web.ask(method=method, body={"a": 1}, headers={"X-Trace": "7"})

        _, second = site.asked
        kept = method == then
        assert second.method == then
        assert second.body == (b'{"a": 1}' if kept else b"")
        assert ("content-type" in second.headers) == kept
        assert second.headers["x-trace"] == "7"

    def test_a_head_stays_one(self, web: Web) -> None:
        site = web.site()
        site.pages["/"] = (303, {"Location": "/there"}, b"")
        site.pages["/there"] = (200, {}, b"")

        web.ask(method="HEAD")

        assert [asked.method for asked in site.asked] == ["HEAD", "HEAD"]

    @pytest.mark.parametrize(("host", "port"), [(OTHER, 80), (HOST, 8080)])
    def test_another_origin_sees_no_header_that_could_be_a_credential(
        self, host: str, port: int, web: Web
    ) -> None:
        site, other = web.site(), web.site(host, port)
        site.pages["/"] = (307, {"Location": f"http://{host}:{port}/"}, b"")
        other.pages["/"] = (200, {}, b"")
        headers = {"Authorization": "Bearer x", "cookie": "a=1", "X-Api-Key": "k", "Accept": "a/b"}

        web.ask(headers=headers)

        assert set(headers) <= {name.title() for name in site.asked[0].headers} | {"cookie"}
        assert other.asked[0].headers == {
            "host": host if port == 80 else f"{host}:{port}",
            "accept": "a/b",
            "user-agent": "taskrunner",
            "accept-encoding": "identity",
            "connection": "close",
        }

    def test_a_host_that_is_not_allowed_is_refused_behind_one_that_is(self, web: Web) -> None:
        site = web.site()
        site.pages["/"] = (302, {"Location": "http://169.254.169.254/latest/meta-data"}, b"")

        with pytest.raises(EgressDenied) as denial:
            web.ask()

        assert str(denial.value) == (
            f"http://{HOST} redirects, and the sandbox allows no connection to 169.254.169.254:80"
        )

    def test_a_circle_ends_after_five(self, web: Web) -> None:
        site = web.site()
        site.pages["/"] = (302, {"Location": "/"}, b"")

        with pytest.raises(ExecutorFailure) as failure:
            web.ask()

        assert str(failure.value) == f"redirected more than 5 times, the last time by http://{HOST}"
        assert len(site.asked) == 6

    def test_five_in_a_row_are_fine(self, web: Web) -> None:
        site = web.site()
        for hop in range(5):
            site.pages[f"/{hop}"] = (302, {"Location": f"/{hop + 1}"}, b"")
        site.pages["/5"] = (200, {}, b"")

        assert web.ask(f"http://{HOST}/0")["status"] == 200

    @pytest.mark.parametrize(
        ("location", "why"),
        [
            ("ftp://a/", "it begins with neither https:// nor http://"),
            ("file:///etc/passwd", "it begins with neither https:// nor http://"),
            (f"http://user:secret@{HOST}/", "it has a user name in it"),
            ("http://a\\@b/", "it is too long, or has a space"),
            ("http://2130706433/", "its host ends like an IPv4 address and is none"),
            ("http://0x7f.1/", "its host ends like an IPv4 address and is none"),
            ("http://[::1/", "its host cannot be read"),
            ("http://a:99999/", "its port is not from 1 to 65535"),
            ("/" + "x" * 8001, "it is too long"),
        ],
    )
    def test_one_that_leads_nowhere_is_told_without_its_address(
        self, location: str, why: str, web: Web
    ) -> None:
        web.site().pages["/"] = (302, {"Location": location}, b"")

        with pytest.raises(ExecutorFailure) as failure:
            web.ask()

        assert str(failure.value).startswith(
            f"the redirect by http://{HOST} is not followed: {why}"
        )
        assert "secret" not in str(failure.value)

    def test_one_without_a_location_is_an_answer(self, web: Web) -> None:
        web.site().pages["/"] = (302, {}, b"")

        with pytest.raises(ExecutorFailure, match=r"^expected 2xx, got 302 Found"):
            web.ask()

    @pytest.mark.parametrize("status", [300, 304, 305])
    def test_other_statuses_of_that_kind_are_answers(self, status: int, web: Web) -> None:
        web.site().pages["/"] = (status, {"Location": "/there"}, b"")

        assert web.ask(expectStatus=status)["status"] == status


class TestFailures:
    def test_a_sealed_sandbox_asks_nobody(self, tmp_path: Path) -> None:
        with pytest.raises(EgressDenied):
            http.execute(http.Parameters(url=f"http://{HOST}/"), a_work(tmp_path))

    @pytest.mark.parametrize(
        ("raw", "why"),
        [
            (b"", "answered with what is no HTTP"),
            (b"HTTP/1.1 200 OK\r\nContent-Le", "answered with what is no HTTP"),
            (b"SSH-2.0-OpenSSH_9.6\r\n", "answered with what is no HTTP"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "answered with what is no HTTP"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "answered with what is no HTTP"),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                "answered with what is no HTTP",
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                "answered with what is no HTTP",
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
                "answered with what is no HTTP",
            ),
            (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000, "answered with what is no HTTP"),
            (
                b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
                "answered with what is no HTTP",
            ),
            (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "answered with what is no HTTP"),
            (b"HTTP/1.1 100 Continue\r\n\r\n" * 21, "answered with what is no HTTP"),
        ],
    )
    def test_what_is_no_whole_answer_names_the_host(self, raw: bytes, why: str, web: Web) -> None:
        web.speaker(saying(raw))

        with pytest.raises(ExecutorFailure) as failure:
            web.ask(f"http://{HOST}/path?key=secret")

        assert str(failure.value).startswith(f"http://{HOST} {why}")
        assert str(failure.value).isprintable()
        assert "secret" not in str(failure.value)

    def test_a_connection_that_is_reset_is_told(self, web: Web) -> None:
        web.speaker(reset)

        with pytest.raises(ExecutorFailure) as failure:
            web.ask()

        expected = f"the connection to http://{HOST} broke: Connection reset by peer"
        assert str(failure.value) == expected

    def test_an_answer_that_comes_before_the_body_was_sent_is_read(self, web: Web) -> None:
        def refuse(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

        web.speaker(refuse)

        with pytest.raises(ExecutorFailure, match=r"^expected 2xx, got 413 Too Large"):
            web.ask(method="POST", body="x" * 5_000_000)

    def test_an_answer_of_who_hangs_up_on_the_body_is_read(self, web: Web) -> None:
        web.speaker(saying(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"))

        with pytest.raises(ExecutorFailure, match=r"^expected 2xx, got 413 Too Large"):
            web.ask(method="POST", body="x" * 20_000_000)

    @pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"])
    def test_a_server_that_drips_has_no_more_time_than_one_that_is_silent(
        self, first: bytes, web: Web
    ) -> None:
        gone = threading.Event()

        def drip(connection: socket.socket) -> None:
            connection.sendall(first)
            while not gone.wait(0.01):
                connection.sendall(b"X")

        web.speaker(drip)

        with pytest.raises(ExecutorFailure) as failure:
            web.ask(time_s=0.2)
        gone.set()

        assert str(failure.value) == f"http://{HOST} gave no whole answer within 0.2 seconds"

    def test_a_silent_server_is_waited_for_as_long_as_the_pack_says(self, web: Web) -> None:
        gone = threading.Event()
        web.speaker(saying_nothing_until(gone))

        with pytest.raises(ExecutorFailure, match=r"within 1 seconds$"):
            web.ask(timeoutSeconds=1)
        gone.set()

    def test_redirects_share_one_deadline(self, web: Web) -> None:
        web.site().pages["/"] = (302, {"Location": f"http://{OTHER}/"}, b"")
        gone = threading.Event()
        web.speaker(saying_nothing_until(gone), OTHER)

        with pytest.raises(ExecutorFailure) as failure:
            web.ask(time_s=0.2)
        gone.set()

        assert str(failure.value) == f"http://{OTHER} gave no whole answer within 0.2 seconds"

    def test_a_body_without_end_is_left(self, web: Web) -> None:
        def pour(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                connection.sendall(bytes(1024 * 1024))

        web.speaker(pour)

        with pytest.raises(ExecutorFailure) as failure:
            web.ask()

        most = exchange.MAX_BODY_BYTES
        assert str(failure.value) == f"http://{HOST} answered with more than {most} bytes"
        assert web.files == {}


def certificate(folder: Path, host: str, *, days: int = 1) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key beside it in the second file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    alternative: x509.GeneralName = x509.DNSName(host)
    if host[0].isdigit():
        alternative = x509.IPAddress(ip_address(host))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    both = folder / f"{host}.pem"
    alone = folder / f"{host}.crt"
    alone.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    both.write_bytes(private + alone.read_bytes())
    return alone, both


class TestTls:
    @staticmethod
    def site(web: Web, host: str = HOST, **more: Any) -> tuple[Site, Callable[[], ssl.SSLContext]]:  # noqa: ANN401
        """A site with TLS, and who trusts it."""
        alone, both = certificate(web.folder, host, **more)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(both)
        site = web.site(host, 443, server)
        site.pages["/"] = (200, {"Content-Type": "text/plain"}, b"hello")
        return site, lambda: ssl.create_default_context(cafile=str(alone))

    @pytest.mark.parametrize("host", [HOST, "203.0.113.7"])
    def test_a_server_that_is_who_it_says_is_talked_to(self, host: str, web: Web) -> None:
        _, trusting = self.site(web, host)

        assert web.ask(f"https://{host}/", tls=trusting)["body"] == "hello"
        assert web.network.asked == [(host, 443)]

    def test_a_certificate_that_nobody_signed_is_not_trusted(self, web: Web) -> None:
        site, _ = self.site(web)

        with pytest.raises(ExecutorFailure) as failure:
            web.ask(f"https://{HOST}/?key=secret")

        assert str(failure.value).startswith(f"https://{HOST} is not trusted: self-signed")
        assert "secret" not in str(failure.value)
        assert site.asked == []

    def test_a_certificate_of_another_host_is_not_trusted(self, web: Web) -> None:
        site, trusting = self.site(web)
        web.network.ports[OTHER, 443] = web.network.ports[HOST, 443]

        with pytest.raises(ExecutorFailure, match=r"is not trusted: Hostname mismatch"):
            web.ask(f"https://{OTHER}/", tls=trusting)

        assert site.asked == []

    def test_a_certificate_that_is_too_old_is_not_trusted(self, web: Web) -> None:
        _, trusting = self.site(web, days=-1)

        with pytest.raises(ExecutorFailure, match=r"is not trusted: certificate has expired"):
            web.ask(f"https://{HOST}/", tls=trusting)

    def test_a_server_without_tls_is_told(self, web: Web) -> None:
        web.speaker(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), after=b"\x16")  # a handshake

        with pytest.raises(ExecutorFailure, match=f"^https://{HOST} spoke no TLS: "):
            web.ask(f"https://{HOST}/")

    def test_an_answer_that_is_cut_off_is_not_taken_for_whole(self, web: Web) -> None:
        alone, both = certificate(web.folder, HOST)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(both)

        def cut(connection: socket.socket) -> None:
            with server.wrap_socket(connection, server_side=True) as encrypted:
                encrypted.recv(65536)
                encrypted.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\npay 100")
                # Closed without TLS's own goodbye, as somebody on the way could do it.

        web.speaker(cut, after=b"")

        with pytest.raises(ExecutorFailure) as failure:
            web.ask(f"https://{HOST}/", tls=lambda: ssl.create_default_context(cafile=str(alone)))

        expected = f"the connection to https://{HOST} broke: it ended early"
        assert str(failure.value) == expected

    def test_a_redirect_to_plain_http_is_not_followed(self, web: Web) -> None:
        site, trusting = self.site(web)
        plain = web.site()
        site.pages["/"] = (302, {"Location": f"http://{HOST}/"}, b"")

        with pytest.raises(ExecutorFailure, match=r"it leads from https to http"):
            web.ask(f"https://{HOST}/", tls=trusting)

        assert plain.asked == []

    def test_a_redirect_to_https_is_followed_and_another_origin(self, web: Web) -> None:
        site, trusting = self.site(web)
        web.site().pages["/"] = (301, {"Location": f"https://{HOST}/"}, b"")

        web.ask(tls=trusting, headers={"Authorization": "Bearer x"})

        assert "authorization" not in site.asked[0].headers


class TestParameters:
    @pytest.mark.parametrize(
        ("url", "why"),
        [
            ("", "it begins with neither"),
            ("api.example.com", "it begins with neither"),
            ("ftp://api.example.com", "it begins with neither"),
            ("http://", "its host has no host"),
            ("http:///path", "its host has no host"),
            ("http://user@api.example.com", "it has a user name in it"),
            ("http://user:secret@api.example.com", "it has a user name in it"),
            ("http://api.example.com/a b", "it has a space"),
            ("http://api.example.com/\r\nX: y", "it has a space"),
            ("http://api.example.com\t", "it has a space"),
            (" http://api.example.com", "it has a space"),
            ("http://api.example.com\\@evil.example", "it has a space"),
            ("http://api.example.com/\ud800", "it has a space"),
            ("http://api.example.com:port", "its port is no number"),
            ("http://api.example.com:0", "its port is not from 1"),
            ("http://api.example.com:65536", "its port is not from 1"),
            ("http://127.1", "its host ends like an IPv4 address and is none"),
            ("http://0x7f000001", "its host ends like an IPv4 address and is none"),
            ("http://[::1", "its host cannot be read"),
            ("http://[::1]a", "its "),
            ("http://[fe80::1%25eth0]/", "its host "),
            ("http://a_b..example", "its host is no host"),
            ("http://%61pi.example.com", "its host is no host"),
            ("http://" + "a" * 8000, "it is longer than 8000 characters"),
        ],
    )
    def test_what_is_no_address_is_told_why_and_never_repeated(self, url: str, why: str) -> None:
        [(place, message)] = mistakes(http.Parameters, {"url": url})

        assert place == ("url",)
        assert message.startswith(why)
        assert "secret" not in message

    @pytest.mark.parametrize(
        ("name", "value", "why"),
        [
            ("", "a", "is no header's name"),
            ("X Y", "a", "is no header's name"),
            ("X:", "a", "is no header's name"),
            ("X\r\nY", "a", "is no header's name"),
            ("Ü", "a", "is no header's name"),
            ("Host", "a", "is not for a pack to set"),
            ("content-length", "1", "is not for a pack to set"),
            ("Transfer-Encoding", "chunked", "is not for a pack to set"),
            ("CONNECTION", "close", "is not for a pack to set"),
            ("Proxy-Authorization", "a", "is not for a pack to set"),
            ("Accept-Encoding", "gzip", "is not for a pack to set"),
            ("X", "secret\n", "has a value that no header can have"),
            ("X", "secret\r\nY: z", "has a value that no header can have"),
            ("X", " secret", "has a value that no header can have"),
            ("X", "secret\x00", "has a value that no header can have"),
            ("X", "sécret", "has a value that no header can have"),
            ("X", "s" * 8001, "has a value that no header can have"),
        ],
    )
    def test_a_header_that_cannot_be_sent_is_told_at_its_place(
        self, name: str, value: str, why: str
    ) -> None:
        [(place, message)] = mistakes(
            http.Parameters, {"url": "http://a", "headers": {name: value}}
        )

        assert place == ("headers", name)
        assert message.startswith(why)
        assert "secret" not in message

    def test_a_header_stands_there_once(self) -> None:
        given = {"url": "http://a", "headers": {"Accept": "a", "accept": "b"}}

        assert mistakes(http.Parameters, given) == [
            (("headers", "accept"), "is there already, in other letters")
        ]

    @pytest.mark.parametrize("value", ["", "a", "a b", "a\tb", '{"a": "b"}'])
    def test_a_header_of_printable_ascii_is_fine(self, value: str) -> None:
        assert mistakes(http.Parameters, {"url": "http://a", "headers": {"X-1": value}}) == []

    @pytest.mark.parametrize(
        ("given", "place"),
        [
            ({}, ("url",)),
            ({"method": "get"}, ("method",)),
            ({"method": "CONNECT"}, ("method",)),
            ({"method": "GET / HTTP/1.1\r\nX: y\r\n\r\nGET"}, ("method",)),
            ({"headers": {"X": 1}}, ("headers", "X")),
            ({"headers": None}, ("headers",)),
            ({"method": "POST", "body": None}, ("body",)),
            ({"method": "POST", "body": 1}, ("body",)),
            ({"method": "POST", "body": True}, ("body",)),
            ({"method": "POST", "body": "\ud800"}, ("body",)),
            ({"method": "POST", "body": [float("nan")]}, ("body",)),
            ({"body": ""}, ()),
            ({"method": "HEAD", "body": {}}, ()),
            ({"expectStatus": "200"}, ("expectStatus",)),
            ({"expectStatus": True}, ("expectStatus",)),
            ({"expectStatus": []}, ("expectStatus",)),
            ({"expectStatus": [200, 600]}, ("expectStatus",)),
            ({"expectStatus": 100}, ("expectStatus",)),
            ({"expectStatus": None}, ("expectStatus",)),
            ({"timeoutSeconds": 0.5}, ("timeoutSeconds",)),
            ({"timeoutSeconds": 301}, ("timeoutSeconds",)),
            ({"timeoutSeconds": "30"}, ("timeoutSeconds",)),
            ({"timeout_s": 30}, ("timeout_s",)),
            ({"verify": False}, ("verify",)),
        ],
    )
    def test_parameters_of_another_shape_are_refused(
        self, given: dict[str, object], place: tuple[str | int, ...]
    ) -> None:
        url = {} if place == ("url",) else {"url": "http://a"}

        assert [place] == [at for at, _ in mistakes(http.Parameters, {**url, **given})]

    def test_the_shortest_request_is_an_address(self) -> None:
        parameters = http.Parameters(url="https://api.example.com")

        assert (parameters.method, parameters.timeout_s, parameters.body) == ("GET", 30, None)
