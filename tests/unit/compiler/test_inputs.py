from __future__ import annotations

from typing import Any

import pytest

from taskrunner.compiler import inputs
from taskrunner.compiler.schema import Input


def declared(kind: str, **more: Any) -> Input:  # noqa: ANN401
    return Input.model_validate({"name": "x", "type": kind, **more})


FITTING: dict[str, list[Any]] = {
    "string": ["", "a"],
    "integer": [0, -1, 2**53 - 1],
    "number": [0, 1.5, 1e300],
    "boolean": [True, False],
    "array": [[], [1, "a", None]],
    "object": [{}, {"a": None}],
}


@pytest.mark.parametrize("kind", FITTING)
def test_a_value_fits_its_own_type_and_no_other(kind: str) -> None:
    for other, values in FITTING.items():
        fits_too = {kind} if kind != "number" else {"number", "integer"}
        for value in values:
            is_whole = kind == "integer" and other == "number" and isinstance(value, int)
            expected = other in fits_too or is_whole
            assert (list(inputs.misfits(declared(kind), value)) == []) == expected, (kind, value)


def test_a_missing_value_is_the_default_or_null() -> None:
    values, problems = inputs.resolve(
        [declared("string", default="d"), Input(name="y", type="array")], {}
    )

    assert (values, problems) == ({"x": "d", "y": None}, [])


def test_null_counts_as_not_given() -> None:
    assert inputs.resolve([declared("string", default="d")], {"x": None}) == ({"x": "d"}, [])

    _, (problem,) = inputs.resolve([declared("string", required=True)], {"x": None})
    assert problem.message == "the input 'x' is required"


def test_what_is_empty_or_false_is_given() -> None:
    assert inputs.resolve([declared("boolean", default=True)], {"x": False})[0] == {"x": False}
    assert inputs.resolve([declared("string", default="d")], {"x": ""})[0] == {"x": ""}


def test_all_that_is_wrong_is_told_at_once() -> None:
    wanted = [declared("string"), Input(name="y", type="array", required=True)]

    _, problems = inputs.resolve(wanted, {"x": 1, "z": 2})

    assert [problem.path for problem in problems] == ["$.inputs.z", "$.inputs.x", "$.inputs.y"]


@pytest.mark.parametrize(
    "value", [2**53, -(2**53), float("inf"), float("nan")], ids=["large", "small", "inf", "nan"]
)
def test_a_number_without_a_canonical_form_is_refused(value: float) -> None:
    assert list(inputs.misfits(declared("number"), value)) != []
    assert [path for path, _ in inputs.misfits(declared("array"), [[value]])] == [(0, 0)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("string", "\ud800"), ("array", ["\udfff"]), ("object", {"\ud800": 1})],
    ids=["text", "element", "key"],
)
def test_text_with_a_lone_surrogate_is_refused(kind: str, value: object) -> None:
    ((_, message),) = inputs.misfits(declared(kind), value)

    assert "lone surrogate" in message


def test_values_are_nested_at_most_32_levels_so_that_no_stack_decides() -> None:
    def nested(levels: int) -> list[Any]:
        value: list[Any] = []
        for _ in range(levels):
            value = [value]
        return value

    assert list(inputs.misfits(declared("array"), nested(32))) == []
    for levels in (33, 100_000):
        ((_, message),) = inputs.misfits(declared("array"), nested(levels))
        assert "nested deeper than 32 levels" in message


def test_a_schema_is_json_schema_2020_12() -> None:
    schema = {"prefixItems": [{"type": "string"}], "items": False}

    assert list(inputs.misfits(declared("array", schema=schema), ["a"])) == []
    ((path, _),) = inputs.misfits(declared("array", schema=schema), ["a", "b"])
    assert path in {(), (1,)}


def test_a_schema_is_asked_only_about_values_of_the_type() -> None:
    ((_, message),) = inputs.misfits(declared("string", schema={"type": "string"}), 1)

    assert message == "'x' must be of type string, not integer"


def test_of_many_misfits_only_so_many_are_looked_for() -> None:
    schema = {"items": {"type": "string"}}

    assert len(list(inputs.misfits(declared("array", schema=schema), [0] * 5_000))) == 101


def test_a_message_does_not_repeat_a_long_value() -> None:
    ((_, message),) = inputs.misfits(declared("string", schema={"maxLength": 1}), "x" * 100_000)

    assert len(message) < 2_000


def test_of_many_wrong_values_only_so_many_are_told() -> None:
    given = {"x": {"k" * 1_000: ["\ud800"] * 5_000}, **{f"z{n}": 1 for n in range(5_000)}}

    for some in (given, {"x": given["x"]}):
        _, problems = inputs.resolve([declared("object")], some)
        assert len(problems) == 101
