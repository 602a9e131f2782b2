"""Expressions whose evaluation grows fast, or that Python would trip over."""

from __future__ import annotations

import json
from typing import Any

from tests.packs import pack
from tests.security.hostile.case import Case, filled

_OPEN = "{{ "
_TICK = "{{ ` }} "
_ESCAPED = '"\\'


def cases() -> dict[str, Case]:
    numbers = {"a": list(range(10_000))}
    lists = {"a": [[n] * 10 for n in range(1000)]}
    wide = "[" + ",".join(["@"] * 500) + "]"
    text = {"a": ["x" * 1000] * 900, "t": "x" * 900_000}
    twice = "|".join(["inputs.a", *["[@,@]"] * 28])
    items = ", ".join(["inputs.a[0]"] * 290)
    names = ", ".join(f"inputs.b{n}" for n in range(300))
    numerals = " || ".join(["a == `1`"] * 250)
    return {
        "doubles-each-time": _with_when("|".join(["inputs.a", *["[@,@]"] * 60]), {"a": [1]}),
        "doubles-and-compares": _with_when(f"({twice}) == ({twice})", {"a": [1]}),
        "doubles-and-flattens": _with_when(
            "|".join(["inputs.a", *["[@,@][]"] * 30]), {"a": [1, 2]}
        ),
        "doubles-into-text": _with_when(
            "|".join(["inputs.a", *["[@,@]"] * 28, "to_string(@)"]), {"a": [1]}
        ),
        "escapes-each-time": _with_when("to_string([" * 30 + "'\"'" + "])" * 30, {}),
        "joins-each-time": _with_when(
            "|".join(["inputs.t", *["join(@, [@,@,@,@])"] * 12]), {"t": "xx"}
        ),
        "joins-a-large-text": _with_when("join(inputs.t, inputs.a)", text),
        "pairs": _with_when("inputs.a[*].[@.inputs]", {**numbers}, refused=False),
        "pairs-by-filter": _with_when("map(&[@][?@ == `1`], inputs.a)", numbers, refused=False),
        "every-with-every": _with_when(
            "inputs | [a, a] | [0][*].[@] | map(&map(&map(&@, @), @), [@, @, @])",
            lists,
            refused=False,
        ),
        "sorts-by-a-sort": _with_when(
            "sort_by(inputs.a, &length(sort_by([@], &to_string(@))))", numbers, refused=False
        ),
        "wide-twice": _with_when(
            f"inputs.a | {wide} | {wide} | {wide}"[:4000].rpartition(",")[0] + "]",
            {"a": [1] * 1000},
        ),
        "contains-in-each": _with_when("inputs.a[?contains(['x'], @)]", text, refused=False),
        "texts-of-everything": _with_when("inputs.a[*].to_string(@) | join(to_string(@), @)", text),
        "reverses-each": _with_when("[" + ",".join(["reverse(inputs.t)"] * 200) + "]", text),
        "deep-brackets": _with_when("(" * 2000 + "a" + ")" * 2000, {}, code="invalid_pack"),
        "deep-pipes": _with_when("|".join(["@"] * 1500), {}, code="invalid_pack"),
        "deep-nots": _with_when("!" * 4000 + "a", {}, code="invalid_pack"),
        "quotes-without-end": _with_when("'" * 4095, {}, code="invalid_pack"),
        "quotes-that-are-escaped-and-never-closed": Case(
            "",
            pack(
                filled(
                    f"- {{id: a%d, when: 'a%d || {_ESCAPED * 2000}', "
                    "run: {uses: 'builtin:noop'}}"
                )
            ),
        ),
        "back-slashes": _with_when('"' + "\\" * 4090, {}, code="invalid_pack"),
        "back-ticks": _with_when("`" + "[" * 2000 + "`", {}, code="invalid_pack"),
        "a-literal-of-many-digits": _with_when(
            "`" + "9" * 4000 + "` == inputs.t", {}, code="invalid_pack"
        ),
        "a-bare-number-of-many": _with_when(numerals + " || 1", {}, code="invalid_pack"),
        "many-spaces": _with_when("a" + " " * 4000 + "(", {}, code="invalid_pack"),
        "open-braces": Case(
            "", pack(f"- {{id: a, run: {{uses: 'builtin:noop', with: {{x: '{_OPEN * 60_000}'}}}}}}")
        ),
        "open-braces-and-quotes": Case(
            "",
            pack(f"- {{id: a, run: {{uses: 'builtin:noop', with: {{x: '{_TICK * 25_000}'}}}}}}"),
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
        "python-errors-inside": _with_when("contains('a', `1`)", {}),
        "python-errors-of-order": _with_when("max_by(inputs.a, &@)", {"a": [1, "x"]}),
        "python-errors-of-slices": _with_when("inputs.a[::0]", {"a": [1]}),
        "python-errors-of-numbers": _with_when("ceil(to_number('nan'))", {}),
        "an-expression-as-a-value": _with_when("to_array(&a)", {}),
        "an-expression-as-text": _with_when("to_string(&a)", {}),
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


def _with_when(expression: str, inputs: dict[str, Any], **more: Any) -> Case:  # noqa: ANN401
    spec = "inputs: [{name: a, type: array}, {name: t, type: string}]"
    steps = f"- {{id: one, when: {json.dumps(expression)}, run: {{uses: builtin:noop}}}}"
    return Case("", pack(steps, spec=spec), inputs, **{"code": "invalid_inputs", **more})
