"""Packs with very many steps, names, gates, items or values."""

from __future__ import annotations

from tests.packs import pack
from tests.security.hostile.case import NOOP, Case, filled, filled_with_steps

_INPUT = "{{ inputs.a }}"


def cases() -> dict[str, Case]:
    ids = "\n".join(f"- {{id: s{n}, run: {{uses: 'builtin:noop'}}}}" for n in range(10_000))
    short = "\n".join(f"- {{id: {n}, run: *r}}" for n in range(9_500))
    rules = ", ".join(f'{{id: r{n}, require: "inputs.a{n}"}}' for n in range(1500))
    many_previous = ", ".join(f"{{id: r{n}, require: previous.a{n}}}" for n in range(1500))
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
        "steps-until-full": filled_with_steps("- {id: s%d, run: {uses: 'builtin:noop'}}"),
        "steps-of-one-id": filled_with_steps("- {id: same, run: {uses: 'builtin:noop'}}"),
        "steps-without-anything": filled_with_steps("- {}"),
        "steps-that-are-no-steps": filled_with_steps("- x"),
        "unknown-keys": filled_with_steps("- {id: s%d, rum: {}}"),
        "unknown-executors": filled_with_steps("- {id: s%d, run: {uses: 'builtin:nop'}}"),
        "names-that-nobody-has": filled_with_steps(
            "- {id: s%d, when: steps.t%d.outputs, run: {uses: 'builtin:noop'}}"
        ),
        "approvals-that-nobody-has": filled_with_steps(
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
        "many-gates-in-a-loop-of-a-policy-that-reads-previous": Case(
            "",
            pack(
                "- id: turns\n  loop:\n    items: inputs.list\n    body:\n"
                + filled("    - {id: g%d, gate: {policy: {id: p}}}", 120_000),
                spec="inputs: [{name: list, type: array, default: []}]\npolicies:\n"
                "- {id: p, version: '1', rules: [" + many_previous + "]}",
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
                f"- {{id: a, run: {{uses: 'builtin:noop', with: {{x: '{_INPUT * 5000}'}}}}}}",
                spec="inputs: [{name: a, type: string}]",
            ),
            {"a": "x" * 1_000_000},
            code="invalid_inputs",
        ),
    }
