"""builtin:http refuses requests that cannot be sent."""

from __future__ import annotations

import pytest

from taskrunner.executors.builtin.http import Parameters
from tests.fakes.executor_world import mistakes


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "it begins with neither"),
        ("api.example.com", "it begins with neither"),
        ("ftp://api.example.com", "it begins with neither"),
        ("http://", "its host has no host"),
        ("http:///path", "its host has no host"),
        ("http://user@api.example.com", "it contains a user name"),
        ("http://user:secret@api.example.com", "it contains a user name"),
        ("http://api.example.com/a b", "it contains a space"),
        ("http://api.example.com/\r\nX: y", "it contains a space"),
        ("http://api.example.com\t", "it contains a space"),
        (" http://api.example.com", "it contains a space"),
        ("http://api.example.com\\@evil.example", "it contains a space"),
        ("http://api.example.com/\ud800", "it contains a space"),
        ("http://api.example.com:port", "its port is not a number"),
        ("http://api.example.com:0", "its port is not from 1"),
        ("http://api.example.com:65536", "its port is not from 1"),
        ("http://127.1", "its host ends like an IPv4 address but is not one"),
        ("http://0x7f000001", "its host ends like an IPv4 address but is not one"),
        ("http://[::1", "its host cannot be read"),
        ("http://[::1]a", "its "),
        ("http://[fe80::1%25eth0]/", "its host "),
        ("http://a_b..example", "its host is not a host"),
        ("http://%61pi.example.com", "its host is not a host"),
        ("http://" + "a" * 8000, "it is longer than 8000 characters"),
    ],
)
def test_a_bad_url_is_reported_without_being_quoted(url: str, why: str) -> None:
    [(place, message)] = mistakes(Parameters, {"url": url})

    assert place == ("url",)
    assert message.startswith(why)
    assert "secret" not in message


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("", "a", "it is not a header name"),
        ("X Y", "a", "it is not a header name"),
        ("X:", "a", "it is not a header name"),
        ("X\r\nY", "a", "it is not a header name"),
        ("Ü", "a", "it is not a header name"),
        ("Host", "a", "it cannot be set by a pack"),
        ("content-length", "1", "it cannot be set by a pack"),
        ("Transfer-Encoding", "chunked", "it cannot be set by a pack"),
        ("CONNECTION", "close", "it cannot be set by a pack"),
        ("Proxy-Authorization", "a", "it cannot be set by a pack"),
        ("Accept-Encoding", "gzip", "it cannot be set by a pack"),
        ("X", "secret\n", "it has a value that no header can have"),
        ("X", "secret\r\nY: z", "it has a value that no header can have"),
        ("X", " secret", "it has a value that no header can have"),
        ("X", "secret\x00", "it has a value that no header can have"),
        ("X", "sécret", "it has a value that no header can have"),
        ("X", "s" * 8001, "it has a value that no header can have"),
    ],
)
def test_a_bad_header_is_reported_at_its_place(name: str, value: str, why: str) -> None:
    [(place, message)] = mistakes(Parameters, {"url": "http://a", "headers": {name: value}})

    assert place == ("headers", name)
    assert message.startswith(why)
    assert "secret" not in message


def test_the_same_header_twice_is_refused() -> None:
    parameters = {"url": "http://a", "headers": {"Accept": "a", "accept": "b"}}

    assert mistakes(Parameters, parameters) == [
        (("headers", "accept"), "it is set twice; 'Accept' is the same header")
    ]


@pytest.mark.parametrize("value", ["", "a", "a b", "a\tb", '{"a": "b"}'])
def test_a_header_may_have_any_printable_ascii_value(value: str) -> None:
    assert mistakes(Parameters, {"url": "http://a", "headers": {"X-1": value}}) == []


@pytest.mark.parametrize(
    ("parameters", "place"),
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
def test_parameters_of_a_wrong_type_are_refused(
    parameters: dict[str, object], place: tuple[str | int, ...]
) -> None:
    url = {} if place == ("url",) else {"url": "http://a"}

    assert [path for path, _ in mistakes(Parameters, {**url, **parameters})] == [place]


def test_only_the_url_is_required() -> None:
    parameters = Parameters(url="https://api.example.com")

    assert (parameters.method, parameters.timeout_s, parameters.body) == ("GET", 30, None)
