from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from taskrunner.expressions import templates
from taskrunner.expressions.parser import ExpressionError
from taskrunner.model.plan import Template
from tests.strategies import json_values, scalars, texts

RUN = {"id": "run-1", "tenant": "acme", "createdAt": "2025-01-01T12:00:00Z"}


def test_what_reads_inputs_alone_is_resolved_and_the_rest_stays_open() -> None:
    given_parameters = {
        "plain": 1,
        "known": "{{ inputs.x }}",
        "mixed": "{{ inputs.x }} in {{ run.id }}",
        "deep": [{"a/b": "{{ steps.s.outputs }}"}],
    }

    template = templates.resolve(given_parameters, {"x": [1]})

    assert template.value == {"plain": 1, "known": [1], "mixed": None, "deep": [{"a/b": None}]}
    assert template.open == {
        "/mixed": "{{ inputs.x }} in {{ run.id }}",
        "/deep/0/a~1b": "{{ steps.s.outputs }}",
    }


def test_filling_evaluates_what_is_open_and_leaves_the_rest() -> None:
    template = templates.resolve(
        {"a": "{{ inputs.x }}", "b": ["{{ inputs.x }}@{{ run.id }}"]}, {"x": "v"}
    )

    assert templates.fill(template, {"inputs": {"x": "v"}, "run": RUN}) == {
        "a": "v",
        "b": ["v@run-1"],
    }


@given(texts)
def test_a_value_is_never_taken_for_a_template(text: str) -> None:
    looks_like_one = text + "{{ run.id }}{{"

    template = templates.resolve({"a": "{{ inputs.x }}"}, {"x": looks_like_one})

    assert template == Template({"a": looks_like_one})
    assert templates.fill(template, {"inputs": {}, "run": RUN}) == {"a": looks_like_one}


def test_what_a_step_gives_is_not_evaluated_either() -> None:
    template = templates.resolve({"a": "{{ steps.s.outputs }}"}, {})
    context = {"steps": {"s": {"outputs": {"b": "{{ inputs.secret }}"}}}, "inputs": {"secret": 1}}

    assert templates.fill(template, context) == {"a": {"b": "{{ inputs.secret }}"}}


@given(json_values(scalars))
def test_without_templates_parameters_are_what_they_are(value: Any) -> None:  # noqa: ANN401
    if "{{" in str(value):
        return
    assert templates.resolve(value, {}) == Template(value)


def test_the_names_that_are_read_are_told_once_each() -> None:
    template = templates.resolve(
        ["{{ steps.b.outputs }} {{ steps.a.status }}", "{{ steps.b.outputs }} {{ run.id }}"], {}
    )

    assert templates.references(template) == (
        ("steps", "b", "outputs"),
        ("steps", "a", "status"),
        ("run", "id"),
    )


def test_an_expression_that_fails_on_these_inputs_is_an_error() -> None:
    with pytest.raises(ExpressionError):
        templates.resolve({"a": "{{ length(inputs.x) }}"}, {"x": 1})


def test_places_are_json_pointers() -> None:
    # RFC 6901, section 5.
    assert templates.pointer(()) == ""
    assert templates.pointer(("foo", 0)) == "/foo/0"
    assert templates.pointer(("",)) == "/"
    assert templates.pointer(("a/b", "m~n")) == "/a~1b/m~0n"
