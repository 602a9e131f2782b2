"""The cost of an expression is counted, and the count is the same everywhere."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest

from taskrunner import expressions
from taskrunner.expressions import Allowance, ExpressionError
from tests.unit.expressions.jmespath_cases import CASES

CONTEXT: dict[str, Any] = {
    "a": [{"x": n, "y": [n, n + 1], "t": f"t{n}"} for n in range(9)],
    "o": {"k": 1, "l": [True, None, 1.5], "m": "text"},
    "t": "a text",
}


@pytest.mark.parametrize("text", CASES)
def test_gives_the_librarys_own_value_within_the_allowance(text: str) -> None:
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
        "|".join(["t", *["replace(@, 't', 'tttttttt')"] * 12]),
        "|".join(["t", *["replace(@, 't', 'tttttttt')"] * 7, *["split(@, 't')"]] * 2),
        "|".join(["t", *["base64_encode(@)"] * 60]),
        "|".join(["'%B'", *["replace(@, '%B', '%B%B%B%B')"] * 9])
        + "|format_time('2026-09-30T08:00:00Z', @)",
        "|".join(["t", *["replace(@, 't', 'tttttttt')"] * 6, r"matches(@, '(\\w|a){1000}')"]),
    ],
)
def test_stops_an_expression_that_doubles_its_value(text: str) -> None:
    with pytest.raises(ExpressionError, match=r"needs more than the|is larger than the"):
        expressions.parse(text).evaluate(CONTEXT)


def test_expressions_share_an_allowance() -> None:
    allowance = Allowance(steps=40)
    expression = expressions.parse("a[*].x")

    first = expression.evaluate(CONTEXT, allowance)
    with pytest.raises(ExpressionError, match="40 steps"):
        expression.evaluate(CONTEXT, allowance)

    assert first == list(range(9))


def test_bounds_the_size_of_values_apart_from_the_work() -> None:
    with pytest.raises(ExpressionError, match="larger than the 20 characters"):
        expressions.parse("a[*].t").evaluate(CONTEXT, Allowance(size=20))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("contains('a', `1`)", "does not accept"),
        ("a[::0]", "does not accept"),
        ("max_by([`1`, 'x'], &@)", "does not accept"),
        ("to_array(&a)", "an expression with &"),
        ("to_string(&a)", "an expression with &"),
    ],
)
def test_reports_what_the_library_leaves_to_python_as_an_expression_error(
    text: str, reason: str
) -> None:
    with pytest.raises(ExpressionError, match=reason):
        expressions.parse(text).evaluate(CONTEXT)
