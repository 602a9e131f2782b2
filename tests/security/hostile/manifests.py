"""Hostile packs by name: each is refused or planned quickly, and in bounded memory.

A case is a manifest, inputs, and whether it is refused at all: some only look bad.
"""

from __future__ import annotations

import json
import random
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL: Final = 250 * 1024  # just below the most that a manifest may have
LARGE: Final = "{{ inputs.a }}"
OPEN: Final = "{{ "
TICK: Final = "{{ ` }} "
ESCAPED: Final = '"\\'
SECRET: Final = "{{secrets.s6999}}"
MERGE: Final = "{<<: *a}, "
NOOP: Final = "- {id: one, run: {uses: builtin:noop}}"


@dataclass(frozen=True)
class Case:
    name: str
    manifest: str = field(repr=False)
    inputs: dict[str, Any] = field(default_factory=dict, repr=False)
    refused: bool = True
    code: str = "invalid_pack"

    def __str__(self) -> str:
        return self.name


def filled(line: str, room: int = FULL) -> str:
    """*line* as often as there is room for it, with the number of each in the place of `%d`."""
    count = room // (len(line) + 8)
    return "\n".join(line.replace("%d", str(number)) for number in range(count))


def with_schema(schema: object, value: object = None, kind: str = "string", **more: Any) -> Case:  # noqa: ANN401
    spec = f"inputs: [{{name: a, type: {kind}, schema: {json.dumps(schema)}}}]"
    given = {} if value is None else {"a": value}
    return Case("", pack(NOOP, spec=spec), given, **more)


def with_when(expression: str, inputs: dict[str, Any], **more: Any) -> Case:  # noqa: ANN401
    spec = "inputs: [{name: a, type: array}, {name: t, type: string}]"
    steps = f"- {{id: one, when: {json.dumps(expression)}, run: {{uses: builtin:noop}}}}"
    return Case("", pack(steps, spec=spec), inputs, **{"code": "invalid_inputs", **more})


def cases() -> Iterator[Case]:
    """Every case, by its name."""
    for table in (_texts(), _many(), _names(), _blocks(), _schemas(), _expressions()):
        for name, case in table.items():
            yield Case(name, case.manifest, case.inputs, case.refused, case.code)


def _texts() -> dict[str, Case]:
    head = "apiVersion: stellaops.io/pack.v1\nkind: TaskPack\n"
    laughs = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10))
    merges = "\n".join(f"m{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}], k{n}: 1}}" for n in range(1, 40))
    keys = "{" + ", ".join(f"k{n}: 1" for n in range(10_000)) + "}"
    return {
        "alias-bomb": Case("", f"l0: &l0 [x]\n{laughs}\n"),
        "alias-of-a-large-text": Case("", f"a: &a {'x' * 200_000}\nb: [{'*a, ' * 99}*a]\n"),
        "merge-bomb": Case("", f"m0: &m0 {{a: 1}}\n{merges}\n"),
        "merges-of-many-keys": Case("", f"a: &a {keys}\nb: [{MERGE * 90}]\n"),
        "deep-flow-lists": Case("", "[" * 200_000),
        "deep-flow-maps": Case("", "{a: " * 60_000),
        "deep-block-lists": Case("", "- " * 120_000 + "x"),
        "deep-block-maps": Case("", "\n".join(" " * n + "a:" for n in range(700))),
        "a-huge-scalar": Case("", head + f"metadata: {{name: {'x' * FULL}, version: 1.0.0}}\n"),
        "beyond-the-limit": Case("", head + "# " + "x" * (1024 * 1024)),
        "a-huge-key": Case("", f"? {'k' * 100_000}\n: 1\n{'j' * 900}: 1\n"),
        "a-number-of-many-digits": Case("", head + f"spec: {'9' * 200_000}\n"),
        "a-float-of-many-digits": Case("", head + f"spec: 1e{'9' * 200_000}\n"),
        "a-hexadecimal-of-many-digits": Case("", head + f"spec: 0x{'f' * 200_000}\n"),
        "a-float-of-many-zeros": Case("", head + f"spec: .{'0' * 200_000}1\n"),
        "only-anchors": Case("", filled("- &a%d x")),
        "only-tags": Case("", filled("- !t%d x")),
        "tag-directives": Case("", filled("%TAG !t%d! tag:x,2000:") + "\n--- x\n"),
        "python-tags": Case("", head + "spec: !!python/object/apply:os.system ['true']\n"),
        "binary": Case("", head + "spec: !!binary aGVsbG8=\n"),
        "sets-and-maps-by-tag": Case("", head + "spec: !!set {a, b}\n"),
        "control-characters": Case("", head + "spec: \x00\x01\x1b\n"),
        "another-encodings-marks": Case("", "\ufeff" + head.encode("utf-16").decode("latin-1")),
        "latin-1-read-as-utf-8": Case("", head + "spec: \u0080\u0085\u2028\ufffe\n"),
        "many-documents": Case("", "--- x\n" * 40_000),
        "many-duplicate-keys": Case("", "a: 1\n" * 50_000),
        "quoted-escapes": Case("", 'a: "' + "\\U0010FFFF" * 25_000 + '"\n'),
        "an-unclosed-quote": Case("", 'a: "' + "x\n" * 100_000),
        "complex-keys": Case("", filled("? [a, {b: %d}]\n: 1")),
    }


