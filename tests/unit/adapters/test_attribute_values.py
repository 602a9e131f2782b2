"""Attribute values are those of boto3, for every value that the table holds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.adapters.attribute_values import from_attribute_value, to_attribute_value

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**37), 10**37)
    | st.text()
    | st.sets(st.text(), min_size=1),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=12,
)


@given(VALUES)
def test_writes_what_boto3_writes(value: Any) -> None:  # noqa: ANN401 - any value
    assert ordered(to_attribute_value(value)) == ordered(TypeSerializer().serialize(value))


@given(VALUES)
def test_reads_what_boto3_reads(value: Any) -> None:  # noqa: ANN401 - any value
    stored = to_attribute_value(value)

    assert from_attribute_value(stored) == value == TypeDeserializer().deserialize(stored)


@pytest.mark.parametrize("value", [1.5, b"bytes", set(), {1}, Decimal(1), object()])
def test_refuses_a_value_that_the_table_does_not_hold(value: Any) -> None:  # noqa: ANN401
    with pytest.raises(TypeError, match="the table cannot hold"):
        to_attribute_value(value)


def test_refuses_an_attribute_that_the_table_does_not_hold() -> None:
    with pytest.raises(ValueError, match="no attribute of type B"):
        from_attribute_value({"B": b"bytes"})


def ordered(attribute: Any) -> Any:  # noqa: ANN401 - any attribute value
    """The attribute value with its sets of texts in order."""
    match attribute:
        case {"SS": texts}:
            return {"SS": sorted(texts)}
        case dict():
            return {key: ordered(child) for key, child in attribute.items()}
        case list():
            return [ordered(child) for child in attribute]
    return attribute
