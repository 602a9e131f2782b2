"""JMESPath as packs have it: what an expression reads, what it gives, and where templates end."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner import expressions
from taskrunner.expressions import parser
from taskrunner.expressions.parser import Expression, ExpressionError
from tests.strategies import json_values, texts


def refusal(text: str) -> str:
    with pytest.raises(ExpressionError) as refused:
        expressions.parse(text)
    return str(refused.value)


def read(text: str) -> list[str]:
    return [".".join(reference) for reference in expressions.parse(text).references]


READS = {
    "inputs": ["inputs"],
    "inputs.a": ["inputs.a"],
    "inputs.a.b.c": ["inputs.a.b.c"],
    "inputs.a == inputs.b": ["inputs.a", "inputs.b"],
    "inputs.a || inputs.b && !(inputs.c)": ["inputs.a", "inputs.b", "inputs.c"],
    "inputs.a && inputs.a": ["inputs.a"],
    "inputs.a[0].b": ["inputs.a"],
    "inputs.a[-1]": ["inputs.a"],
    "inputs.a[1:2].b": ["inputs.a"],
    "inputs.a[*].b.c": ["inputs.a"],
    "inputs.a[].b": ["inputs.a"],
    "inputs.*": ["inputs"],
    "inputs.*.a": ["inputs"],
    "*": ["@"],
    "@": ["@"],
    "@.inputs.a": ["inputs.a"],
    "steps.a.outputs[?size > `3`].name": ["steps.a.outputs"],
    "inputs.a[?b == c]": ["inputs.a"],
    "length(inputs.a)": ["inputs.a"],
    "join(',', inputs.a[*].b)": ["inputs.a"],
    "sort_by(inputs.a, &b.c)": ["inputs.a"],
    "inputs | a": ["inputs.a"],
    "inputs.a | b.c": ["inputs.a.b.c"],
    "inputs.a | @": ["inputs.a"],
    "inputs.a | keys(@)": ["inputs.a"],
    "inputs.a | [0]": ["inputs.a"],
    "{x: inputs.a, y: run.id}": ["inputs.a", "run.id"],
    "[inputs.a, run.id]": ["inputs.a", "run.id"],
    "inputs.{x: a, y: b.c}": ["inputs.a", "inputs.b.c"],
    "inputs.[a, b]": ["inputs.a", "inputs.b"],
    "{x: inputs.a}.x": ["inputs.a"],
    "not_null(inputs.a, steps.b.outputs.c)": ["inputs.a", "steps.b.outputs.c"],
    "steps.my-step.outputs.a-b-c": ["steps.my-step.outputs.a-b-c"],
    "steps.2nd-step.outputs": ["steps.2nd-step.outputs"],
    "steps.a--b.outputs": ["steps.a--b.outputs"],
    "inputs.ends-": ["inputs.ends-"],
    'inputs."my name"': ["inputs.my name"],
    "`1`": [],
    "'inputs.a'": [],
    '`"inputs.a"`': [],
    "'a-b'": [],
}


@pytest.mark.parametrize("text", READS)
def test_an_expression_reads(text: str) -> None:
    assert read(text) == READS[text]


@pytest.mark.parametrize("text", ["inputs.a", " {{inputs.a}} ", "{{  inputs.a\n}}", "\tinputs.a "])
def test_braces_around_an_expression_change_nothing(text: str) -> None:
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
def test_an_expression_is_worth(text: str, expected: object) -> None:
    assert expressions.parse(text).evaluate(CONTEXT) == expected


@pytest.mark.parametrize("value", [None, False, "", [], {}])
def test_null_false_and_what_is_empty_are_false(value: object) -> None:
    assert not expressions.truth(value)


@pytest.mark.parametrize("value", [True, 0, 0.0, " ", "false", [None], {"a": None}])
def test_everything_else_is_true_and_zero_is(value: object) -> None:
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
def test_a_bare_number_is_refused_with_the_right_form(text: str) -> None:
    assert "a number needs backticks: write `" in refusal(text)


@pytest.mark.parametrize("text", ["a[0]", "a[-1]", "a[0:2]", "a[::-1]", "'5'", "`5`", '"5"', "a5"])
def test_a_number_that_is_an_index_or_quoted_is_none(text: str) -> None:
    assert expressions.parse(text)


@pytest.mark.parametrize("text", ["!a.b", "!a.b.c", "x || !a.b", "[!a.b]", "a[?!b.c]"])
def test_not_of_a_field_is_refused_because_the_library_reads_it_otherwise(text: str) -> None:
    assert "write !(a.b)" in refusal(text)


@pytest.mark.parametrize("text", ["!a", "!(a.b)", "!a && b.c", "!a == b.c", "a[?!b].c"])
def test_other_negations_mean_what_they_say(text: str) -> None:
    assert expressions.parse(text)


@pytest.mark.parametrize("text", ["`a`", "`{a: 1}`", "`'a'`", "`NaN`", "`1e999`", '`"\\ud800"`'])
def test_a_literal_is_json(text: str) -> None:
    assert "is no JSON" in refusal(text)


def test_a_field_in_quotes_where_text_was_meant_is_told() -> None:
    assert "write 'prod' in single quotes" in expressions.literal_hint('a == "prod"', "prod")
    assert expressions.literal_hint("a == prod", "prod") == ""
    assert expressions.literal_hint('a."prod"', "prod") == ""


def test_every_function_of_the_library_is_there_and_no_other() -> None:
    assert expressions.parse("max(inputs.list)").references == (("inputs", "list"),)
    assert "did you mean 'length'?" in refusal("lenght(a)")
    assert "there is no function 'lenght'" in refusal("a[*].{b: sum(lenght(c))}")
    assert refusal("length(a, b)") == "length() takes 1 argument(s), not 2"
    assert refusal("not_null()") == "not_null() takes at least 1 argument(s), not 0"


def test_an_expression_has_at_most_4096_characters() -> None:
    longest = "a" * parser.MAX_CHARACTERS

    assert expressions.parse(longest)
    assert "has 4097 characters" in refusal(longest + "a")


@pytest.mark.parametrize(
    ("start", "end"), [("(", ")"), ("[", "]"), ("!", ""), ("a || ", ""), ("length(", ")")]
)
def test_an_expression_is_nested_at_most_64_levels(start: str, end: str) -> None:
    assert "nested deeper than 64 levels" in refusal(start * 70 + "a" + end * 70)
    assert expressions.parse(start * 60 + "a" + end * 60)


@pytest.mark.parametrize("quote", ["'", '"', "`"])
def test_a_quote_that_is_never_closed_takes_the_rest(quote: str) -> None:
    open_to_the_end = f"a || {quote}" + f"\\{quote}" * 2_000

    assert len(list(parser._TOKENS.finditer(open_to_the_end))) == 2
    with pytest.raises(ExpressionError, match="not a valid expression"):
        expressions.parse(open_to_the_end)


def test_brackets_in_quotes_do_not_nest() -> None:
    assert expressions.parse(f"'{'(' * 100}'")


TEMPLATES: dict[str, list[str | tuple[str]]] = {
    "": [""],
    "text": ["text"],
    "{{ a }}": [("a",)],
    "{{a}}{{b}}": [("a",), ("b",)],
    "x {{ a }} y": ["x ", ("a",), " y"],
    " {{ a }}": [" ", ("a",)],
    "{ a } }} {": ["{ a } }} {"],
    "{{ '}}' }}": [("'}}'",)],
    '{{ "}}" }}': [('"}}"',)],
    '{{ `"}}"` }}': [('`"}}"`',)],
    r"{{ 'it\'s }}' }}": [(r"'it\'s }}'",)],
    "{{ {x: a} }}": [("{x: a}",)],
    "{{{x: a}}}": [("{x: a}",)],
    "{{ {x: {y: a}}}}": [("{x: {y: a}}",)],
    "{{ {x: a}}} }}": [("{x: a}",), " }}"],
    "it's {{ a }}": ["it's ", ("a",)],
}


@pytest.mark.parametrize("text", TEMPLATES)
def test_a_template_is_split_where_its_expressions_end(text: str) -> None:
    pieces = expressions.template(text)

    shown = [(piece.text,) if isinstance(piece, Expression) else piece for piece in pieces]
    assert shown == TEMPLATES[text]


@pytest.mark.parametrize(
    "text", ["{{", "{{ a", "{{ a }", "x {{ 'a }}", "{{ {a: b }}", "{{ a }} {{"]
)
def test_a_template_that_is_never_closed_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError, match="never closed"):
        expressions.template(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ inputs.count }}", 3),
        ("{{ inputs.list }}", [{"n": 1}, {"n": 2}]),
        ("{{ inputs.none }}", None),
        ("{{ inputs.count }} ", "3 "),
        ("[{{ inputs.none }}]", "[]"),
        ("{{ inputs.list }}!", '[{"n":1},{"n":2}]!'),
        ("{{ inputs.my-name }}{{ inputs.count }}", "ana3"),
        ("{{ inputs.count == `3` }}?", "true?"),
    ],
)
def test_a_whole_template_keeps_its_type_and_within_text_it_is_text(
    text: str, expected: object
) -> None:
    assert expressions.render(expressions.template(text), CONTEXT) == expected


def test_keys_of_an_object_in_text_are_sorted_so_that_equal_objects_give_equal_text() -> None:
    pieces = expressions.template("{{ inputs }}.")

    one = expressions.render(pieces, {"inputs": {"a": 1, "b": 2}})

    assert one == expressions.render(pieces, {"inputs": {"b": 2, "a": 1}}) == '{"a":1,"b":2}.'


@pytest.mark.parametrize("text", ["sum([`1e308`, `1e308`])", "to_number('1e999')"])
def test_a_result_without_a_canonical_form_is_an_error(text: str) -> None:
    with pytest.raises(ExpressionError, match="gives no JSON"):
        expressions.parse(text).evaluate({})


@pytest.mark.parametrize("text", ["length(`1`)", "abs('x')", "join(',', `[1]`)"])
def test_a_function_of_the_wrong_type_is_an_error(text: str) -> None:
    with pytest.raises(ExpressionError, match="cannot be evaluated"):
        expressions.parse(text).evaluate({})


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from(list("ab.-!()[]{}|&*?@'\"`,:=<>012 \\é")), max_size=25) | texts)
def test_whatever_the_text_parsing_gives_an_expression_or_the_error(text: str) -> None:
    try:
        expressions.template(text)
        expressions.parse(text).evaluate(CONTEXT)
    except ExpressionError as error:
        assert str(error)  # noqa: PT017 - the point is that no other error comes