def _steps(line: str, **more: str) -> Case:
    return Case("", pack(filled(line), **more))


def _many() -> dict[str, Case]:
    ids = "\n".join(f"- {{id: s{n}, run: {{uses: 'builtin:noop'}}}}" for n in range(10_000))
    short = "\n".join(f"- {{id: {n}, run: *r}}" for n in range(9_500))
    rules = ", ".join(f'{{id: r{n}, require: "inputs.a{n}"}}' for n in range(1500))
    gates = filled("- {id: g%d, gate: {policy: {id: p}}}", 120_000)
    inputs = ", ".join(f"{{name: a{n}, type: string}}" for n in range(1500))
    inner = "{id: x, parallel: {steps: [%s]}}"
    nested = "{id: x, run: {uses: a}}"
    for _ in range(7):
        nested = inner % nested
    proto = (
        "{name: __proto__, type: object, default: {__proto__: {a: 1}, constructor: 1, toString: x}}"
    )
    return {
        "10,000-steps": Case("", pack(ids)),
        "10,000-steps-by-alias": Case(
            "", pack("- {id: one, run: &r {uses: 'builtin:noop'}}\n" + short)
        ),
        "steps-until-full": _steps("- {id: s%d, run: {uses: 'builtin:noop'}}"),
        "steps-of-one-id": _steps("- {id: same, run: {uses: 'builtin:noop'}}"),
        "steps-without-anything": _steps("- {}"),
        "steps-that-are-no-steps": _steps("- x"),
        "unknown-keys": _steps("- {id: s%d, rum: {}}"),
        "unknown-executors": _steps("- {id: s%d, run: {uses: 'builtin:nop'}}"),
        "names-that-nobody-has": _steps(
            "- {id: s%d, when: steps.t%d.outputs, run: {uses: 'builtin:noop'}}"
        ),
        "approvals-that-nobody-has": _steps(
            "- {id: g%d, gate: {approval: {id: x%d}}}", spec="approvals: [{id: a}]"
        ),
        "inputs-of-one-name": Case(
            "", pack(NOOP, spec="inputs:\n" + filled("- {name: a, type: string}"))
        ),
        "inputs-of-bad-schemas": Case(
            "",
            pack(NOOP, spec="inputs:\n" + filled("- {name: a%d, type: string, schema: {type: 1}}")),
        ),
        "outputs-of-one-name": Case(
            "", pack(NOOP, spec="outputs:\n" + filled("- {name: a, type: file, path: x}"))
        ),
        "policies-of-bad-rules": Case(
            "",
            pack(
                NOOP,
                spec="policies:\n"
                + filled("- {id: p%d, version: x, rules: [{id: a, require: a(}]}"),
            ),
        ),
        "many-gates-of-a-policy-of-many-rules": Case(
            "",
            pack(
                gates,
                spec=f"inputs: [{inputs}]\npolicies: [{{id: p, version: '1', rules: [{rules}]}}]",
            ),
        ),
        "many-gates-of-a-policy-of-bad-names": Case(
            "", pack(gates, spec=f"policies: [{{id: p, version: '1', rules: [{rules}]}}]")
        ),
        "blocks-in-blocks": Case("", pack(f"- {nested}")),
        "maps-of-maps-of-10,000": Case(
            "",
            pack(
                "- {id: a, map: {items: {range: {end: 9998}}, iterator: x, index: i, step: "
                "{id: b, map: {items: {range: {end: 9998}}, iterator: y, index: j, step: "
                "{id: c, run: {uses: 'builtin:noop'}}}}}}"
            ),
            refused=False,
        ),
        "a-range-beyond-all-numbers": Case(
            "",
            pack(
                "- {id: a, map: {items: {range: {start: -9007199254740991, "
                "end: 9007199254740991}}, step: {id: c, run: {uses: 'builtin:noop'}}}}"
            ),
            code="invalid_inputs",
        ),
        "prototype-names": Case(
            "",
            pack(
                "- {id: constructor, run: {uses: 'builtin:noop', "
                "with: {__proto__: '{{ inputs.__proto__ }}', "
                "__class__: {__init__: 1}}}}",
                spec=f"inputs: [{proto}]",
            ),
            refused=False,
        ),
        "inputs-near-the-limit": Case(
            "",
            pack(
                "- {id: a, run: {uses: 'builtin:noop', with: {x: '{{ inputs.a }}'}}}",
                spec="inputs: [{name: a, type: string}]",
            ),
            {"a": "x" * 1_000_000},
            refused=False,
        ),
        "inputs-of-many-small-values": Case(
            "",
            pack(
                "- {id: a, run: {uses: 'builtin:noop', with: {x: '{{ inputs.a }}'}}}",
                spec="inputs: [{name: a, type: array}]",
            ),
            {"a": [0] * 500_000},
            refused=False,
        ),
        "a-large-input-often": Case(
            "",
            pack(
                filled(
                    "- {id: a%d, run: {uses: 'builtin:noop', with: {x: '{{ inputs.a }}'}}}", 100_000
                ),
                spec="inputs: [{name: a, type: string}]",
            ),
            {"a": "x" * 1_000_000},
            code="invalid_inputs",
        ),
        "a-large-input-often-in-one-text": Case(
            "",
            pack(
                f"- {{id: a, run: {{uses: 'builtin:noop', with: {{x: '{LARGE * 5000}'}}}}}}",
                spec="inputs: [{name: a, type: string}]",
            ),
            {"a": "x" * 1_000_000},
            code="invalid_inputs",
        ),
    }


