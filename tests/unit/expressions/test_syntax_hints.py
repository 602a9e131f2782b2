"""Messages about the forms of other languages."""

from __future__ import annotations

import pytest

from taskrunner import expressions
from taskrunner.expressions import ExpressionError


def message(text: str) -> str:
    with pytest.raises(ExpressionError) as caught:
        expressions.parse(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("inputs.a ? 'b' : 'c'", "inputs.a && 'b' || 'c'"),
        ("inputs.a == 'x' ? inputs.b : inputs.c", "inputs.a == 'x' && inputs.b || inputs.c"),
        ("inputs.x in ['a', 'b']", "contains(['a', 'b'], inputs.x)"),
        ("inputs.x not in inputs.list", "!contains(inputs.list, inputs.x)"),
        ("inputs['env']", "inputs.env"),
        ('inputs["my-env"]', "inputs.my-env"),
        ("inputs['a b']", 'inputs."a b"'),
    ],
)
def test_the_form_that_a_message_shows_can_be_parsed(text: str, right: str) -> None:
    assert f"write {right}" in message(text)
    assert expressions.parse(right).text == right


def test_says_when_the_second_of_two_values_is_taken_too() -> None:
    assert "which takes `2` also when `1` is false" in message("inputs.a ? `1` : `2`")
    assert "also when" not in message("inputs.a ? 'b' : 'c'")
