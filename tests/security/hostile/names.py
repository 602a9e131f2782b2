"""Names that are many or long: the compiler looks each up, compares it, or reports it."""

from __future__ import annotations

import textwrap

from tests.packs import pack
from tests.security.hostile.case import NOOP, Case, filled

_SECRET = "{{secrets.s6999}}"


def cases() -> dict[str, Case]:
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
            refused=False,
        ),
        "secrets-and-their-readers": Case(
            "",
            pack(
                f"- {{id: a, run: {{uses: 'builtin:noop', with: {{x: '{_SECRET * 6000}'}}}}}}",
                spec="secrets: [" + ", ".join(f"{{name: s{n}}}" for n in range(7000)) + "]",
            ),
            refused=False,
        ),
        "a-huge-key-of-bad-templates": _with_key("{{", code="invalid_pack"),
        "a-huge-key-of-templates-that-fail": _with_key("{{ abs(inputs.t) }}"),
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


def _with_key(text: str, code: str = "invalid_inputs") -> Case:
    """A pack of many texts under one key that is as long as all of them together."""
    block = f"? {'k' * 110_000}\n:\n" + filled(f"  a%d: '{text}'", 110_000)
    steps = "- id: a\n  run:\n    uses: builtin:noop\n    with:\n" + textwrap.indent(
        block, "  " * 3
    )
    return Case("", pack(steps, spec="inputs: [{name: t, type: string, default: x}]"), code=code)
