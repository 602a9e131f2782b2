from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.compiler.inputs import values
from taskrunner.compiler.manifest.shapes import InputShape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.compiler.problems import Problem
    from taskrunner.errors import Diagnostic


def declared(kind: str, **more: Any) -> InputShape:  # noqa: ANN401
    return InputShape.model_validate({"name": "x", "type": kind, **more})


def misfits(shape: InputShape, value: object) -> list[Problem]:
    return list(values.misfits(shape, value, values.schema_allowance([shape])))


def problems(shapes: Sequence[InputShape], inputs: dict[str, Any]) -> tuple[Diagnostic, ...]:
    diagnostics = tuple(values.problems(shapes, inputs))
    assert diagnostics
    return diagnostics


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
    for other, fitting in FITTING.items():
        fits_too = {kind} if kind != "number" else {"number", "integer"}
        for value in fitting:
            is_whole = kind == "integer" and other == "number" and value == int(value)
            expected = other in fits_too or is_whole
            assert (misfits(declared(kind), value) == []) == expected, (kind, value)


def test_resolves_a_missing_value_to_the_default_or_null() -> None:
    shapes = [declared("string", default="d"), InputShape(name="y", type="array")]

    assert values.resolve(shapes, {}) == {"x": "d", "y": None}


def test_treats_null_as_not_given() -> None:
    assert values.resolve([declared("string", default="d")], {"x": None}) == {"x": "d"}

    (diagnostic,) = problems([declared("string", required=True)], {"x": None})
    assert diagnostic.message == "the input 'x' is required"


def test_takes_an_empty_or_false_value_as_given() -> None:
    assert values.resolve([declared("boolean", default=True)], {"x": False}) == {"x": False}
    assert values.resolve([declared("string", default="d")], {"x": ""}) == {"x": ""}


def test_reports_everything_that_is_wrong_with_the_values() -> None:
    shapes = [declared("string"), InputShape(name="y", type="array", required=True)]

    diagnostics = problems(shapes, {"x": 1, "z": 2})

    assert [found.path for found in diagnostics] == ["$.inputs.z", "$.inputs.x", "$.inputs.y"]


@pytest.mark.parametrize(
    "value",
    [2**53 + 1, -(2**53) - 1, float("inf"), float("nan")],
    ids=["large", "small", "inf", "nan"],
)
def test_refuses_a_number_without_a_canonical_form(value: float) -> None:
    assert misfits(declared("number"), value) != []
    assert [path for path, _ in misfits(declared("array"), [[value]])] == [(0, 0)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("string", "\ud800"), ("array", ["\udfff"]), ("object", {"\ud800": 1})],
    ids=["text", "element", "key"],
)
def test_refuses_text_with_a_lone_surrogate(kind: str, value: object) -> None:
    ((_, message),) = misfits(declared(kind), value)

    assert "lone surrogate" in message


def test_refuses_values_nested_deeper_than_32_levels() -> None:
    def nested(levels: int) -> list[Any]:
        value: list[Any] = []
        for _ in range(levels):
            value = [value]
        return value

    assert misfits(declared("array"), nested(32)) == []
    for levels in (33, 100_000):
        ((_, message),) = misfits(declared("array"), nested(levels))
        assert "nested deeper than 32 levels" in message


def test_applies_a_schema_as_json_schema_2020_12() -> None:
    schema = {"prefixItems": [{"type": "string"}], "items": False}

    assert misfits(declared("array", schema=schema), ["a"]) == []
    ((path, _),) = misfits(declared("array", schema=schema), ["a", "b"])
    assert path in {(), (1,)}


def test_applies_a_schema_only_to_values_of_the_type() -> None:
    ((_, message),) = misfits(declared("string", schema={"type": "string"}), 1)

    assert message == "'x' must be of type string, not integer"


def test_looks_for_at_most_101_misfits() -> None:
    schema = {"items": {"type": "string"}}

    assert len(misfits(declared("array", schema=schema), [0] * 5_000)) == 101


def test_does_not_repeat_a_long_value_in_a_message() -> None:
    ((_, message),) = misfits(declared("string", schema={"maxLength": 1}), "x" * 100_000)

    assert len(message) < 2_000


def test_reports_at_most_101_wrong_values() -> None:
    inputs = {"x": {"k" * 1_000: ["\ud800"] * 5_000}, **{f"z{n}": 1 for n in range(5_000)}}

    for wrong in (inputs, {"x": inputs["x"]}):
        assert len(problems([declared("object")], wrong)) == 101
