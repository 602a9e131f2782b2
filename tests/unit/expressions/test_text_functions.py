"""The functions of text: what they give, and what they refuse in which words."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner import expressions
from taskrunner.expressions import Allowance, ExpressionError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def value(text: str, **inputs: Any) -> Any:  # noqa: ANN401 - any JSON
    return expressions.parse(text).evaluate({"inputs": inputs})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("split('a,b,,c', ',')", ["a", "b", "", "c"]),
        ("split('', ',')", [""]),
        ("split('registry/app:v1', ':') | [-1]", "v1"),
        ("replace('a.b.c', '.', '-')", "a-b-c"),
        ("replace('aaa', 'aa', 'b')", "ba"),
        ("replace('a', 'a', '')", ""),
        ("lower('ÄB-1')", "äb-1"),
        ("upper('straße')", "STRASSE"),
        ("trim(' \u00a0a b\u3000 \n')", "a b"),
        ("trim('\u001c')", "\u001c"),
        ("matches('v1.2.3', '^v[0-9]+')", True),
        ("matches('release v1', 'v[0-9]')", True),
        ("matches('v1', '^[0-9]+$')", False),
        (r"matches('', '^$')", True),
        ("url_encode('a b/ü?&=~._-')", "a%20b%2F%C3%BC%3F%26%3D~._-"),
        ("base64_encode('ü')", "w7w="),
        ("base64_decode('w7w=')", "ü"),
        ("base64_decode('')", ""),
        ("""parse_json('{"b": 1.0, "a": [true, null]}').b""", 1),
        ("""parse_json('"text"')""", "text"),
        ("""keys(parse_json('{"b": 1, "a": 2}'))""", ["a", "b"]),
        ("parse_json('null')", None),
    ],
)
def test_gives_the_documented_value(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("split('a', '')", "needs a separator that is not empty"),
        ("replace('a', '', 'b')", "needs a text to replace that is not empty"),
        ("lower(`1`)", "lower() takes a string, but found a number"),
        ("split(inputs.missing, ',')", "split() takes a string, but found null"),
        ("matches('a', inputs.pattern)", "'(?=a)' is not a supported pattern"),
        ("base64_decode('w7w')", "is not base64"),
        ("base64_decode('w7 w=')", "is not base64"),
        ("base64_decode('_-8=')", "is not base64"),
        ("base64_decode('ü')", "is not base64"),
        ("base64_decode('/w==')", "not text in UTF-8"),
        ("parse_json('{')", "is not JSON: its syntax is wrong"),
        ("parse_json('NaN')", "is not JSON"),
        ("parse_json('1e400')", "is not JSON"),
        ("parse_json('9007199254740993')", "is not JSON"),
        ("""parse_json('{"a": 1, "a": 2}')""", "an object has a member twice"),
        ("parse_json(inputs.deep)", "is not JSON: it is nested"),
        (r"""parse_json('"\ud800"')""", "lone surrogate"),
    ],
)
def test_refuses_what_it_cannot_work_on_and_says_why(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        value(text, pattern="(?=a)", deep="[" * 100_000 + "]" * 100_000)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("matches(inputs.x, '(?!a)')", "no look-around"),
        ("matches(inputs.x, '[')", "is not a supported pattern"),
        (r"matches(inputs.x, '(a)\1')", "no back references"),
        (r"matches(inputs.x, '(\w{1000}){1000}')", "at most 1 MiB"),
    ],
)
def test_a_written_pattern_is_checked_when_it_is_parsed(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        expressions.parse(text)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "instead"), [("strip", "trim"), ("match", "matches"), ("lowercase", "lower")]
)
def test_a_function_of_another_language_has_a_hint(name: str, instead: str) -> None:
    with pytest.raises(ExpressionError, match=rf"did you mean '{instead}'"):
        expressions.parse(f"{name}(inputs.x)")


@given(TEXTS)
def test_encodings_lead_back_to_the_text(text: str) -> None:
    encoded = value("base64_encode(inputs.x)", x=text)

    assert value("base64_decode(inputs.x)", x=encoded) == text
    assert encoded == base64.b64encode(text.encode()).decode()
    assert unquote(value("url_encode(inputs.x)", x=text)) == text
    assert value("parse_json(inputs.x)", x=json.dumps(text)) == text


@given(TEXTS, TEXTS.filter(bool))
def test_what_is_split_is_joined_again(text: str, separator: str) -> None:
    assert value("join(inputs.by, split(inputs.x, inputs.by))", x=text, by=separator) == text


@given(TEXTS, st.sampled_from(["upper", "lower", "url_encode", "base64_encode"]))
def test_no_result_is_longer_than_was_paid_for(text: str, name: str) -> None:
    written = value(f"{name}(inputs.x)", x=text)

    assert len(written) <= 12 * len(text)


def test_a_pattern_costs_by_its_size_and_by_the_text() -> None:
    wide, long = r"matches(inputs.x, '(\w|a){500}')", "x" * 20_000
    allowance = Allowance(steps=30_000)

    assert expressions.parse(wide).evaluate({"inputs": {"x": "x"}}, allowance) is False
    with pytest.raises(ExpressionError, match="30,000 steps"):
        expressions.parse(wide).evaluate({"inputs": {"x": long}}, Allowance(steps=30_000))
