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
