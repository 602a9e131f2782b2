"""The address of the API, as the client of an event has reached it."""

from __future__ import annotations

from typing import Any

import pytest

from taskrunner.adapters.http_address import base_url

RUNS = "/v1/task-runner/runs"
CANCEL = f"{RUNS}/{{runId}}/cancel"
HOST = "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"


def an_event(resource: str, path: str, host: str | None = HOST, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any part of the event
    headers = {"X-Forwarded-Proto": "https"} | ({} if host is None else {"Host": host})
    return {
        "resource": resource,
        "headers": headers,
        "requestContext": {"path": path, "stage": "live"},
        **changes,
    }


@pytest.mark.parametrize(
    ("resource", "path", "host", "expected"),
    [
        (RUNS, f"/live{RUNS}", HOST, f"https://{HOST}/live"),
        (RUNS, f"/live{RUNS}/", HOST, f"https://{HOST}/live"),
        (CANCEL, f"/live{RUNS}/run-7/cancel", HOST, f"https://{HOST}/live"),
        (RUNS, RUNS, "api.example.com", "https://api.example.com"),
        (RUNS, f"/tasks/v2{RUNS}", "api.example.com", "https://api.example.com/tasks/v2"),
        ("/openapi", "/live/openapi", "[::1]:8443", "https://[::1]:8443/live"),
        ("/", "/live/", HOST, f"https://{HOST}/live"),
    ],
)
def test_ends_before_the_resource(resource: str, path: str, host: str, expected: str) -> None:
    assert base_url(an_event(resource, path, host)) == expected


def test_has_the_scheme_that_the_client_used() -> None:
    local = {"host": "127.0.0.1:4566", "x-forwarded-proto": "http"}

    assert base_url(an_event(RUNS, f"/live{RUNS}", headers=local)) == "http://127.0.0.1:4566/live"


@pytest.mark.parametrize("scheme", ["javascript", "HTTPS", "", "https,http"])
def test_is_https_unless_a_known_scheme_is_named(scheme: str) -> None:
    headers = {"Host": HOST, "X-Forwarded-Proto": scheme}

    assert base_url(an_event(RUNS, RUNS, headers=headers)) == f"https://{HOST}"


@pytest.mark.parametrize("host", ["a b", "a\r\nX-A: b", "a/b", "user@a", "a:port", ""])
def test_ignores_a_header_that_is_not_a_host(host: str) -> None:
    event = an_event(RUNS, f"/live{RUNS}", host)
    event["requestContext"]["domainName"] = "api.example.com"

    assert base_url(event) == "https://api.example.com/live"


def test_is_a_path_when_nothing_names_a_host() -> None:
    assert base_url(an_event(RUNS, f"/live{RUNS}", None)) == "/live"


@pytest.mark.parametrize("event", [{}, {"headers": None, "requestContext": None, "resource": None}])
def test_is_empty_for_an_empty_event(event: dict[str, Any]) -> None:
    assert base_url(event) == ""