def _names() -> dict[str, Case]:
    """Names that are many or long: each of them is looked up, compared, or told."""
    alike = "\n".join(f"- {{name: {'a' * 58}{n}, type: string}}" for n in range(500))
    near = "\n".join(f"- {{name: abcdefghij{n}, type: string}}" for n in range(500))
    wrong = ",".join(f"inputs.{'a' * 57}.k{n}" for n in range(55))
    return {
        "names-that-are-all-near": Case(
            "",
            pack(
                filled(
                    f"- {{id: s%d, when: inputs.{'a' * 62}%d, run: {{uses: 'builtin:noop'}}}}",
                    180_000,
                ),
                spec=f"inputs:\n{alike}",
            ),
        ),
        "one-wrong-name-in-many-expressions": Case(
            "",
            pack(
                filled(f"- {{id: s%d, when: '[{wrong}]', run: {{uses: 'builtin:noop'}}}}", 200_000),
                spec=f"inputs:\n{alike}",
            ),
        ),
        "outputs-of-wrong-names": Case(
            "",
            pack(
                NOOP,
                spec=f"inputs:\n{near}\noutputs:\n"
                + filled("- {name: o%d, type: object, expression: inputs.abcdefghi%d}", 200_000),
            ),
        ),
        "inputs-that-nobody-declared": Case(
            "",
            pack(NOOP, spec="inputs:\n" + filled("- {name: a%d, type: string}", 200_000)),
            {f"b{n}": 1 for n in range(90_000)},
            code="invalid_inputs",
        ),
        "approvals-and-gates": Case(
            "",
            pack(
                filled("- {id: g%d, gate: {approval: {id: a4999}}}", 120_000),
                spec="approvals: [" + ", ".join(f"{{id: a{n}}}" for n in range(5000)) + "]",
            ),
        ),
        "policies-and-gates": Case(
            "",
            pack(
                filled("- {id: g%d, gate: {policy: {id: p%d}}}", 100_000),
                spec="policies:\n"
                + filled("- {id: p%d, version: x, rules: [{id: r, require: run.id}]}", 145_000),
            ),
        ),
        "secrets-and-their-readers": Case(
            "",
            pack(
                f"- {{id: a, run: {{uses: 'builtin:noop', with: {{x: '{SECRET * 6000}'}}}}}}",
                spec="secrets: [" + ", ".join(f"{{name: s{n}}}" for n in range(7000)) + "]",
            ),
            refused=False,
        ),
        "a-huge-key-of-bad-templates": with_key("{{", code="invalid_pack"),
        "a-huge-key-of-templates-that-fail": with_key("{{ abs(inputs.t) }}"),
        "a-huge-key-of-lone-surrogates": Case(
            "",
            pack(NOOP, spec="inputs: [{name: a, type: object}]"),
            {"a": {"k" * 400_000: ["\ud800"] * 60_000}},
            code="invalid_inputs",
        ),
        "files-that-are-no-texts-beside-open-ones": Case(
            "",
            pack(
                "- {id: a, run: {uses: 'builtin:build', with: {files: {"
                + ", ".join(f"a{n}: 1, b{n}: '{{{{run.id}}}}'" for n in range(7000))
                + "}}}}"
            ),
        ),
        "many-headers": Case(
            "",
            pack(
                "- {id: a, run: {uses: 'builtin:http', with: {url: 'https://a.b', headers: {"
                + ", ".join(f"a{n}: '{{{{run.id}}}}'" for n in range(9000))
                + "}}}}"
            ),
            refused=False,
        ),
    }


