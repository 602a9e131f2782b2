from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.adapters import cursors
from taskrunner.errors import InvalidRequestError

PARTITION = ("tenant_runs", "acme")
ANSWER: dict[str, Any] = {
    "LastEvaluatedKey": {
        "pk": {"S": "T#acme#R#run-7"},
        "sk": {"S": "R"},
        "tenant_runs": {"S": "acme"},
        "created_sort": {"S": "2025-12-06T12:00:00.000Z#run-7"},
    }
}


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def start(cursor: str | None, partition: tuple[str, str] = PARTITION) -> Any:  # noqa: ANN401
    return cursors.start(cursor, partition, "created_sort")


def test_a_list_goes_on_where_its_page_ended() -> None:
    cursor = cursors.following(ANSWER)

    assert start(cursor) == {"ExclusiveStartKey": ANSWER["LastEvaluatedKey"]}


def test_behind_the_last_page_is_nothing() -> None:
    assert cursors.following({}) is None
    assert start(None) == {}


def test_a_cursor_names_no_tenant_and_leads_nowhere_but_into_ones_own_list() -> None:
    cursor = cursors.following(ANSWER)
    assert cursor is not None
    assert b"acme" not in base64.urlsafe_b64decode(cursor + "==")

    key = start(cursor, ("tenant_runs", "globex"))["ExclusiveStartKey"]

    assert key["tenant_runs"] == {"S": "globex"}
    assert key["pk"] == {"S": "T#globex#R#run-7"}


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
def test_what_was_never_given_out_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequestError, match="leave it away") as caught:
        start(cursor)

    assert caught.value.code == "invalid_request"


@given(cursor=st.text(st.characters(), max_size=50))
def test_any_text_is_a_cursor_or_refused(cursor: str) -> None:
    try:
        start(cursor)
    except InvalidRequestError:
        return


_part = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(run=_part, sort=_part)
def test_whatever_a_page_ends_with_comes_back(run: str, sort: str) -> None:
    key = ANSWER["LastEvaluatedKey"] | {
        "pk": {"S": f"T#acme#R#{run}"},
        "created_sort": {"S": sort},
    }

    assert start(cursors.following({"LastEvaluatedKey": key})) == {"ExclusiveStartKey": key}
