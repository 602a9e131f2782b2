from __future__ import annotations

import hashlib
import math
from enum import StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model.canonical_json import canonical_bytes, digest


def test_writes_the_canonical_form_of_rfc_8785() -> None:
    # Sorted by UTF-16 code units, numbers as ECMAScript writes them, no white space (section 3.2).
    document = {"b": 1.0, "\ufb33": 1e21, "\U0001f600": "é", "a": [True, None]}

    text = '{"a":[true,null],"b":1,"\U0001f600":"é","\ufb33":1e+21}'
    assert canonical_bytes(document) == text.encode()


def test_hashes_the_canonical_form() -> None:
    assert digest({"b": 2.0, "a": 1}) == "sha256:" + hashlib.sha256(b'{"a":1,"b":2}').hexdigest()


KEYS = st.text(st.characters(), max_size=3)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
)


@given(DOCUMENTS)
def test_writes_what_the_reference_implementation_writes(document: Any) -> None:  # noqa: ANN401 - any JSON
    try:
        expected = rfc8785.dumps(document)
    except ValueError:  # one of its own kind, or UnicodeEncodeError for a lone surrogate in a key
        with pytest.raises(rfc8785.CanonicalizationError):
            canonical_bytes(document)
    else:
        assert canonical_bytes(document) == expected


class Name(StrEnum):
    A = "a"


class Number(int):
    def __repr__(self) -> str:
        return "another number"


@pytest.mark.parametrize(
    "document",
    [
        {"\ue000": 1, "\U0001f600": 2},  # sorted otherwise by UTF-16 code units
        {"\x00\x1f\x7f\u2028": '\b\f\n\r\t"\\/'},
        {"é": [], "a": {}, "": None},
        [2**53 - 1, -(2**53) + 1, 0, -1],
        [True, 1, False, 0],
        {Name.A: Name.A},
        [Number(5)],
        (1, [2, (3,)]),
        [0.0, -0.0, 1e21, 1e-7, 1.0],
        "text",
        7,
    ],
)
def test_writes_what_the_reference_implementation_writes_at_the_edges(document: Any) -> None:  # noqa: ANN401 - any JSON
    assert canonical_bytes(document) == rfc8785.dumps(document)


@pytest.mark.parametrize(
    "document", [[2**53], {"a": "\ud800"}, {"\ud800": 1}, {1: 2}, [math.nan], [{2}]]
)
def test_refuses_what_the_reference_implementation_refuses(document: Any) -> None:  # noqa: ANN401 - any value
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical_bytes(document)
