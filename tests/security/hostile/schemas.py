"""JSON Schemas of inputs: patterns, references and sizes that cost a validator much."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.packs import pack
from tests.security.hostile.case import NOOP, Case, filled


def cases() -> dict[str, Case]:
    bad = {"code": "invalid_inputs"}
    letters = "a" * 40_000 + "!"
    rng = random.Random(1)  # noqa: S311 - no secret
    random_letters = f"{rng.getrandbits(900_000):0900000b}".translate({48: "x", 49: "y"})
    deep: Any = {}
    for _ in range(12):
        deep = {"properties": {"a": deep}, "allOf": [deep]}
    doubling: dict[str, Any] = {"d0": {"type": "string"}}
    for n in range(1, 40):
        doubling[f"d{n}"] = {"allOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2}
    halves = {"$defs": dict(list(doubling.items())[:18]), "$ref": "#/$defs/d17"}
    loop = {"$defs": {"l": {"anyOf": [{"$ref": "#/$defs/l"}, {"$ref": "#/$defs/l"}]}}}
    tree = {"type": "array", "anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}
    nest: Any = 1
    for _ in range(30):
        nest = [nest]
    formats = (
        "date-time",
        "email",
        "uri",
        "regex",
        "idn-hostname",
        "uri-template",
        "uuid",
        "ipv6",
        "json-pointer",
        "duration",
        "iri",
        "hostname",
        "idn-email",
    )
    return {
        "pattern-of-nested-repeats": _with_schema({"pattern": "^(a+)+$"}, letters, **bad),
        "pattern-of-alternatives": _with_schema({"pattern": "^(a|a|aa)*$"}, letters, **bad),
        "pattern-with-a-back-reference": _with_schema({"pattern": "^(a*)*\\1$"}, letters),
        "pattern-with-look-around": _with_schema({"pattern": "^(?=(a+)+$).*b"}, letters),
        "pattern-of-many-repeats": _with_schema({"pattern": "(((a{99}){99}){99}){99}"}, "a"),
        "pattern-of-unicode-repeats": _with_schema({"pattern": "(\\w{100}){100}\\w{1000}"}, "a"),
        "pattern-of-wide-repeats": _with_schema(
            {"pattern": "^[ab]*a[ab]{900}c$"}, "ab" * 200_000, **bad
        ),
        "pattern-of-property-names": _with_schema(
            {"patternProperties": {"^(a+)+$": False}},
            {"a" * 100_000 + "!": 1},
            "object",
            refused=False,
        ),
        "many-patterns": _with_schema(
            {"allOf": [{"pattern": f"(x{n}|\\w{{40}}y)*$"} for n in range(1200)]},
            "a",
            refused=False,
        ),
        "remote-reference": _with_schema({"$ref": "http://127.0.0.1:9/x.json"}, "a"),
        "remote-schema": _with_schema({"$schema": "http://127.0.0.1:9/x.json"}, "a"),
        "remote-by-its-base": _with_schema(
            {
                "$id": "http://127.0.0.1:9/a",
                "$defs": {"x": {"$id": "b", "$ref": "#y"}},
                "$ref": "#/$defs/x",
            },
            "a",
        ),
        "file-reference": _with_schema({"$ref": "file:///etc/passwd"}, "a"),
        "reference-to-itself": _with_schema({"$ref": "#"}, "a"),
        "references-in-a-loop": _with_schema({**loop, "$ref": "#/$defs/l"}, "a"),
        "dynamic-reference-to-itself": _with_schema(
            {"$dynamicAnchor": "m", "$dynamicRef": "#m"}, "a"
        ),
        "references-that-double": _with_schema({"$defs": doubling, "$ref": "#/$defs/d39"}, "a"),
        "a-tree-of-anyof": _with_schema(tree, nest, "array", **bad),
        "a-deep-schema": _with_schema(deep, {"a": {}}, "object", refused=False),
        "huge-enum": _with_schema({"enum": list(range(30_000))}, "a", **bad),
        "huge-enum-of-values": _with_schema(
            {"items": {"enum": [f"v{n}" for n in range(25_000)]}}, ["x"] * 100_000, "array", **bad
        ),
        "unique-items-of-objects": _with_schema(
            {"uniqueItems": True}, [{"a": n} for n in range(60_000)], "array", refused=False
        ),
        "unique-items-of-numbers": _with_schema(
            {"uniqueItems": True}, list(range(150_000)), "array", refused=False
        ),
        "min-length-beyond-all": _with_schema({"minLength": 1e308}, "a", **bad),
        "max-items-beyond-all": _with_schema({"maxItems": 1e308}, [1], "array", refused=False),
        "multiple-of-a-fraction": _with_schema(
            {"multipleOf": 1e-308}, 1e300, "number", refused=False
        ),
        "multiple-of-zero": _with_schema({"multipleOf": 0}, 1, "number"),
        "contains-with-many": _with_schema(
            {"contains": {"anyOf": [{"const": n} for n in range(2000)]}, "minContains": 90_000},
            ["x"] * 20_000,
            "array",
            **bad,
        ),
        "unevaluated": _with_schema(
            {
                "anyOf": [{"properties": {f"p{n}": True}} for n in range(2000)],
                "unevaluatedProperties": False,
            },
            {f"q{n}": 1 for n in range(5_000)},
            "object",
            **bad,
        ),
        "formats": _with_schema(
            {"allOf": [{"format": name} for name in formats]}, "a." * 200_000, refused=False
        ),
        "a-regex-format": _with_schema({"format": "regex"}, "(" * 100_000, refused=False),
        "no-schema": _with_schema({"type": "strung"}, "a"),
        "errors-that-double-over-a-large-value": _with_schema(
            halves,
            ["x" * 50_000],
            "array",
            **bad,
        ),
        "errors-of-alternatives-over-a-large-value": _with_schema(
            {"anyOf": [{"anyOf": [{"type": "string"}] * 300}] * 30}, ["x" * 500_000], "array", **bad
        ),
        "an-anchor-in-a-large-schema-for-each-item": _with_schema(
            {
                "items": {"$ref": "#x"},
                "$defs": {"x": {"$anchor": "x"}},
                "examples": [{}] * 30_000,
            },
            [[] for _ in range(100_000)],
            "array",
            refused=False,
        ),
        "a-long-reference-for-each-item": Case(
            "",
            pack(
                NOOP,
                spec="inputs:\n- name: a\n  type: array\n  schema:\n"
                f"    items: {{$ref: '#/$defs/{'%61' * 20_000}'}}\n"
                f"    $defs:\n      ? {'a' * 20_000}\n      : true",
            ),
            {"a": [[] for _ in range(100_000)]},
            refused=False,
        ),
        "pattern-of-many-states-over-a-long-text": _with_schema(
            {"pattern": "(x|y)*x(x|y){3000}z"}, random_letters, **bad
        ),
        "many-patterns-of-many-states": _with_schema(
            {"allOf": [{"pattern": f"(x|y){{3000}}{n}"} for n in range(7000)]}, "x"
        ),
        "many-patterns-that-remember-much": _with_schema(
            {"anyOf": [{"pattern": f"^(x|y)*x(x|y){{30}}{n}"} for n in range(1500)]},
            random_letters[:20_000],
            **bad,
        ),
        "many-inputs-of-patterns-of-many-states": Case(
            "",
            pack(
                NOOP,
                spec="inputs:\n"
                + filled("- {name: a%d, type: string, schema: {pattern: '(x|y){3000}%d'}}"),
            ),
        ),
        "defaults-against-patterns": Case(
            "",
            pack(
                NOOP,
                spec="inputs:\n"
                + filled(
                    "- {name: a%d, type: string, default: "
                    + "a" * 60
                    + "!, schema: {pattern: '^(a+)+$'}}"
                ),
            ),
        ),
    }


def _with_schema(schema: object, value: object = None, kind: str = "string", **more: Any) -> Case:  # noqa: ANN401
    spec = f"inputs: [{{name: a, type: {kind}, schema: {json.dumps(schema)}}}]"
    inputs = {} if value is None else {"a": value}
    return Case("", pack(NOOP, spec=spec), inputs, **more)