def with_key(text: str, code: str = "invalid_inputs") -> Case:
    """A pack of many texts under one key that is as long as all of them."""
    block = f"? {'k' * 110_000}\n:\n" + filled(f"  a%d: '{text}'", 110_000)
    steps = "- id: a\n  run:\n    uses: builtin:noop\n    with:\n" + textwrap.indent(
        block, "  " * 3
    )
    return Case("", pack(steps, spec="inputs: [{name: t, type: string, default: x}]"), code=code)


def _blocks() -> dict[str, Case]:
    """Blocks in blocks and beside blocks, of which each is asked what it holds."""
    run = "run: {uses: 'builtin:noop'}"
    lanes = f"{{id: x, {run}}}"
    for n in range(13):
        lanes = (
            f"{{id: p{n}, type: parallel, maxParallel: 1, steps: [{lanes}, {{id: y{n}, {run}}}]}}"
        )
    lane = filled(f"    - {{id: s%d, {run}}}", 120_000)
    unknown = "{items: run.id, step: {id: s%d, run: {uses: 'builtin:noop'}}}"
    items = "{range: {end: 9999}}"
    return {
        "limited-lanes-in-lanes": Case("", pack(f"- {lanes}"), refused=False),
        "many-limited-lanes": Case(
            "", pack(f"- id: p\n  parallel:\n    maxParallel: 1\n    steps:\n{lane}")
        ),
        "many-maps-of-unknown-items": _steps(f"- {{id: m%d, map: {unknown}}}"),
        "many-maps-in-maps": _steps(
            f"- {{id: m%d, map: {{items: run.id, iterator: i, index: j, "
            f"step: {{id: n%d, map: {unknown}}}}}}}"
        ),
        "many-maps-of-10,000": Case(
            "",
            pack(filled(f"- {{id: m%d, map: {{items: {items}, step: {{id: s%d, {run}}}}}}}")),
            code="invalid_inputs",
        ),
        "many-loops-of-10,000": Case(
            "",
            pack(
                filled(
                    f"- {{id: m%d, loop: {{items: {items}, maxIterations: 10000, until: index, "
                    f"body: [{{id: s%d, {run}}}]}}}}"
                )
            ),
            code="invalid_inputs",
        ),
    }


