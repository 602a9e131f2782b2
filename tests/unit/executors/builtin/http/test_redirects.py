"""builtin:http follows redirects as browsers do, and asks for each connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskrunner.executors.work import EgressDenied, ExecutorFailure
from tests.unit.executors.builtin.http.web import HOST, OTHER

if TYPE_CHECKING:
    from tests.unit.executors.builtin.http.web import Web


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_each_redirect_is_followed_over_a_new_connection(status: int, web: Web) -> None:
    site, other = web.site(), web.site(OTHER)
    site.pages["/a/b?c"] = (status, {"Location": "../d"}, b"moved")
    site.pages["/d"] = (status, {"Location": f"//{OTHER}/e?f=1#g"}, b"moved")
    other.pages["/e?f=1"] = (200, {"Content-Type": "text/plain"}, b"here")

    assert web.request(f"http://{HOST}/a/b?c")["body"] == "here"
    assert web.network.connections == [(HOST, 80), (HOST, 80), (OTHER, 80)]


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
def test_a_redirect_changes_the_method_as_browsers_do(
    status: int, method: str, then: str, web: Web
) -> None:
    site = web.site()
    site.pages["/"] = (status, {"Location": "/there"}, b"")
    site.pages["/there"] = (200, {}, b"")

    web.request(method=method, body={"a": 1}, headers={"X-Trace": "7"})

    _, second = site.requests
    kept = method == then
    assert second.method == then
    assert second.body == (b'{"a": 1}' if kept else b"")
    assert ("content-type" in second.headers) == kept
    assert second.headers["x-trace"] == "7"


def test_a_redirected_head_request_stays_a_head_request(web: Web) -> None:
    site = web.site()
    site.pages["/"] = (303, {"Location": "/there"}, b"")
    site.pages["/there"] = (200, {}, b"")

    web.request(method="HEAD")

    assert [request.method for request in site.requests] == ["HEAD", "HEAD"]


@pytest.mark.parametrize(("host", "port"), [(OTHER, 80), (HOST, 8080)])
def test_another_origin_receives_no_header_that_may_be_a_credential(
    host: str, port: int, web: Web
) -> None:
    site, other = web.site(), web.site(host, port)
    site.pages["/"] = (307, {"Location": f"http://{host}:{port}/"}, b"")
    other.pages["/"] = (200, {}, b"")
    headers = {"Authorization": "Bearer x", "cookie": "a=1", "X-Api-Key": "k", "Accept": "a/b"}

    web.request(headers=headers)

    assert set(headers) <= {name.title() for name in site.requests[0].headers} | {"cookie"}
    assert other.requests[0].headers == {
        "host": host if port == 80 else f"{host}:{port}",
        "accept": "a/b",
        "user-agent": "taskrunner",
        "accept-encoding": "identity",
        "connection": "close",
    }


def test_a_redirect_to_a_host_that_is_not_allowed_is_denied(web: Web) -> None:
    site = web.site()
    site.pages["/"] = (302, {"Location": "http://169.254.169.254/latest/meta-data"}, b"")

    with pytest.raises(EgressDenied) as denial:
        web.request()

    assert str(denial.value) == (
        f"http://{HOST} redirects, and the sandbox allows no connection to 169.254.169.254:80"
    )


def test_a_circle_of_redirects_fails_after_five(web: Web) -> None:
    site = web.site()
    site.pages["/"] = (302, {"Location": "/"}, b"")

    with pytest.raises(ExecutorFailure) as failure:
        web.request()

    assert str(failure.value) == f"redirected more than 5 times, the last time by http://{HOST}"
    assert len(site.requests) == 6


def test_five_redirects_are_followed(web: Web) -> None:
    site = web.site()
    for hop in range(5):
        site.pages[f"/{hop}"] = (302, {"Location": f"/{hop + 1}"}, b"")
    site.pages["/5"] = (200, {}, b"")

    assert web.request(f"http://{HOST}/0")["status"] == 200


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("ftp://a/", "it begins with neither https:// nor http://"),
        ("file:///etc/passwd", "it begins with neither https:// nor http://"),
        (f"http://user:secret@{HOST}/", "it contains a user name"),
        ("http://a\\@b/", "it is too long, or contains a space"),
        ("http://2130706433/", "its host ends like an IPv4 address but is not one"),
        ("http://0x7f.1/", "its host ends like an IPv4 address but is not one"),
        ("http://[::1/", "its host cannot be read"),
        ("http://a:99999/", "its port is not from 1 to 65535"),
        ("/" + "x" * 8001, "it is too long"),
    ],
)
def test_a_bad_location_is_reported_without_being_quoted(location: str, why: str, web: Web) -> None:
    web.site().pages["/"] = (302, {"Location": location}, b"")

    with pytest.raises(ExecutorFailure) as failure:
        web.request()

    assert str(failure.value).startswith(f"the redirect by http://{HOST} is not followed: {why}")
    assert "secret" not in str(failure.value)


def test_a_redirect_without_a_location_is_a_final_response(web: Web) -> None:
    web.site().pages["/"] = (302, {}, b"")

    with pytest.raises(ExecutorFailure, match=r"^expected 2xx, got 302 Found"):
        web.request()


@pytest.mark.parametrize("status", [300, 304, 305])
def test_other_3xx_statuses_are_final_responses(status: int, web: Web) -> None:
    web.site().pages["/"] = (status, {"Location": "/there"}, b"")

    assert web.request(expectStatus=status)["status"] == status
