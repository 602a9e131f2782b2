"""What an expression may cost is counted, and the count is the same everywhere."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest

from taskrunner import expressions
from taskrunner.expressions.allowance import Allowance
from taskrunner.expressions.parser import ExpressionError
from tests.unit.expressions.jmespath_cases import CASES

CONTEXT: dict[str, Any] = {
    "a": [{"x": n, "y": [n, n + 1], "t": f"t{n}"} for n in range(9)],
    "o": {"k": 1, "l": [True, None, 1.5], "m": "text"},
    "t": "a text",
}


@pytest.mark.parametrize("text", CASES)
def test_within_its_allowance_the_result_is_the_librarys(text: str) -> None:
    assert expressions.parse(text).evaluate(CONTEXT) == jmespath.search(text, CONTEXT)


@pytest.mark.parametrize(
    "text",
    [
        "|".join(["o", *["[@,@]"] * 25]),
        "|".join(["t", *["join(@, [@, @, @])"] * 12]),
        "(" + "|".join(["o", *["[@,@]"] * 25]) + ") == (" + "|".join(["o", *["[@,@]"] * 25]) + ")",
        "|".join(["a", *["[@,@][]"] * 25]),
        "|".join(["a", *["[@,@]"] * 25, "to_string(@)"]),
        "|".join(["a", *["[@,@]"] * 25, "contains(@, `1`)"]),
    ],
)
def test_what_doubles_is_stopped(text: str) -> None:
    with pytest.raises(ExpressionError, match=r"takes more than the|gives more than the"):
        expressions.parse(text).evaluate(CONTEXT)


def test_expressions_that_are_evaluated_together_share_an_allowance() -> None:
    allowance = Allowance(steps=40)
    expression = expressions.parse("a[*].x")

    first = expression.evaluate(CONTEXT, allowance)
    with pytest.raises(ExpressionError, match="40 steps"):
        expression.evaluate(CONTEXT, allowance)

    assert first == list(range(9))


def test_what_is_given_is_bounded_apart_from_the_work() -> None:
    with pytest.raises(ExpressionError, match="gives more than the 20 characters"):
        expressions.parse("a[*].t").evaluate(CONTEXT, Allowance(size=20))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("contains('a', `1`)", "not for it"),
        ("a[::0]", "not for it"),
        ("max_by([`1`, 'x'], &@)", "not for it"),
        ("to_array(&a)", "an expression with &"),
        ("to_string(&a)", "an expression with &"),
    ],
)
def test_what_the_library_leaves_to_python_is_told_as_its_own_errors_are(
    text: str, reason: str
) -> None:
    with pytest.raises(ExpressionError, match=reason):
        expressions.parse(text).evaluate(CONTEXT)