def _schemas() -> dict[str, Case]:
    bad = {"code": "invalid_inputs"}
    letters = "a" * 40_000 + "!"
    chance = random.Random(1)  # noqa: S311 - no secret
    letters_by_chance = "".join(chance.choices("xy", k=900_000))
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
        "pattern-of-nested-repeats": with_schema({"pattern": "^(a+)+$"}, letters, **bad),
        "pattern-of-alternatives": with_schema({"pattern": "^(a|a|aa)*$"}, letters, **bad),
        "pattern-with-a-back-reference": with_schema({"pattern": "^(a*)*\\1$"}, letters),
        "pattern-with-look-around": with_schema({"pattern": "^(?=(a+)+$).*b"}, letters),
        "pattern-of-many-repeats": with_schema({"pattern": "(((a{99}){99}){99}){99}"}, "a"),
        "pattern-of-unicode-repeats": with_schema({"pattern": "(\\w{100}){100}\\w{1000}"}, "a"),
        "pattern-of-wide-repeats": with_schema(
            {"pattern": "^[ab]*a[ab]{900}c$"}, "ab" * 200_000, **bad
        ),
        "pattern-of-property-names": with_schema(
            {"patternProperties": {"^(a+)+$": False}},
            {"a" * 100_000 + "!": 1},
            "object",
            refused=False,
        ),
        "many-patterns": with_schema(
            {"allOf": [{"pattern": f"(x{n}|\\w{{40}}y)*$"} for n in range(1200)]},
            "a",
            refused=False,
        ),
        "remote-reference": with_schema({"$ref": "http://127.0.0.1:9/x.json"}, "a"),
        "remote-schema": with_schema({"$schema": "http://127.0.0.1:9/x.json"}, "a"),
        "remote-by-its-base": with_schema(
            {
                "$id": "http://127.0.0.1:9/a",
                "$defs": {"x": {"$id": "b", "$ref": "#y"}},
                "$ref": "#/$defs/x",
            },
            "a",
        ),
        "file-reference": with_schema({"$ref": "file:///etc/passwd"}, "a"),
        "reference-to-itself": with_schema({"$ref": "#"}, "a"),
        "references-in-a-loop": with_schema({**loop, "$ref": "#/$defs/l"}, "a"),
        "dynamic-reference-to-itself": with_schema(
            {"$dynamicAnchor": "m", "$dynamicRef": "#m"}, "a"
        ),
        "references-that-double": with_schema({"$defs": doubling, "$ref": "#/$defs/d39"}, "a"),
        "a-tree-of-anyof": with_schema(tree, nest, "array", **bad),
        "a-deep-schema": with_schema(deep, {"a": {}}, "object", refused=False),
        "huge-enum": with_schema({"enum": list(range(30_000))}, "a", **bad),
        "huge-enum-of-values": with_schema(
            {"items": {"enum": [f"v{n}" for n in range(25_000)]}}, ["x"] * 100_000, "array", **bad
        ),
        "unique-items-of-objects": with_schema(
            {"uniqueItems": True}, [{"a": n} for n in range(60_000)], "array", refused=False
        ),
        "unique-items-of-numbers": with_schema(
            {"uniqueItems": True}, list(range(150_000)), "array", refused=False
        ),
        "min-length-beyond-all": with_schema({"minLength": 1e308}, "a", **bad),
        "max-items-beyond-all": with_schema({"maxItems": 1e308}, [1], "array", refused=False),
        "multiple-of-a-fraction": with_schema(
            {"multipleOf": 1e-308}, 1e300, "number", refused=False
        ),
        "multiple-of-zero": with_schema({"multipleOf": 0}, 1, "number"),
        "contains-with-many": with_schema(
            {"contains": {"anyOf": [{"const": n} for n in range(2000)]}, "minContains": 90_000},
            ["x"] * 20_000,
            "array",
            **bad,
        ),
        "unevaluated": with_schema(
            {
                "anyOf": [{"properties": {f"p{n}": True}} for n in range(2000)],
                "unevaluatedProperties": False,
            },
            {f"q{n}": 1 for n in range(5_000)},
            "object",
            **bad,
        ),
        "formats": with_schema(
            {"allOf": [{"format": one} for one in formats]}, "a." * 200_000, refused=False
        ),
        "a-regex-format": with_schema({"format": "regex"}, "(" * 100_000, refused=False),
        "no-schema": with_schema({"type": "strung"}, "a"),
        "errors-that-double-over-a-large-value": with_schema(
            halves,
            ["x" * 50_000],
            "array",
            **bad,
        ),
        "errors-of-alternatives-over-a-large-value": with_schema(
            {"anyOf": [{"anyOf": [{"type": "string"}] * 300}] * 30}, ["x" * 500_000], "array", **bad
        ),
        "an-anchor-in-a-large-schema-for-each-item": with_schema(
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
        "pattern-of-many-states-over-a-long-text": with_schema(
            {"pattern": "(x|y)*x(x|y){3000}z"}, letters_by_chance, **bad
        ),
        "many-patterns-of-many-states": with_schema(
            {"allOf": [{"pattern": f"(x|y){{3000}}{n}"} for n in range(7000)]}, "x"
        ),
        "many-patterns-that-remember-much": with_schema(
            {"anyOf": [{"pattern": f"^(x|y)*x(x|y){{30}}{n}"} for n in range(1500)]},
            letters_by_chance[:20_000],
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


def _expressions() -> dict[str, Case]:
    numbers = {"a": list(range(10_000))}
    lists = {"a": [[n] * 10 for n in range(1000)]}
    wide = "[" + ",".join(["@"] * 500) + "]"
    text = {"a": ["x" * 1000] * 900, "t": "x" * 900_000}
    twice = "|".join(["inputs.a", *["[@,@]"] * 28])
    items = ", ".join(["inputs.a[0]"] * 290)
    names = ", ".join(f"inputs.b{n}" for n in range(300))
    numerals = " || ".join(["a == `1`"] * 250)
    return {
        "doubles-each-time": with_when("|".join(["inputs.a", *["[@,@]"] * 60]), {"a": [1]}),
        "doubles-and-compares": with_when(f"({twice}) == ({twice})", {"a": [1]}),
        "doubles-and-flattens": with_when("|".join(["inputs.a", *["[@,@][]"] * 30]), {"a": [1, 2]}),
        "doubles-into-text": with_when(
            "|".join(["inputs.a", *["[@,@]"] * 28, "to_string(@)"]), {"a": [1]}
        ),
        "escapes-each-time": with_when("to_string([" * 30 + "'\"'" + "])" * 30, {}),
        "joins-each-time": with_when(
            "|".join(["inputs.t", *["join(@, [@,@,@,@])"] * 12]), {"t": "xx"}
        ),
        "joins-a-large-text": with_when("join(inputs.t, inputs.a)", text),
        "pairs": with_when("inputs.a[*].[$inputs]".replace("$", ""), {**numbers}, refused=False),
        "pairs-by-filter": with_when("map(&[@][?@ == `1`], inputs.a)", numbers, refused=False),
        "every-with-every": with_when(
            "inputs | [a, a] | [0][*].[@] | map(&map(&map(&@, @), @), [@, @, @])",
            lists,
            refused=False,
        ),
        "sorts-by-a-sort": with_when(
            "sort_by(inputs.a, &length(sort_by([@], &to_string(@))))", numbers, refused=False
        ),
        "wide-twice": with_when(
            f"inputs.a | {wide} | {wide} | {wide}"[:4000].rpartition(",")[0] + "]",
            {"a": [1] * 1000},
        ),
        "contains-in-each": with_when("inputs.a[?contains(['x'], @)]", text, refused=False),
        "texts-of-everything": with_when("inputs.a[*].to_string(@) | join(to_string(@), @)", text),
        "reverses-each": with_when("[" + ",".join(["reverse(inputs.t)"] * 200) + "]", text),
        "deep-brackets": with_when("(" * 2000 + "a" + ")" * 2000, {}, code="invalid_pack"),
        "deep-pipes": with_when("|".join(["@"] * 1500), {}, code="invalid_pack"),
        "deep-nots": with_when("!" * 4000 + "a", {}, code="invalid_pack"),
        "quotes-without-end": with_when("'" * 4095, {}, code="invalid_pack"),
        "quotes-that-are-escaped-and-never-closed": Case(
            "",
            pack(
                filled(
                    f"- {{id: a%d, when: 'a%d || {ESCAPED * 2000}', run: {{uses: 'builtin:noop'}}}}"
                )
            ),
        ),
        "back-slashes": with_when('"' + "\\" * 4090, {}, code="invalid_pack"),
        "back-ticks": with_when("`" + "[" * 2000 + "`", {}, code="invalid_pack"),
        "a-literal-of-many-digits": with_when(
            "`" + "9" * 4000 + "` == inputs.t", {}, code="invalid_pack"
        ),
        "a-bare-number-of-many": with_when(numerals + " || 1", {}, code="invalid_pack"),
        "many-spaces": with_when("a" + " " * 4000 + "(", {}, code="invalid_pack"),
        "open-braces": Case(
            "", pack(f"- {{id: a, run: {{uses: 'builtin:noop', with: {{x: '{OPEN * 60_000}'}}}}}}")
        ),
        "open-braces-and-quotes": Case(
            "", pack(f"- {{id: a, run: {{uses: 'builtin:noop', with: {{x: '{TICK * 25_000}'}}}}}}")
        ),
        "many-long-expressions-of-numbers": Case(
            "",
            pack(
                filled(f"- {{id: a%d, when: '[{items}]', run: {{uses: 'builtin:noop'}}}}"),
                spec="inputs: [{name: a, type: array}]",
            ),
            refused=False,
        ),
        "many-long-expressions-of-names": Case(
            "", pack(filled(f"- {{id: a%d, when: '[{names}]', run: {{uses: 'builtin:noop'}}}}"))
        ),
        "python-errors-inside": with_when("contains('a', `1`)", {}),
        "python-errors-of-order": with_when("max_by(inputs.a, &@)", {"a": [1, "x"]}),
        "python-errors-of-slices": with_when("inputs.a[::0]", {"a": [1]}),
        "python-errors-of-numbers": with_when("ceil(to_number('nan'))", {}),
        "an-expression-as-a-value": with_when("to_array(&a)", {}),
        "an-expression-as-text": with_when("to_string(&a)", {}),
        "many-expensive-expressions": Case(
            "",
            pack(
                filled(
                    "- {id: a%d, when: 'inputs.a[?@ == `1`] | [0]', run: {uses: 'builtin:noop'}}",
                    100_000,
                ),
                spec="inputs: [{name: a, type: array}]",
            ),
            {"a": [0] * 100_000},
            code="invalid_inputs",
        ),
        "many-bad-templates": Case(
            "",
            pack(
                filled(
                    "- {id: a%d, run: {uses: 'builtin:noop', with: {x: '{{ abs(inputs.t) }}'}}}"
                ),
                spec="inputs: [{name: t, type: string}]",
            ),
            {"t": "x"},
            code="invalid_inputs",
        ),
    }
