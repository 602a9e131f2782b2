"""What a schema may be, and what it may cost."""

from __future__ import annotations

from typing import Any

import pytest

from taskrunner.compiler import json_schemas

LIST: dict[str, Any] = {"properties": {"next": {"$ref": "#"}, "value": {"type": "integer"}}}


def nested(depth: int) -> Any:  # noqa: ANN401 - JSON
    return [nested(depth - 1)] if depth else 1


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"$ref": "#/$defs/a", "$defs": {"a": {}}},
        {"$ref": "#here", "$defs": {"a": {"$anchor": "here"}}},
        {"$schema": json_schemas.DIALECT, "$id": "https://example.com/a"},
        LIST,
    ],
)
def test_a_schema_may_refer_to_itself(schema: Any) -> None:  # noqa: ANN401
    assert json_schemas.problem(schema) is None


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "https://example.com/a"}, "only references inside it"),
        ({"$ref": "other.json"}, "only references inside it"),
        ({"$ref": "file:///etc/passwd"}, "only references inside it"),
        ({"items": [{"allOf": [{"$dynamicRef": "a#b"}]}]}, "only references inside it"),
        ({"$defs": {"a": {"$ref": "urn:example:a"}}}, "only references inside it"),
        ({"$defs": {"a": {"$id": "https://example.com/a"}}}, "only the outermost"),
        ({"$schema": "https://example.com/dialect"}, "alone"),
        ({"allOf": [{"$ref": "#/$defs/a"}] * 101, "$defs": {"a": {}}}, "at most 100"),
        ({"$ref": "#"}, "leads back"),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}},
            "leads back",
        ),
        ({"pattern": "(?=a)b"}, "no look-around and no back references"),
        ({"pattern": r"(a)\1"}, "no look-around and no back references"),
        ({"pattern": "((a{99}){99}){99}"}, "at most 1 MiB"),
    ],
)
def test_a_schema_beyond_its_bounds_is_refused(schema: Any, reason: str) -> None:  # noqa: ANN401
    found = json_schemas.problem(schema)

    assert found is not None
    assert reason in found[1]


def test_a_problem_names_its_place() -> None:
    found = json_schemas.problem({"properties": {"a": {"pattern": r"(a)\1"}}})

    assert found is not None
    assert found[0] == ("properties", "a", "pattern")


def test_a_recursive_schema_is_checked_to_its_depth() -> None:
    value = {"value": 1, "next": {"value": 2, "next": {"value": "three"}}}

    assert [at for at, _ in json_schemas.misfits(LIST, value)] == [("next", "next", "value")]


def test_a_schema_that_multiplies_with_the_depth_of_its_value_is_not_tried() -> None:
    tree = {"type": "array", "anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}

    ((_, few),) = json_schemas.misfits(tree, nested(3))
    ((_, many),) = json_schemas.misfits(tree, nested(30))

    assert "anyOf" in few
    assert "more than the 2,000,000 evaluations" in many


def test_of_a_large_value_the_first_error_is_told_alone() -> None:
    schema = {"items": {"enum": [f"v{n}" for n in range(100)]}}

    assert len(list(json_schemas.misfits(schema, ["x"] * 20))) == 20
    assert len(list(json_schemas.misfits(schema, ["x"] * 20_000))) == 1


def _doubling(times: int, schema: Any) -> dict[str, Any]:  # noqa: ANN401 - any schema
    """*schema* is evaluated two times two times two and so on."""
    defs = {"d0": schema}
    for n in range(1, times + 1):
        defs[f"d{n}"] = {"allOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2}
    return {"$defs": defs, "$ref": f"#/$defs/d{times}"}


def test_errors_that_double_are_not_all_made_over_a_large_value() -> None:
    schema = _doubling(10, {"type": "string"})

    assert len(list(json_schemas.misfits(schema, [1]))) == 101
    assert len(list(json_schemas.misfits(schema, ["x" * 50_000]))) == 1


def test_where_one_error_would_hold_too_many_values_it_is_told_that_there_is_one() -> None:
    schema = {"anyOf": [{"type": "string"}] * 300}

    ((_, few),) = json_schemas.misfits(schema, ["x"])
    ((_, many),) = json_schemas.misfits(schema, ["x" * 500_000])

    assert "anyOf" in few
    assert "does not fit its schema" in many
    assert list(json_schemas.misfits({"anyOf": [True] * 300}, ["x" * 500_000])) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "(x|y)*x(x|y){3000}z"},
        {"patternProperties": {"(x|y)*x(x|y){3000}z": True}},
        {"propertyNames": {"pattern": "(x|y)*x(x|y){3000}z"}},
    ],
)
def test_a_pattern_of_many_states_is_not_searched_in_a_long_text(schema: dict[str, Any]) -> None:
    text = "xxyxy" * 20_000
    value = text if "pattern" in schema else {text: 1}
    short = "x" if "pattern" in schema else {"x": 1}

    ((_, message),) = json_schemas.misfits(schema, value)

    assert "more than the 2,000,000 evaluations" in message
    assert all("evaluations" not in told for _, told in json_schemas.misfits(schema, short))


def test_an_ordinary_pattern_is_searched_in_a_long_text() -> None:
    assert list(json_schemas.misfits({"pattern": "^[a-z]+$"}, "a" * 1_000_000)) == []
    digests = ["sha256:" + "0" * 64] * 5_000
    assert (
        list(json_schemas.misfits({"items": {"pattern": "^sha256:[0-9a-f]{64}$"}}, digests)) == []
    )


def test_the_patterns_of_a_pack_share_what_they_may_compile_to() -> None:
    schema = {"pattern": "(x|y){3000}"}

    assert json_schemas.problem(schema, json_schemas.Share([schema] * 10)) is None
    found = json_schemas.problem(schema, json_schemas.Share([schema] * 1_000))

    assert found is not None
    assert "the patterns of a pack to 32 MiB in all" in found[1]


def test_the_schemas_of_a_pack_share_the_evaluations() -> None:
    schema = _doubling(16, {"minLength": 1})
    share = json_schemas.Share([])

    told = [list(json_schemas.misfits(schema, "x", share)) for _ in range(10)]

    assert told[0] == []
    assert told[-1] != []
