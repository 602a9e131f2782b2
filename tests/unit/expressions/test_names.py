"""The names that an expression reads."""

from __future__ import annotations

import pytest

from taskrunner import expressions
from taskrunner.expressions import ExpressionError, parse


def names(text: str) -> list[str]:
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
def test_finds_the_names_that_an_expression_reads(text: str) -> None:
    assert names(text) == READS[text]


@pytest.mark.parametrize(
    ("text", "is_known"),
    [("inputs.a == `1`", True), ("`1`", True), ("inputs.a || run.id", False), ("@", False)],
)
def test_knows_whether_inputs_alone_decide_an_expression(text: str, *, is_known: bool) -> None:
    assert expressions.parse(text).reads_inputs_alone is is_known


def test_suggests_single_quotes_for_a_field_that_was_meant_as_text() -> None:
    assert "write 'prod' in single quotes" in expressions.literal_hint('a == "prod"', "prod")
    assert expressions.literal_hint("a == prod", "prod") == ""
    assert expressions.literal_hint('a."prod"', "prod") == ""


@pytest.mark.parametrize("name", ["true", "false", "null"])
def test_suggests_backticks_for_a_field_that_was_meant_as_a_value(name: str) -> None:
    assert f"write `{name}` in backticks" in expressions.literal_hint(f"a == {name}", name)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("inputs.hosts[?region == inputs.region]", {"region", "inputs.region"}),
        ("inputs.hosts[?region == $.inputs.region].n", {"region"}),
        ("inputs.hosts[*].run.id", set()),
        ("inputs.hosts[].[run.id, @.run, a[0].b]", {"run.id", "a.b"}),
        ("inputs.hosts[*].{a: run.id}", {"run.id"}),
        ("inputs.obj.{a: run.id}", {"run.id"}),
        ("{a: run.id, b: [inputs.x]}", set()),
        ("join(inputs.sep, inputs.list[*].join(inputs.sep, [n]))", {"inputs.sep", "n"}),
        ("sort_by(inputs.list, &inputs.key)", {"inputs.key"}),
        ("inputs.a[?b[?inputs.c]]", {"b", "inputs.c"}),
        ("inputs.a | [?inputs.c]", {"inputs.c"}),
        ("inputs.a == inputs.b && !(inputs.c)", set()),
        ("inputs.list[?contains($.inputs.ids, id)]", {"id"}),
        ("l[?steps.a.outputs.x == b]", {"steps.a.outputs.x", "b"}),
        ("l[?inputz.o.p[0].q]", {"inputz.o.p.q"}),
        ("l[*].{r: run.id.x}", {"run.id.x"}),
    ],
)
def test_finds_the_names_that_are_read_from_items(text: str, names: set[str]) -> None:
    assert {".".join(name) for name in parse(text).item_names} == names


def test_the_root_is_read_from_within_a_filter() -> None:
    expression = parse("inputs.hosts[?region == $.inputs.region && up].n")

    assert set(expression.references) == {("inputs", "hosts"), ("inputs", "region")}
    hosts = [{"n": 1, "region": "eu", "up": True}, {"n": 2, "region": "us", "up": True}]
    assert expression.evaluate({"inputs": {"hosts": hosts, "region": "us"}}) == [2]


def test_a_lone_root_is_no_name() -> None:
    assert parse("$").references == (("@",),)
    with pytest.raises(ExpressionError, match="unexpected 'inputs'"):
        parse("$inputs.x")
