"""builtin:http sends what its parameters say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.executors.builtin.http.web import HOST

if TYPE_CHECKING:
    from tests.unit.executors.builtin.http.web import Web


def test_a_request_has_the_url_and_headers_of_its_parameters(web: Web) -> None:
    site = web.site()
    site.pages["/a%20b/%C3%A9?q=1&r=%7B%7D"] = (200, {}, b"")

    web.request(f"http://{HOST.upper()}/a%20b/é?q=1&r={{}}#part", headers={"X-Trace": "7"})

    [request] = site.requests
    assert (request.method, request.body) == ("GET", b"")
    assert request.headers == {
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
def test_a_body_is_sent_as_text_or_json(
    body: object, content_type: str, sent: bytes, web: Web
) -> None:
    site = web.site()
    site.pages["/"] = (200, {}, b"")

    web.request(method="POST", body=body)

    [request] = site.requests
    assert request.body == sent
    assert request.headers["content-type"] == content_type
    assert request.headers["content-length"] == str(len(sent))


def test_a_header_of_the_pack_replaces_a_default_header(web: Web) -> None:
    site = web.site()
    site.pages["/"] = (200, {}, b"")

    web.request(
        method="PUT",
        body={},
        headers={"content-type": "application/merge-patch+json", "USER-AGENT": "me"},
    )

    [request] = site.requests
    assert request.headers["content-type"] == "application/merge-patch+json"
    assert request.headers["user-agent"] == "me"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_each_method_is_sent_unchanged(method: str, web: Web) -> None:
    site = web.site()
    site.pages["/"] = (200, {}, b"")

    web.request(method=method)

    assert [request.method for request in site.requests] == [method]
    assert ("content-length" in site.requests[0].headers) == (method in {"POST", "PUT", "PATCH"})


def test_a_large_body_is_sent_completely(web: Web) -> None:
    site = web.site()
    site.pages["/"] = (200, {}, b"")
    body = "x" * 3_000_000

    web.request(method="POST", body=body)

    assert site.requests[0].body == body.encode()


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
def test_the_host_header_has_the_normal_form_of_the_host(
    url: str, authority: str, web: Web
) -> None:
    site = web.site()
    site.pages["/"] = (200, {}, b"")
    [port] = web.network.ports.values()
    for host in (HOST, "2001:db8::1", "xn--bcher-kva.example"):
        web.network.ports |= {(host, 80): port, (host, 8080): port}

    web.request(url)

    assert site.requests[0].headers["host"] == authority
