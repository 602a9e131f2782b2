"""builtin:http turns a response into outputs, or into a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from taskrunner.executors.builtin.http.response import MAX_INLINE_BYTES
from taskrunner.executors.work import ExecutorFailure
from taskrunner.model.json_types import unusable
from tests.unit.executors.builtin.http.web import HOST, JSON, sends

if TYPE_CHECKING:
    from tests.unit.executors.builtin.http.web import Web


@pytest.mark.parametrize(
    ("content_type", "content", "body"),
    [
        ("application/json", b'{"a": [1, 2.5, null, "\xc3\xbc"]}', {"a": [1, 2.5, None, "ü"]}),
        ("application/problem+json; charset=utf-8", b"[]", []),
        ("application/json", b"\xef\xbb\xbf0", 0),
        ("text/json", b'{"open": 1}', {"open": 1}),
        ("text/html, application/json; charset=utf-8", b'{"open": 1}', {"open": 1}),
        ("application/json", b"[2.0, 1e2, 9007199254740991]", [2, 100, 2**53 - 1]),
        ("text/plain", "grüße".encode(), "grüße"),
        ("text/plain; charset=iso-8859-1", b"gr\xfc\xdfe", "grüße"),
        ('text/html; charset="UTF-8"', b"<p>", "<p>"),
        ("application/atom+xml", b"<feed/>", "<feed/>"),
    ],
)
def test_a_body_that_is_json_or_text_stands_in_the_outputs(
    content_type: str, content: bytes, body: object, web: Web
) -> None:
    web.site().pages["/"] = (200, {"Content-Type": content_type}, content)

    outputs = web.request()

    assert outputs["body"] == body
    assert not any(unusable(outputs))
    assert web.files == {}


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"Content-Type": "application/octet-stream"}, b"\x00\xff"),
        ({}, b"text of no type"),
        ({"Content-Type": "text/plain"}, b"\xff is not UTF-8"),
        ({"Content-Type": "text/plain; charset=utf-7"}, b"+AGE-"),
        ({"Content-Type": "text/plain", "Content-Encoding": "gzip"}, b"\x1f\x8b"),
        ({"Content-Type": "text/plain"}, b"x" * (MAX_INLINE_BYTES - 1)),
        ({"Content-Type": "text/plain"}, b"\x01" * 6000),
    ],
    ids=str,
)
def test_any_other_body_becomes_a_file(headers: dict[str, str], content: bytes, web: Web) -> None:
    web.site().pages["/"] = (200, headers, content)

    assert web.request()["body"] is None
    assert web.files == {"response-body": content}


NUMBER = b'{"total": 12345678901234567890}'
BAD_JSON = {
    "text/json": ({"Content-Type": "Text/JSON"}, b"[1e999]", "$.body[0]: the number 1e999 is out"),
    "syntax": (JSON, b"{not json}", "it is not JSON: Expecting property name"),
    "text": ({"Content-Type": "application/problem+json"}, b"busy", "it is not JSON: "),
    "NaN": (JSON, b"[NaN]", "it is not JSON: NaN is not JSON"),
    "surrogate": (JSON, b'["\\ud800"]', "$.body[0]: the text holds a lone surrogate"),
    "out of range": (JSON, b"[1e999]", "$.body[0]: the number 1e999 is out of range"),
    "rounded integer": (
        JSON,
        NUMBER,
        (
            "$.body.total: the number 12345678901234567890 would be rounded to "
            "12345678901234567000; the server must send it as text, in quotes"
        ),
    ),
    "rounded fraction": (JSON, b"[0.12345678901234567890]", "$.body[0]: the number 0.1234567890"),
    "depth": (JSON, b"[" * 101 + b"]" * 101, "it is nested deeper than 99 levels"),
    "more depth": (JSON, b"[" * 30_000 + b"]" * 2_000, "it is nested deeper than 99 levels"),
    "size": (JSON, b"[" + b"1," * 16_400 + b"1]", "it has 32803 bytes, at most 32768"),
    "size of its numbers": (
        JSON,
        b"[" + b"1e20," * 4_000 + b"1]",
        "as JSON it has more than 32768",
    ),
    "compressed": ({**JSON, "Content-Encoding": "gzip"}, b"\x1f\x8b", "it is compressed"),
    "charset": ({"Content-Type": "application/json; charset=utf-7"}, b"[]", "its charset is none"),
    "no UTF-8": (JSON, b'"\xff"', "it is not valid utf-8"),
}


@pytest.mark.parametrize(("headers", "content", "problem"), BAD_JSON.values(), ids=BAD_JSON)
def test_a_json_body_that_is_not_usable_fails_the_step_and_is_kept(
    headers: dict[str, str], content: bytes, problem: str, web: Web
) -> None:
    web.site().pages["/"] = (200, headers, content)

    with pytest.raises(ExecutorFailure) as failure:
        web.request()

    message = str(failure.value)
    assert message.startswith(f"the body from http://{HOST} is not usable as JSON: {problem}")
    assert message.endswith(" (responseType: text or file takes it as it is)")
    assert web.files == {"response-body": content}


@pytest.mark.parametrize("content", [NUMBER, b"{not json}", b"[" * 101, b""])
def test_a_json_body_is_exact_text_where_the_pack_asks_for_text(content: bytes, web: Web) -> None:
    web.site().pages["/"] = (200, JSON, content)

    assert web.request(responseType="text")["body"] == content.decode()
    assert web.files == {}


@pytest.mark.parametrize(
    ("headers", "content", "problem"),
    [
        (JSON, b"x" * (MAX_INLINE_BYTES + 1), "it has 32769 bytes"),
        ({"Content-Type": "text/plain"}, b"\x01" * 6000, "as JSON it has more than"),
        ({"Content-Type": "application/octet-stream"}, b"\xff", "it is not valid utf-8"),
    ],
)
def test_a_body_that_cannot_be_text_fails_the_step_where_the_pack_asks_for_text(
    headers: dict[str, str], content: bytes, problem: str, web: Web
) -> None:
    web.site().pages["/"] = (200, headers, content)

    with pytest.raises(ExecutorFailure, match=f"is not usable as text: {problem}"):
        web.request(responseType="text")

    assert web.files == {"response-body": content}


def test_a_body_is_json_whatever_its_type_where_the_pack_asks_for_json(web: Web) -> None:
    web.site().pages["/"] = (200, {"Content-Type": "text/html"}, b'{"blocked": true}')

    assert web.request(responseType="json")["body"] == {"blocked": True}


@pytest.mark.parametrize("content", [b"", b"<p>busy</p>"])
def test_a_body_that_is_not_json_fails_the_step_where_the_pack_asks_for_json(
    content: bytes, web: Web
) -> None:
    web.site().pages["/"] = (200, {"Content-Type": "text/html"}, content)

    with pytest.raises(ExecutorFailure, match="is not usable as JSON: it is not JSON"):
        web.request(responseType="json")


@pytest.mark.parametrize("content", [b"[1]", b"[" + b"1," * 20_000 + b"1]"])
def test_a_body_is_a_file_where_the_pack_asks_for_a_file(content: bytes, web: Web) -> None:
    web.site().pages["/"] = (200, JSON, content)

    assert web.request(responseType="file")["body"] is None
    assert web.files == {"response-body": content}


def test_a_text_of_the_largest_size_stands_in_the_outputs(web: Web) -> None:
    content = b"x" * (MAX_INLINE_BYTES - 2)  # with its quotes it is as long as it may
    web.site().pages["/"] = (200, {"Content-Type": "text/plain"}, content)

    assert web.request()["body"] == content.decode()


def test_headers_have_names_in_lower_case_and_repeated_ones_are_joined(web: Web) -> None:
    raw = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nLink: <a>\r\nLINK: <b>\r\n"
        b"Set-Cookie: a=1; Expires=Wed, 1 Jan 2031\r\nSet-Cookie: b=2\r\n"
        b"X-Latin: \xfc\r\nX-Utf: \xc3\xbc\r\nX-Bell: a\x07b\r\n\r\n"
    )
    web.raw_server(sends(raw))

    outputs = web.request()

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
def test_outputs_fit_into_64_kib_whatever_the_server_sends(filler: bytes, web: Web) -> None:
    body = b"x" * (MAX_INLINE_BYTES - 2)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX: "
    web.raw_server(sends(head + filler * 16_353 + b"\r\n\r\n" + body))

    outputs = web.request()

    assert len(json.dumps(outputs, ensure_ascii=False).encode()) <= 64 * 1024
    escaped = filler in b'"\\\xfc'  # one byte there, and two in the outputs
    assert web.files == ({"response-body": body} if escaped else {})
    assert outputs["body"] == (None if escaped else body.decode())


@pytest.mark.parametrize(
    ("method", "status", "headers"), [("GET", 204, JSON), ("HEAD", 200, JSON), ("GET", 200, {})]
)
def test_an_empty_body_is_null_and_not_a_file(
    method: str, status: int, headers: dict[str, str], web: Web
) -> None:
    web.site().pages["/"] = (status, headers, b"")

    outputs = web.request(method=method)

    assert (outputs["status"], outputs["body"]) == (status, None)
    assert web.files == {}


def test_an_empty_body_that_should_be_json_fails_the_step(web: Web) -> None:
    web.site().pages["/"] = (200, JSON, b"")

    with pytest.raises(ExecutorFailure, match="is not usable as JSON: it is not JSON: "):
        web.request()

    assert web.request(responseType="text")["body"] == ""


def test_a_chunked_body_is_joined(web: Web) -> None:
    chunks = b"5\r\nhello\r\n7;a=b\r\n, world\r\n0\r\nTrailer: x\r\n\r\n"
    headers = {"Transfer-Encoding": "chunked", "Content-Type": "text/plain"}
    web.site().pages["/"] = (200, headers, chunks)

    assert web.request()["body"] == "hello, world"


def test_a_body_may_end_with_the_connection(web: Web) -> None:
    web.raw_server(sends(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold"))

    assert web.request()["body"] == "old"


def test_interim_responses_are_skipped(web: Web) -> None:
    raw = b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    web.raw_server(sends(raw + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))

    assert web.request()["status"] == 200


def test_a_status_other_than_2xx_fails_with_the_whole_body_in_the_message(web: Web) -> None:
    content = b'{"error":\n  "no such\x1b thing' + b"!" * 300 + b'"}'
    web.site().pages["/token?key=secret"] = (503, JSON, content)

    with pytest.raises(ExecutorFailure) as failure:
        web.request(f"http://{HOST}/token?key=secret")

    assert str(failure.value).startswith(
        f"expected 2xx, got 503 Service Unavailable from http://{HOST}: "
        '{"error": "no such  thing!!!'
    )
    assert str(failure.value).endswith('!"}')
    assert "secret" not in str(failure.value)
    assert web.files == {"response-body": content}


@pytest.mark.parametrize(("expect", "status"), [(404, 404), ([200, 409], 409), (302, 302)])
def test_an_expected_status_succeeds(expect: object, status: int, web: Web) -> None:
    web.site().pages["/"] = (status, {"Location": "/elsewhere"}, b"")

    assert web.request(expectStatus=expect)["status"] == status


def test_expected_statuses_replace_2xx(web: Web) -> None:
    web.site().pages["/"] = (200, {}, b"")

    with pytest.raises(ExecutorFailure, match=r"^expected 201 or 202, got 200 OK from"):
        web.request(expectStatus=[201, 202])
