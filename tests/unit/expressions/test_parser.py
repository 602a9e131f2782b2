"""Parsing and evaluating expressions, and the mistakes that are refused with the right form."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner import expressions
from taskrunner.expressions import ExpressionError, rules, templates
from tests.strategies import json_values, texts


def refusal(text: str) -> str:
    with pytest.raises(ExpressionError) as refused:
        expressions.parse(text)
    return str(refused.value)


def failure(text: str) -> str:
    with pytest.raises(ExpressionError) as failed:
        expressions.parse(text).evaluate({})
    return str(failed.value)


@pytest.mark.parametrize("text", ["inputs.a", " {{inputs.a}} ", "{{  inputs.a\n}}", "\tinputs.a "])
def test_ignores_braces_and_space_around_an_expression(text: str) -> None:
    assert expressions.parse(text) == expressions.parse("inputs.a")


CONTEXT: dict[str, Any] = {
    "inputs": {
        "my-name": "ana",
        "count": 3,
        "zero": 0,
        "none": None,
        "list": [{"n": 1}, {"n": 2}],
        "text": "a-b",
    }
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inputs.my-name", "ana"),
        ("inputs.my-name == 'ana'", True),
        ("inputs.text == 'a-b'", True),
        ("inputs.count > `-1`", True),
        ("inputs.list[-1].n", 2),
        ("inputs.list[?n >= `2`] | length(@)", 1),
        ("inputs.missing.field", None),
        ("inputs.none || 'else'", "else"),
        ("inputs.zero || 'else'", 0),
        ("!(inputs.none)", True),
        ("avg(`[]`)", None),
    ],
)
def test_evaluates_an_expression(text: str, expected: object) -> None:
    assert expressions.parse(text).evaluate(CONTEXT) == expected


@pytest.mark.parametrize("text", ["[`[1, 2]`]", "[`\n [1, 2]`]", '[`{"a": [1, 2]}`.a]'])
def test_a_literal_is_not_shared_with_other_expressions_of_the_same_text(text: str) -> None:
    value: Any = expressions.parse(text).evaluate({})

    value[0].append(3)

    assert expressions.parse(text).evaluate({}) == [[1, 2]]


@pytest.mark.parametrize("value", [None, False, "", [], {}])
def test_null_false_and_empty_values_are_false(value: object) -> None:
    assert not expressions.truth(value)


@pytest.mark.parametrize("value", [True, 0, 0.0, " ", "false", [None], {"a": None}])
def test_every_other_value_is_true_and_so_is_zero(value: object) -> None:
    assert expressions.truth(value)


@given(json_values())
def test_truth_is_that_of_the_library(value: Any) -> None:  # noqa: ANN401
    assert expressions.truth(value) is not jmespath.search("!@", value)


@pytest.mark.parametrize(
    "text",
    [
        "a == 5",
        "a != 5",
        "a < 5",
        "a <= 5",
        "a >= 5",
        "5 == a",
        "a[?b > 3.5]",
        "f(a, 2)",
        "a && -1",
        "a || 0",
    ],
)
def test_refuses_a_bare_number_with_the_right_form(text: str) -> None:
    assert "a number needs backticks: write `" in refusal(text)


@pytest.mark.parametrize("text", ["a[0]", "a[-1]", "a[0:2]", "a[::-1]", "'5'", "`5`", '"5"', "a5"])
def test_accepts_a_number_in_an_index_or_in_quotes(text: str) -> None:
    assert expressions.parse(text)


@pytest.mark.parametrize("text", ["!a.b", "!a.b.c", "x || !a.b", "[!a.b]", "a[?!b.c]"])
def test_refuses_not_of_a_field_that_the_library_reads_otherwise(text: str) -> None:
    assert "write !(a.b)" in refusal(text)


@pytest.mark.parametrize("text", ["!a", "!(a.b)", "!a && b.c", "!a == b.c", "a[?!b].c"])
def test_accepts_other_negations(text: str) -> None:
    assert expressions.parse(text)


@pytest.mark.parametrize("text", ["`a`", "`{a: 1}`", "`'a'`", "`NaN`", "`1e999`", '`"\\ud800"`'])
def test_refuses_a_literal_that_is_not_json(text: str) -> None:
    assert "is not JSON" in refusal(text)


def test_refuses_unknown_functions_and_wrong_numbers_of_arguments() -> None:
    assert expressions.parse("max(inputs.list)").references == (("inputs", "list"),)
    assert "did you mean 'length'?" in refusal("lenght(a)")
    assert "there is no function 'lenght'" in refusal("a[*].{b: sum(lenght(c))}")
    assert refusal("length(a, b)") == "length() takes 1 argument, but was given 2"
    assert refusal("not_null()") == "not_null() takes at least 1 argument, but was given 0"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("inputs.x ==", "it ends too early"),
        ("inputs.x[1:", "it ends too early"),
        ("inputs.x = 'a'", "unexpected '='; to compare, write =="),
        ("inputs.x and inputs.y", "unexpected 'and'; write &&"),
        ("inputs.x or inputs.y", "unexpected 'or'; write ||"),
        ("a + b", "unexpected '+'; an expression has no arithmetic"),
        ("a - b", "unexpected '-'; an expression has no arithmetic"),
        ("inputs..x", "unexpected '.'"),
        ("inputs.3rd", 'a name that begins with a digit needs quotes: write "3rd"'),
        ("3rd", 'a name that begins with a digit needs quotes: write "3rd"'),
        ("not inputs.x", "unexpected 'inputs'; write !(...), not 'not'"),
        ("{a: 1}", "unexpected '1'; a number needs backticks: write `1`"),
        ('a `{"k": 1}`', "unexpected '{\"k\": 1}'"),
        ("my-f(x)", "only the name of a function may stand before '('"),
        ("'f'(x)", "only the name of a function may stand before '('"),
        ("a == 'b", "the quote ' is never closed"),
        ('a."\\q"', '"\\q" holds an invalid escape'),
        ("{{ a }} == 'a'", "put one pair of {{ }} around the whole expression, or none"),
    ],
)
def test_explains_a_syntax_error_without_words_of_the_library(text: str, reason: str) -> None:
    message = refusal(text)

    assert "is not a valid expression: " in message
    assert reason in message
    assert not any(word in message for word in ("jmespath", "oken", "quoted_identifier", "Parse"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("length(`1`)", "length() takes a string, an array or an object, but found a number"),
        ("abs('x')", "abs() takes a number, but found a string"),
        ("join(',', `[1]`)", "join() takes an array of strings, but found a number"),
        ("sort_by(`[1]`, 'a')", "sort_by() takes an expression with &, but found a string"),
        ("contains('a', `1`)", "was given a value that it does not accept"),
        ("`[1]`[::0]", "was given a value that it does not accept"),
        ("ceil(to_number('inf'))", "ceil() takes a number, but found null"),
    ],
)
def test_explains_a_failed_evaluation_without_names_of_types(text: str, reason: str) -> None:
    message = failure(text)

    assert "cannot be evaluated: " in message
    assert reason in message


@pytest.mark.parametrize("text", ["sum([`1e308`, `1e308`])", "to_number('1e999')"])
def test_refuses_a_value_without_a_canonical_form(text: str) -> None:
    assert "() is out of the range of numbers" in failure(text)


def test_never_shows_the_value_that_an_evaluation_failed_on() -> None:
    secret = {"secrets": {"token": "hunter2hunter2"}}

    with pytest.raises(ExpressionError) as failed:
        expressions.parse("abs(secrets.token)").evaluate(secret)

    assert "hunter2" not in str(failed.value)


def test_accepts_at_most_4096_characters() -> None:
    longest = "a" * rules.MAX_CHARACTERS

    assert expressions.parse(longest)
    assert "has 4097 characters" in refusal(longest + "a")


@pytest.mark.parametrize(
    ("start", "end"), [("(", ")"), ("[", "]"), ("!", ""), ("a || ", ""), ("length(", ")")]
)
def test_accepts_at_most_64_levels(start: str, end: str) -> None:
    assert "nested deeper than 64 levels" in refusal(start * 70 + "a" + end * 70)
    assert expressions.parse(start * 60 + "a" + end * 60)


def test_brackets_in_quotes_do_not_nest() -> None:
    assert expressions.parse(f"'{'(' * 100}'")


@settings(max_examples=300)
@given(st.text(st.sampled_from(list("ab.-!()[]{}|&*?@'\"`,:=<>012 \\é")), max_size=25) | texts)
def test_every_text_gives_an_expression_or_an_expression_error(text: str) -> None:
    try:
        templates.split(text)
        expressions.parse(text).evaluate(CONTEXT)
    except ExpressionError as error:
        assert str(error)  # noqa: PT017 - no other error may come
