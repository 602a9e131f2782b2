"""Texts that are hard to read as YAML: bombs, depth, huge scalars, odd encodings."""

from __future__ import annotations

from tests.security.hostile.case import FULL, Case, filled


def cases() -> dict[str, Case]:
    head = "apiVersion: stellaops.io/pack.v1\nkind: TaskPack\n"
    laughs = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10))
    merges = "\n".join(f"m{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}], k{n}: 1}}" for n in range(1, 40))
    keys = "{" + ", ".join(f"k{n}: 1" for n in range(10_000)) + "}"
    return {
        "alias-bomb": Case("", f"l0: &l0 [x]\n{laughs}\n"),
        "alias-of-a-large-text": Case("", f"a: &a {'x' * 200_000}\nb: [{'*a, ' * 99}*a]\n"),
        "merge-bomb": Case("", f"m0: &m0 {{a: 1}}\n{merges}\n"),
        "merges-of-many-keys": Case("", f"a: &a {keys}\nb: [{'{<<: *a}, ' * 90}]\n"),
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
