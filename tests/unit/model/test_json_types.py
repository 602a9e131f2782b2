from __future__ import annotations

from typing import Any

import pytest
import rfc8785
from hypothesis import given

from taskrunner.model.json_types import LARGEST_INTEGER, MAX_DEPTH, unusable
from tests.strategies import json_values


@given(json_values())
def test_a_usable_value_has_a_canonical_form(value: Any) -> None:  # noqa: ANN401
    assert list(unusable(value)) == []
    assert rfc8785.dumps(value)


@pytest.mark.parametrize(
    "value",
    [LARGEST_INTEGER + 1, -LARGEST_INTEGER - 1, float("nan"), float("-inf"), "\ud800", "a\udfffb"],
    ids=repr,
)
def test_finds_a_value_without_a_canonical_form_by_its_path(value: Any) -> None:  # noqa: ANN401
    with pytest.raises((rfc8785.CanonicalizationError, UnicodeEncodeError)):
        rfc8785.dumps([value])
    assert [path for path, _ in unusable({"a": [1, value]})] == [("a", 1)]


def test_finds_a_key_without_a_canonical_form() -> None:
    assert [path for path, _ in unusable({"a": {"\ud800": 1}})] == [("a",)]


def nested(levels: int, kind: str) -> Any:  # noqa: ANN401
    value: Any = 0
    for _ in range(levels):
        value = [value] if kind == "list" else {"a": value}
    return value


@pytest.mark.parametrize("kind", ["list", "object"])
def test_reports_a_value_that_is_nested_too_deep_as_a_whole(kind: str) -> None:
    assert list(unusable(nested(MAX_DEPTH, kind))) == []

    for levels in (MAX_DEPTH + 1, 100_000):
        assert list(unusable(nested(levels, kind))) == [((), "it is nested deeper than 200 levels")]
