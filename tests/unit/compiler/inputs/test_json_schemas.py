"""The JSON Schemas that inputs may have, and their cost."""

from __future__ import annotations

from typing import Any

import pytest

from taskrunner.compiler.inputs import json_schemas
from taskrunner.compiler.inputs.json_schemas import SchemaAllowance
from taskrunner.compiler.problems import Problem

LIST: dict[str, Any] = {"properties": {"next": {"$ref": "#"}, "value": {"type": "integer"}}}


def problem(schema: Any) -> Problem | None:  # noqa: ANN401 - any schema
    return json_schemas.problem(schema, SchemaAllowance([schema]))


def misfits(schema: Any, value: Any) -> list[Problem]:  # noqa: ANN401 - any schema, any value
    return list(json_schemas.misfits(schema, value, SchemaAllowance([schema])))


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
def test_accepts_a_schema_that_refers_to_itself(schema: Any) -> None:  # noqa: ANN401
    assert problem(schema) is None


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "https://example.com/a"}, "only references inside it"),
        ({"$ref": "other.json"}, "only references inside it"),
        ({"$ref": "file:///etc/passwd"}, "only references inside it"),
        ({"items": [{"allOf": [{"$dynamicRef": "a#b"}]}]}, "only references inside it"),
        ({"$defs": {"a": {"$ref": "urn:example:a"}}}, "only references inside it"),
        ({"$defs": {"a": {"$id": "https://example.com/a"}}}, "only the outermost"),
        ({"$schema": "https://example.com/dialect"}, "only https://json-schema.org"),
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
def test_refuses_a_schema_beyond_its_bounds(schema: Any, reason: str) -> None:  # noqa: ANN401
    found = problem(schema)

    assert found is not None
    assert reason in found.message


def test_names_the_place_of_a_problem() -> None:
    found = problem({"properties": {"a": {"pattern": r"(a)\1"}}})

    assert found is not None
    assert found.path == ("properties", "a", "pattern")


def test_applies_a_recursive_schema_to_its_depth() -> None:
    value = {"value": 1, "next": {"value": 2, "next": {"value": "three"}}}

    assert [found.path for found in misfits(LIST, value)] == [("next", "next", "value")]


def test_does_not_try_a_schema_that_multiplies_with_the_depth_of_its_value() -> None:
    tree = {"type": "array", "anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}

    ((_, shallow),) = misfits(tree, nested(3))
    ((_, deep),) = misfits(tree, nested(30))

    assert "anyOf" in shallow
    assert "more than the 2,000,000 evaluations" in deep


def doubled(times: int, schema: Any) -> dict[str, Any]:  # noqa: ANN401 - any schema
    """Return a schema that evaluates *schema* two times two times two and so on."""
    defs = {"d0": schema}
    for n in range(1, times + 1):
        defs[f"d{n}"] = {"allOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2}
    return {"$defs": defs, "$ref": f"#/$defs/d{times}"}


@pytest.mark.parametrize(
    ("schema", "small", "large"),
    [
        ({"items": {"enum": [f"v{n}" for n in range(100)]}}, ["x"] * 20, ["x"] * 20_000),
        (doubled(10, {"type": "string"}), [1], ["x" * 50_000]),
        ({"anyOf": [{"type": "string"}] * 300}, ["x"], ["x" * 500_000]),
    ],
    ids=["many errors", "errors that double", "an error that holds errors"],
)
def test_says_only_that_a_value_does_not_match_when_its_errors_would_hold_too_much(
    schema: dict[str, Any],
    small: list[Any],
    large: list[Any],
) -> None:
    listed = [found.message for found in misfits(schema, small)]

    assert listed
    assert all("it is too large to say where" not in message for message in listed)
    assert misfits(schema, large) == [
        Problem((), "the value does not match its schema; it is too large to say where")
    ]


def test_accepts_a_large_value_that_matches() -> None:
    assert misfits({"anyOf": [True] * 300}, ["x" * 500_000]) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "(x|y)*x(x|y){3000}z"},
        {"patternProperties": {"(x|y)*x(x|y){3000}z": True}},
        {"propertyNames": {"pattern": "(x|y)*x(x|y){3000}z"}},
    ],
)
def test_does_not_search_a_long_text_for_a_pattern_of_many_states(schema: dict[str, Any]) -> None:
    text = "xxyxy" * 20_000
    value = text if "pattern" in schema else {text: 1}
    short = "x" if "pattern" in schema else {"x": 1}

    ((_, message),) = misfits(schema, value)

    assert "more than the 2,000,000 evaluations" in message
    assert all("evaluations" not in found.message for found in misfits(schema, short))


def test_searches_a_long_text_for_an_ordinary_pattern() -> None:
    digests = ["sha256:" + "0" * 64] * 5_000

    assert misfits({"pattern": "^[a-z]+$"}, "a" * 1_000_000) == []
    assert misfits({"items": {"pattern": "^sha256:[0-9a-f]{64}$"}}, digests) == []


def test_the_patterns_of_a_pack_share_what_they_may_compile_to() -> None:
    schema = {"pattern": "(x|y){3000}"}

    assert json_schemas.problem(schema, SchemaAllowance([schema] * 10)) is None
    found = json_schemas.problem(schema, SchemaAllowance([schema] * 1_000))

    assert found is not None
    assert "the patterns of a pack to 32 MiB in all" in found.message


def test_the_schemas_of_a_pack_share_the_evaluations() -> None:
    schema = doubled(16, {"minLength": 1})
    allowance = SchemaAllowance([])

    found = [list(json_schemas.misfits(schema, "x", allowance)) for _ in range(10)]

    assert found[0] == []
    assert found[-1] != []
