"""One plan hash means one behaviour, however the numbers and members of its values are written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner import expressions
from taskrunner.compiler.driver import compile_pack
from taskrunner.errors import InvalidPackError
from taskrunner.expressions import templates
from taskrunner.model.json_types import normal, read
from tests.packs import pack
from tests.strategies import json_values, scalars

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    Draw = Callable[[SearchStrategy[Any]], Any]

# Text that every way of writing JSON leaves as it is.
_keys = st.text("abcdefgh", max_size=3)
_values = json_values(scalars | _keys, _keys)

PACK = pack(
    """
    - {id: early, run: {uses: builtin:noop, with: {text: "v{{ inputs.v }}", as: "{{ inputs.v }}"}}}
    - id: each
      when: "inputs.v.a == `1`"
      map:
        items: "inputs.v && [inputs.v] || `[]`"
        step: {id: late, run: {uses: builtin:noop, with: {text: "{{ run.id }}:{{ inputs.v }}"}}}
    """,
    spec="""
    inputs: [{name: v, type: object, required: true}]
    """,
)
WATCHED = (
    "to_string(inputs.v)",
    "type(inputs.v.a)",
    "keys(inputs.v)",
    "values(inputs.v)",
    "inputs.v.*",
    "sort_by(values(inputs.v), &to_string(@))",
)


def _number(draw: Draw, value: float) -> str:
    text = repr(value)
    if isinstance(value, int):
        spellings = [text, f"{text}.0", f"{text}e0", f"{text}.00E+0"]
    else:
        spellings = [text, f"{text}e0" if "e" not in text else text.upper()]
    return str(draw(st.sampled_from(spellings)))


def spelt(draw: Draw, value: Any) -> str:  # noqa: ANN401
    """Return JSON of *value* with its numbers and the order of its members written in any way."""
    if isinstance(value, dict):
        members = draw(st.permutations(list(value.items())))
        return f"{{{','.join(f'{json.dumps(key)}: {spelt(draw, item)}' for key, item in members)}}}"
    if isinstance(value, list):
        return f"[{','.join(spelt(draw, item) for item in value)}]"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return json.dumps(value)
    return "-0.0" if value == 0 and draw(st.booleans()) else _number(draw, value)


@given(st.data(), st.dictionaries(_keys, _values, max_size=3))
def test_equal_hashes_mean_equal_plans_and_equal_values(
    data: st.DataObject, value: dict[str, Any]
) -> None:
    first, second = (
        compile_pack(PACK, read(f'{{"v": {spelt(data.draw, value)}}}')) for _ in range(2)
    )

    assert first.plan_hash == second.plan_hash
    assert repr(first.plan) == repr(second.plan)  # repr distinguishes 1 from 1.0, and has the order
    assert first.definition == second.definition
    for text in WATCHED:
        expression = expressions.parse(text)
        assert repr(expression.evaluate({"inputs": first.plan.inputs})) == repr(
            expression.evaluate({"inputs": second.plan.inputs})
        )


@pytest.mark.parametrize("written", ["100", "1e2", "100.0", "1.00E+2"])
def test_a_whole_number_is_an_integer_in_text(written: str) -> None:
    plan = compile_pack(
        pack(
            f"""
            - id: a
              run: {{uses: builtin:noop, with: {{t: "v{{{{ inputs.n }}}}", l: {written}}}}}
            """,
            spec="inputs: [{name: n, type: integer, required: true}]",
        ),
        read(f'{{"n": {written}}}'),
    ).plan

    assert plan.step("a").parameters.value == {"l": 100, "t": "v100"}  # type: ignore[union-attr]
    assert repr(plan.inputs) == "{'n': 100}"


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("avg(`[2, 2]`)", "v2"),
        ("to_number('1e2')", "v100"),
        ("sum(`[0.5, 0.5]`)", "v1"),
        ("`-0.0`", "v0"),
        ("`[1.0, 2e0]`", "v[1,2]"),
        ("`1e20`", "v100000000000000000000"),
    ],
)
def test_an_expression_gives_whole_numbers_as_integers(expression: str, text: str) -> None:
    assert templates.split(f"v{{{{ {expression} }}}}").render({}) == text


def test_refuses_an_input_that_a_double_would_round() -> None:
    manifest = pack(
        "- {id: a, run: {uses: builtin:noop}}", spec="inputs: [{name: n, type: number}]"
    )

    with pytest.raises(InvalidPackError) as caught:
        compile_pack(manifest, read('{"n": 9007199254740993.0}'))

    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.message == (
        "the number 9007199254740993.0 would be rounded to 9007199254740992; write "
        "9007199254740992, or quote it if it is meant as text"
    )


@given(_values)
def test_the_normal_form_is_the_value_itself(value: Any) -> None:  # noqa: ANN401
    assert normal(value) == value
    assert repr(normal(normal(value))) == repr(normal(value))
