"""Functions and equality work on JSON, in which Python and the library see more than there is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given

from taskrunner import expressions
from taskrunner.expressions import ExpressionError, templates
from taskrunner.model import canonical_json
from taskrunner.model.json_types import normal, unusable
from tests.strategies import json_values


def value(text: str, **inputs: Any) -> Any:  # noqa: ANN401 - any JSON
    return expressions.parse(text).evaluate({"inputs": inputs})


@given(json_values())
def test_to_string_writes_a_value_as_a_template_does(given: Any) -> None:  # noqa: ANN401
    assume(not list(unusable(given)) and not isinstance(given, str) and given is not None)
    context = {"inputs": {"v": normal(given)}}

    written = expressions.parse("to_string(inputs.v)").evaluate(context)

    assert written == canonical_json.canonical_text(given)
    assert f" {written}" == templates.split(" {{ inputs.v }}").render(context)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("to_string(`1E-7`)", "1e-7"),
        ("to_string(`9007199254740992`)", "9007199254740992"),
        ("to_string(`-0.0`)", "0"),
        ("to_string(avg(`[1, 3]`))", "2"),
        ("to_string(['ü', `2.0`])", '["ü",2]'),
        ("to_string({b: `1`, a: `true`})", '{"a":true,"b":1}'),
        ("to_string(`null`)", "null"),
        ("to_string(ceil(`1e300`))", "1e+300"),
        ("floor(`-1e17`)", -1e17),
        ("ceil(`1.5`)", 2),
        ("to_number(' 12.50 ')", 12.5),
        ("to_number('1E2')", 100),
        ("to_number('nan')", None),
        ("to_number('-inf')", None),
        ("to_number('Infinity')", None),
        ("to_number('1_000')", None),
        ("to_number('\u0663')", None),
        ("to_number('')", None),
    ],
)
def test_numbers_and_texts_are_those_of_json(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "to_number('1e400')",
        "to_number('9007199254740993') > `1`",
        "to_string(sum(`[9007199254740991, 2]`))",
        "!(sum(`[1e308, 1e308]`) > `5`)",
        "to_string(to_number('-1e999'))",
    ],
)
def test_a_function_whose_result_is_not_a_number_of_json_fails(text: str) -> None:
    with pytest.raises(ExpressionError, match="the result of "):
        value(text)


@pytest.mark.parametrize(
    "text",
    [
        "`[1]` == `[true]`",
        '`{"a": [0]}` == `{"a": [false]}`',
        "`1` == `true`",
        "contains(`[1, 0]`, `true`)",
        "contains(`[[1]]`, `[true]`)",
        "contains(`[true]`, `1`)",
        "`[1, 2]` == `[1]`",
    ],
)
def test_a_boolean_is_never_equal_to_a_number_however_deep(text: str) -> None:
    assert value(text) is False
    assert value(text.replace("==", "!=")) is ("==" in text)


@pytest.mark.parametrize(
    "text",
    [
        "`[1, [true]]` == `[1.0, [true]]`",
        '`{"a": 1, "b": 2}` == `{"b": 2, "a": 1}`',
        "contains(`[1, 2.0]`, `2`)",
        'contains(`[{"a": null}]`, `{"a": null}`)',
        "contains('text', 'ex')",
    ],
)
def test_equal_json_is_equal(text: str) -> None:
    assert value(text) is True
