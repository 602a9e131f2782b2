from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.adapters.cursors import TenantIndex
from taskrunner.errors import InvalidRequestError

LAST_KEY = {
    "pk": "T#acme#R#run-7",
    "sk": "R",
    "tenant_runs": "acme",
    "created_sort": "2025-12-06T12:00:00.000Z#run-7",
}


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def index(tenant: str = "acme") -> TenantIndex:
    return TenantIndex(tenant, "tenant_runs", "created_sort")


def test_a_list_continues_where_its_page_ended() -> None:
    cursor = index().cursor_of(LAST_KEY)

    assert index().key_of(cursor) == LAST_KEY


def test_the_last_page_has_no_cursor() -> None:
    assert index().cursor_of(None) is None


def test_a_list_starts_without_a_cursor() -> None:
    assert index().key_of(None) is None


def test_a_cursor_names_no_tenant_and_leads_into_the_callers_own_list() -> None:
    cursor = index("acme").cursor_of(LAST_KEY)
    assert cursor is not None
    assert b"acme" not in base64.urlsafe_b64decode(cursor + "==")

    key = index("globex").key_of(cursor)

    assert key is not None
    assert key["tenant_runs"] == "globex"
    assert key["pk"] == "T#globex#R#run-7"


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "nonsense",
        "é",
        "\ud800",
        "a b",
        "=",
        "x" * 5000,
        "[" * 1000,
        encoded(None),
        encoded([]),
        encoded(["a", "b"]),
        encoded(["a", "b", "c", "d"]),
        encoded(["a", "b", 1]),
        encoded(["a", "", "c"]),
        encoded({"a": 1, "b": 2, "c": 3}),
        encoded("abc"),
        encoded(["\ud800", "R", "2025"]),
        base64.urlsafe_b64encode(b"\xff\xff\xff").decode(),
        base64.urlsafe_b64encode(b"[" * 700).decode(),
    ],
)
def test_rejects_a_cursor_that_no_list_has_returned(cursor: str) -> None:
    with pytest.raises(InvalidRequestError, match="omit it to start over") as caught:
        index().key_of(cursor)

    assert caught.value.code == "invalid_request"


@given(cursor=st.text(st.characters(), max_size=50))
def test_any_text_is_a_cursor_or_is_rejected(cursor: str) -> None:
    try:
        index().key_of(cursor)
    except InvalidRequestError:
        return


_key_parts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(run=_key_parts, sort=_key_parts)
def test_any_key_survives_its_cursor(run: str, sort: str) -> None:
    key = LAST_KEY | {"pk": f"T#acme#R#{run}", "created_sort": sort}

    assert index().key_of(index().cursor_of(key)) == key
