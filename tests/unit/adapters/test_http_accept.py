"""A response has the media type that the client prefers."""

from __future__ import annotations

import pytest

from taskrunner.adapters.http_accept import media_type

OFFERED = ("application/x-ndjson", "text/plain")


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "*/*",
        "application/json",
        "application/x-ndjson",
        "application/x-ndjson, text/plain",
        "application/x-ndjson, */*",
        "text/plain;q=0.5, */*",
        "text/plain;q=0",
        "TEXT/*;q=0.1, application/*",
        ",;q=,",
    ],
)
def test_chooses_the_first_unless_the_client_prefers_another(accept: str | None) -> None:
    assert media_type(accept, OFFERED) == "application/x-ndjson"


@pytest.mark.parametrize(
    "accept",
    [
        "text/plain",
        "Text/Plain; charset=utf-8",
        "application/json, text/*",
        "text/plain, */*;q=0.8",
        "text/plain, */*",
        "text/plain, application/x-ndjson;q=1.0",
        "application/x-ndjson;q=0.2, text/plain ; q=0.3",
        "*/*, application/x-ndjson;q=0",
    ],
)
def test_chooses_the_type_that_the_client_prefers(accept: str) -> None:
    assert media_type(accept, OFFERED) == "text/plain"
