"""Templates: where expressions end in a text, and parameters with templates in them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from taskrunner.expressions import Expression, ExpressionError, templates
from taskrunner.model.plan import Template
from tests.strategies import json_values, scalars, texts

RUN = {"id": "run-1", "tenant": "acme", "createdAt": "2025-01-01T12:00:00Z"}

PIECES: dict[str, list[str | tuple[str]]] = {
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


@pytest.mark.parametrize("text", PIECES)
def test_splits_a_text_where_its_expressions_end(text: str) -> None:
    pieces = templates.split(text).pieces

    shown = [(piece.text,) if isinstance(piece, Expression) else piece for piece in pieces]
    assert shown == PIECES[text]


@pytest.mark.parametrize(
    "text", ["{{", "{{ a", "{{ a }", "x {{ 'a }}", "{{ {a: b }}", "{{ a }} {{"]
)
def test_refuses_a_template_that_is_never_closed(text: str) -> None:
    with pytest.raises(ExpressionError, match="never closed"):
        templates.split(text)


CONTEXT: dict[str, Any] = {
    "inputs": {"my-name": "ana", "count": 3, "none": None, "list": [{"n": 1}, {"n": 2}]}
}


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
def test_a_whole_template_keeps_its_type_and_a_part_becomes_text(
    text: str, expected: object
) -> None:
    assert templates.split(text).render(CONTEXT) == expected


def test_equal_objects_become_equal_text() -> None:
    template = templates.split("{{ inputs }}.")

    text = template.render({"inputs": {"a": 1, "b": 2}})

    assert text == template.render({"inputs": {"b": 2, "a": 1}}) == '{"a":1,"b":2}.'


def test_resolves_what_reads_inputs_alone_and_leaves_the_rest_open() -> None:
    given_parameters = {
        "plain": 1,
        "known": "{{ inputs.x }}",
        "mixed": "{{ inputs.x }} in {{ run.id }}",
        "deep": [{"a/b": "{{ steps.s.outputs }}"}],
    }

    parameters = templates.resolve(given_parameters, {"x": [1]})

    assert parameters.value == {"plain": 1, "known": [1], "mixed": None, "deep": [{"a/b": None}]}
    assert parameters.open == {
        "/mixed": "{{ inputs.x }} in {{ run.id }}",
        "/deep/0/a~1b": "{{ steps.s.outputs }}",
    }


def test_fills_in_what_is_open_and_leaves_the_rest() -> None:
    parameters = templates.resolve(
        {"a": "{{ inputs.x }}", "b": ["{{ inputs.x }}@{{ run.id }}"]}, {"x": "v"}
    )

    assert templates.fill(parameters, {"inputs": {"x": "v"}, "run": RUN}) == {
        "a": "v",
        "b": ["v@run-1"],
    }


@given(texts)
def test_never_reads_an_inputs_value_as_a_template(text: str) -> None:
    looks_like_one = text + "{{ run.id }}{{"

    parameters = templates.resolve({"a": "{{ inputs.x }}"}, {"x": looks_like_one})

    assert parameters == Template({"a": looks_like_one})
    assert templates.fill(parameters, {"inputs": {}, "run": RUN}) == {"a": looks_like_one}


def test_never_reads_a_steps_output_as_a_template() -> None:
    parameters = templates.resolve({"a": "{{ steps.s.outputs }}"}, {})
    context = {"steps": {"s": {"outputs": {"b": "{{ inputs.secret }}"}}}, "inputs": {"secret": 1}}

    assert templates.fill(parameters, context) == {"a": {"b": "{{ inputs.secret }}"}}


@given(json_values(scalars))
def test_parameters_without_templates_stay_as_they_are(value: Any) -> None:  # noqa: ANN401
    if "{{" in str(value):
        return
    assert templates.resolve(value, {}) == Template(value)


def test_lists_the_names_of_open_templates_once_each() -> None:
    parameters = templates.resolve(
        ["{{ steps.b.outputs }} {{ steps.a.status }}", "{{ steps.b.outputs }} {{ run.id }}"], {}
    )

    assert templates.references(parameters) == (
        ("steps", "b", "outputs"),
        ("steps", "a", "status"),
        ("run", "id"),
    )


def test_lists_the_secrets_among_names_once_each() -> None:
    names = [
        ("secrets", "b"),
        ("inputs", "a"),
        ("secrets", "a", "x"),
        ("secrets", "b"),
        ("secrets",),
    ]

    assert templates.secrets(names) == ["b", "a"]


def test_refuses_an_expression_that_fails_on_these_inputs() -> None:
    with pytest.raises(ExpressionError):
        templates.resolve({"a": "{{ length(inputs.x) }}"}, {"x": 1})
