"""The words that mutators.py changes packs, schemas and expressions with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# The forms of an expression, with E for an expression and N for a name.
NAMES: Final = (
    "inputs", "inputs.a", "inputs.o", "inputs.t", "steps", "steps.one.outputs", "steps.one.status",
    "steps.s1.outputs", "item", "index", "run.id", "run.tenant", "with", "secrets.token", "a",
    "previous", "x", "my-name", '"a b"', "@", "__proto__", "steps.7-up", "list", "k",
)  # fmt: skip
LITERALS: Final = (
    "`1`", "`0`", "`-1`", "`true`", "`null`", "`[]`", "`{}`", '`"x"`', "`[1, [2]]`", "`1e308`",
    "'x'", "''", "'\\''", "`9007199254740991`", "`9007199254740992`", '`[3, null, "x"]`', "7",
    "'[1]'", "'eA=='", "'2026-01-31T08:00:00Z'",
    '`"\\ud800"`', "'\N{LATIN SMALL LETTER SHARP S}\N{COMBINING ACUTE ACCENT}'",
)  # fmt: skip
FUNCTIONS: Final = (
    "abs(E)", "avg(E)", "ceil(E)", "contains(E, E)", "ends_with(E, E)", "floor(E)", "join(E, E)",
    "keys(E)", "length(E)", "map(&E, E)", "max(E)", "max_by(E, &E)", "merge(E, E)", "min(E)",
    "min_by(E, &E)", "not_null(E, E)", "reverse(E)", "sort(E)", "sort_by(E, &E)",
    "starts_with(E, E)", "sum(E)", "to_array(E)", "to_number(E)", "to_string(E)", "type(E)",
    "values(E)", "nope(E)", "split(E, E)", "replace(E, E, E)", "lower(E)", "upper(E)", "trim(E)",
    "matches(E, E)", "matches(E, '^[a-z]{1,9}$')", "url_encode(E)", "base64_encode(E)",
    "base64_decode(E)", "parse_json(E)", "format_time(E, '%F %T')", "time_add(E, E)",
    "time_diff(E, E)",
)  # fmt: skip
FORMS: Final = (
    "E.N", "E[*].E", "E.*.E", "E[]", "E[0]", "E[-1]", "E[::2]", "E[1:]", "E[::-1]", "E[?E]",
    "E | E", "E || E", "E && E", "!E", "!(E)", "(E)", "E == E", "E != E", "E < E", "E >= E",
    "[E, E]", "{k: E, l: E}", "E.[E, E]", "E.{k: E}", "[@, @] | E", "E[?E == E].E", "&E", "{{ E }}",
    "{{ E }} {{ E }}",
)  # fmt: skip


@dataclass(frozen=True)
class Words:
    """The words of a kind of document: values by their key, odd ones, and keys.

    *pieces* are keys with their values, by a key beside which they are right. *at_top* is the share
    of changes that may be made at the top as well, where a change mostly breaks a document.
    """

    at_top: float

    values: dict[str, tuple[str, ...]]
    scalars: tuple[str, ...]
    keys: tuple[str, ...]
    pieces: dict[str, tuple[str, ...]]


CONDITIONS: Final = ("inputs.a", "run.id", "`true`", "`false`", "!(inputs.a)", "a.b ||", "")
_ODD: Final = (
    "~", "true", "on", "0", "-1", "1.5", "1e308", "9007199254740991", "9007199254740993", "012",
    "0x7f", ".nan", "1:30", "''", "' '", "{}", "[]", "__proto__", "constructor", "<<", "x" * 70,
    "\N{LATIN SMALL LETTER SHARP S}", '"\\u0000"', '"\\u2028"', '"a\\nb"', "2000-01-01", "'{{'",
    "'{{ inputs.a }}'", "'{{ inputs.a }} {{ run.id }}'", "'{{ steps.a.outputs }}'", "$ref", "${x}",
    "'{{ }}'",
)  # fmt: skip
_NUMBERS: Final = ("2", "'{{ length(inputs) }}'", "'{{ inputs.a }}'", "'{{ inputs.a[0] }}'")
PACK: Final = Words(
    at_top=0.05,
    values={
        "type": ("string", "integer", "number", "boolean", "array", "object", "file", "run", "map",
                 "parallel", "loop", "conditional", "gate.approval", "gate.policy"),
        "uses": ("builtin:noop", "builtin:fail", "builtin:sleep", "builtin:assert", "lambda:x",
                 "builtin:scanner", "builtin:build", "builtin:deploy", "builtin:http", "worker:x",
                 "states:x"),
        "failureAction": ("abort", "warn", "requestOverride", "branch"),
        "aggregation": ("collect", "merge", "last", "first", "none"),
        "mode": ("sealed", "open"),
        "when": CONDITIONS, "condition": CONDITIONS, "require": CONDITIONS,
        "until": CONDITIONS, "expression": CONDITIONS, "items": CONDITIONS,
        "end": ("0", "3", "9999", "10000", "-1", "9007199254740991", *_NUMBERS),
        "start": _NUMBERS, "step": ("1", "-1", "0", "9007199254740991", *_NUMBERS),
        "maxParallel": ("1", "2", "40", "41", "1000", *_NUMBERS),
        "maxIterations": ("1", "5", "10000", *_NUMBERS), "timeoutSeconds": _NUMBERS,
        "maxAttempts": ("1", "2", "100", *_NUMBERS), "backoffSeconds": _NUMBERS,
        "backoffRate": _NUMBERS, "count": _NUMBERS,
        "path": ("/output/x", "/output/../x", "/output/"),
        "id": ("a", "b", "s1"), "name": ("eu", "us", "n1"),
    },
    scalars=_ODD,
    keys=("id", "name", "when", "type", "run", "with", "steps", "step", "body", "items", "map",
          "loop", "gate", "policy", "approval", "branch", "branches", "condition", "else", "until",
          "outputs", "retries", "continueOnError", "iterator", "index", "default", "schema",
          "required", "range", "static", "uses", "rules", "require", "override", "maxParallel"),
    pieces={
        "id": ("when: inputs.a", "continueOnError: true", "name: n", "message: m", "version: '1'"),
        "run": ("retries: {maxAttempts: 3}", "timeoutSeconds: 1"),
        "uses": ("with: {a: '{{ run.id }}', b: '{{ inputs.a }}'}",),
        "steps": (
            "maxParallel: 2", "failure: {continueOnError: true}",
            "approvals: [{id: ok, scope: gate}]",
            "inputs: [{name: a, type: array, default: [1, 2]}]", "secrets: [{name: token}]",
            "slo: {maxQueueDepth: 1}", "sandbox: {quotaSeconds: 1}",
            "policies: [{id: ok, version: '1', rules: [{id: r, require: inputs.a}]}]",
            "outputs: [{name: o, type: object, expression: inputs}]",
        ),
        "items": ("iterator: it", "index: at", "failFast: true", "failFast: false"),
        "body": ("until: run.id", "aggregation: merge", "outputs: run", "maxIterations: 9"),
        "branches": ("outputUnion: true", "else: [{id: other, run: {uses: 'builtin:noop'}}]"),
        "policy": ("failureAction: warn", "retries: {count: 2}",
                   "with: {a: '{{ secrets.token }}'}"),
        "name": ("default: {a: [1, x]}", "schema: {type: string, pattern: '^(a|b)+$'}",
                 "required: true", "description: d"),
    },
)  # fmt: skip
SCHEMA: Final = Words(
    at_top=0.5,
    values={
        "type": ("string", "integer", "number", "boolean", "array", "object", "null", "[string]"),
        "pattern": ("^a+$", "(a+)+$", "\\w{40}", "(?=a)", "(a)\\1", "'['", "\\p{L}", "a{1000}"),
        "format": ("date-time", "regex", "uri", "ipv6", "idn-hostname", "uuid", "duration", "x"),
        "$ref": ("'#'", "'#/$defs/a'", "'#a'", "'#/properties/a'", "'http://x'", "'#/%24defs/a'"),
        "multipleOf": ("2", "0.01", "1e-308", "0", "1e308"),
        "minLength": ("0", "1", "1e308", "-1"), "minItems": ("1", "9007199254740991"),
        "kind": ("string", "integer", "number", "boolean", "array", "object"),
    },
    scalars=(*_ODD, "'@nan'", "'@infinity'", "'@big'", "'@lone'", "aaaa", "'\U0001f600'", "a"),
    keys=("type", "properties", "items", "allOf", "anyOf", "oneOf", "not", "if", "then", "else",
          "$ref", "$defs", "$anchor", "$dynamicRef", "$dynamicAnchor", "$id", "$schema", "enum",
          "const", "pattern", "format", "required", "uniqueItems", "contains", "minContains",
          "prefixItems", "additionalProperties", "patternProperties", "propertyNames", "a", "b",
          "dependentSchemas", "dependentRequired", "unevaluatedProperties", "unevaluatedItems",
          "minimum", "exclusiveMaximum", "multipleOf", "minLength", "maxItems", "minProperties"),
    pieces={"": (
        "properties: {a: {type: string}, b: true}", "items: {type: integer}", "allOf: [{}, true]",
        "anyOf: [{type: string}, {minimum: 1}]", "oneOf: [true, {const: 1}]", "not: {const: a}",
        "if: {type: string}", "then: {minLength: 2}", "$ref: '#'", "$ref: '#/$defs/a'",
        "$defs: {a: {$anchor: a, items: {$ref: '#a'}}}", "enum: [1, a, ~, [x]]", "const: {a: 1}",
        "pattern: '^(a|b)*$'", "required: [a]", "uniqueItems: true", "contains: {type: string}",
        "prefixItems: [{type: string}, false]", "additionalProperties: false",
        "patternProperties: {'^a': {type: integer}}", "propertyNames: {maxLength: 1}",
        "dependentSchemas: {a: {required: [b]}}", "unevaluatedProperties: false",
        "unevaluatedItems: {$ref: '#'}", "multipleOf: 0.1", "$dynamicRef: '#a'", "$id: 'a:b'",
    )},
)  # fmt: skip
# What a step is put into.
BLOCKS: Final = (
    "parallel: {steps: [STEP]}",
    "parallel: {maxParallel: 1, steps: [STEP, {id: other, run: {uses: 'builtin:noop'}}]}",
    "parallel: {branches: [{name: eu, steps: [STEP, {id: other, run: {uses: 'builtin:noop'}}]}]}",
    "map: {items: {range: {end: 2}}, steps: [STEP]}",
    "map: {items: inputs.a, step: STEP}",
    "loop: {items: run.id, body: [STEP]}",
    "loop: {items: {static: [1, x]}, until: index, body: [STEP]}",
    "conditional: {branches: [{condition: run.id, steps: [STEP]}]}",
    "gate: {policy: {policy: ok, failureAction: branch, branch: [STEP]}}",
)
