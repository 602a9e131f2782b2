"""Stage 1: YAML 1.2, and the limits of a manifest. The messages are in tests/golden."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from taskrunner.compiler.manifest import source
from taskrunner.compiler.problems import MAX_PROBLEMS, invalid
from taskrunner.errors import InvalidPackError
from tests import strategies


def value(text: str) -> Any:  # noqa: ANN401 - whatever the YAML says
    return source.read(f"x: {text}\n").value["x"]


def refusal(text: str) -> str:
    try:
        read = source.read(text)
    except InvalidPackError as error:
        found = list(error.diagnostics)
    else:
        located = (read.diagnostic(*problem, line) for line, problem in read.problems)
        found = list(invalid(located).diagnostics)
    assert found
    return "\n".join(f"{diagnostic.path}: {diagnostic.message}" for diagnostic in found)


# YAML 1.2.2, section 10.3.2, beside texts that YAML 1.1 reads as something else.
CORE: dict[str, Any] = {
    "null": None,
    "~": None,
    "": None,
    "nULL": "nULL",
    "true": True,
    "FALSE": False,
    "tRUE": "tRUE",
    "yes": "yes",
    "Off": "Off",
    "y": "y",
    "0": 0,
    "-0": 0,
    "+12": 12,
    "012": 12,
    "-012": -12,
    "0o14": 12,
    "0x1F": 31,
    "-0x1F": "-0x1F",
    "0b1": "0b1",
    "0o8": "0o8",
    "1_000": "1_000",
    "1:30": "1:30",
    "190:20:30": "190:20:30",
    "1.5": 1.5,
    ".5": 0.5,
    "5.": 5,
    "2.0": 2,
    "2e0": 2,
    "-0.0": 0,
    "1e20": 1e20,
    "-.5e-1": -0.05,
    "1e3": 1000,
    "1e": "1e",
    ".": ".",
    "1.2.3": "1.2.3",
    "2024-01-02": "2024-01-02",
    "2024-01-02T03:04:05Z": "2024-01-02T03:04:05Z",
    "=": "=",
    "<<": "<<",
    "infinity": "infinity",
    "'true'": "true",
    '"12"': "12",
    "!!str 12": "12",
    "! 12": "12",
    "!!float 12": 12,
    "!!float 1.5": 1.5,
    "!!int 12": 12,
    "!!bool true": True,
    "!!null ~": None,
}


@pytest.mark.parametrize("text", CORE)
def test_reads_a_scalar_by_the_core_schema_of_yaml_1_2(text: str) -> None:
    read = value(text)

    assert (type(read), read) == (type(CORE[text]), CORE[text])


@pytest.mark.parametrize(
    "text",
    ["!!int 1.5", "!!int true", "!!bool 1", "!!float true", "!!float text", "!!null 0", "!!int ~"],
)
def test_refuses_a_value_that_its_tag_does_not_fit(text: str) -> None:
    assert "correct it or remove the tag !!" in refusal(f"x: {text}")


@pytest.mark.parametrize("text", [".inf", "-.Inf", "+.INF", ".nan", ".NaN", "1e400", "9" * 5000])
def test_refuses_a_number_without_a_canonical_form(text: str) -> None:
    assert "out of range; quote it if it is meant as text" in refusal(f"x: {text}")


def test_reads_integers_as_far_as_a_double_is_exact() -> None:
    largest = 2**53 - 1

    assert value(str(largest)) == largest
    assert value(f"-{largest}") == -largest
    assert value(str(largest + 1)) == largest + 1


@pytest.mark.parametrize(
    ("text", "rounded"),
    [
        ("9007199254740993", "9007199254740992"),
        ("-9007199254740993.0", "-9007199254740992"),
        ("0x20000000000001", "9007199254740992"),
        ("0.12345678901234567891", "0.12345678901234568"),
    ],
)
def test_refuses_a_number_that_a_double_would_round(text: str, rounded: str) -> None:
    assert refusal(f"x: {text}") == (
        f"$.x: line 1: the number {text} would be rounded to {rounded}; write {rounded}, or quote "
        "it if it is meant as text"
    )


def test_reads_at_most_256_kib_of_utf_8() -> None:
    longest = "x: " + "é" * ((source.MAX_MANIFEST_BYTES - 3) // 2)

    assert len(source.read(longest).value["x"]) == len(longest) - 3
    assert "has 262145 bytes; at most 262144" in refusal(longest + "é")


def test_reads_32_levels_and_refuses_the_33rd() -> None:
    def nested(levels: int) -> str:
        return "[" * levels + "x" + "]" * levels

    assert source.read(nested(32)).value
    assert "nested deeper than 32 levels" in refusal(nested(33))


def test_counts_levels_through_aliases() -> None:
    def nested(levels: int) -> str:
        return f"- &deep {'[' * 15}x{']' * 15}\n- {'[' * levels}*deep{']' * levels}\n"

    assert source.read(nested(16)).value
    assert "nested deeper than 32 levels by *deep" in refusal(nested(17))


def test_follows_100_aliases_and_refuses_the_101st() -> None:
    def aliased(times: int) -> str:
        return "- &a x\n" + "- *a\n" * times

    assert source.read(aliased(100)).value == ["x"] * 101
    assert "$[101]: line 102: more than 100 aliases" in refusal(aliased(101))


def test_refuses_aliases_that_expand_a_manifest_beyond_1_mib() -> None:
    def expanded(times: int) -> str:
        return "- &a " + "x" * 100_000 + "\n" + "- *a\n" * times

    assert source.read(expanded(9)).value
    assert "larger than 1048576 bytes once expanded" in refusal(expanded(10))


def test_refuses_merges_that_expand_a_manifest_beyond_1_mib() -> None:
    text = "- &a {k: " + "x" * 100_000 + "}\n" + "- {<<: *a}\n" * 10

    assert "once expanded" in refusal(text)


def test_counts_empty_values_too() -> None:
    assert "once expanded" in refusal("[" + ",".join("[]" for _ in range(66_000)) + "]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{<<: {a: 1}, a: 2}", {"a": 2}),
        ("{a: 2, <<: {a: 1, b: 1}}", {"a": 2, "b": 1}),
        ("{<<: [{a: 1}, {a: 2, b: 2}]}", {"a": 1, "b": 2}),
        ("{<<: {<<: {a: 1}, b: 1}, b: 2}", {"a": 1, "b": 2}),
        ("{<<: []}", {}),
        ('{"<<": {a: 1}}', {"<<": {"a": 1}}),
    ],
)
def test_merges_after_a_mappings_own_keys_and_earlier_sources(
    text: str, expected: dict[str, Any]
) -> None:
    assert value(text) == expected


def test_reads_an_anchor_on_a_key() -> None:
    assert source.read("{&a one: 1, two: *a}").value == {"one": 1, "two": "one"}
    assert source.read("[&a x, {*a : 1}]").value == ["x", {"x": 1}]


def test_reads_every_key_as_text() -> None:
    assert source.read("{1: a, true: b, null: c, on: d}").value == {
        "1": "a",
        "true": "b",
        "null": "c",
        "on": "d",
    }


def test_keeps_the_line_of_the_key_of_every_value() -> None:
    read = source.read("a:\n  b:\n    - one\n    - two\nc: >\n  folded\n")

    assert read.line(("a", "b")) == 2
    assert read.line(("a", "b", 1)) == 4
    assert read.line(("c",)) == 5


def test_finds_the_line_of_the_nearest_ancestor_of_a_missing_value() -> None:
    read = source.read("a:\n  b: 1\n")

    assert read.line(("a", "missing", 0)) == 1
    assert read.line(("missing",)) == 1


def test_ignores_a_byte_order_mark_and_windows_line_ends() -> None:
    assert source.read("\ufeffa: 1\r\nb: 2\r\n").value == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: \ud800", "not valid Unicode text"),
        ('a: "\\ud800"', "invalid Unicode character escape code"),
        ("a: \x00", "not readable as YAML"),
        ("a: \x07", "not readable as YAML"),
    ],
)
def test_refuses_what_is_not_text(text: str, message: str) -> None:
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "in a list in brackets, a ',' or ']' is missing"),
        ("a:\n\tb: 1", "line 2: not valid YAML: a value cannot begin with this character"),
        ("a: b: c", "a ':' is not expected here; quote text that contains one"),
        ("- a\nb: 1", "in a list, a '-' is expected here; check the indentation"),
        ("a: 'x", "the quote is never closed"),
        ('a: "\\q"', "an escape is unknown"),
        ("a: *", "quote text that begins with * or &"),
    ],
)
def test_explains_a_syntax_error_in_plain_words(text: str, message: str) -> None:
    assert message in refusal(text)


def test_reports_at_most_a_hundred_duplicate_keys() -> None:
    reported = refusal("{" + "a: 1, " * 5_000 + "}").splitlines()

    assert len(reported) == MAX_PROBLEMS + 1
    assert reported[-1] == "$: there are more than 100 problems; fix these first"


@settings(max_examples=60)
@given(strategies.json_values())
def test_json_values_come_through_yaml_unchanged(given_value: Any) -> None:  # noqa: ANN401
    block = strategies.as_yaml(given_value)
    with_tags = yaml.dump(given_value, Dumper=yaml.SafeDumper, default_style='"')

    for text in (block, with_tags):
        read = source.read(text).value
        assert read == given_value or (
            isinstance(given_value, float) and math.isclose(read, given_value)
        )


PLACED = """\
spec:
  steps:
    - id: a
      run: &scan
        uses: builtin:scanner
        with: {target: "x", failOn: high}
    - {id: b, run: *scan}
    - id: c
      id: d
"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("$", (1, 1)),
        ("$.spec.steps", (2, 3)),
        ("$.spec.steps[0]", (3, 7)),
        ("$.spec.steps[0].run.uses", (5, 9)),
        ("$.spec.steps[0].run.with.failOn", (6, 29)),
        ("$.spec.steps[0].run.with.missing[3]", (6, 9)),
        ("$.spec.steps[1].run.uses", (7, 15)),
        ("$.spec.steps[2].id", (8, 7)),
        ("no path", None),
    ],
)
def test_locates_a_path_or_its_nearest_ancestor(path: str, place: tuple[int, int] | None) -> None:
    assert source.locate(PLACED, path) == place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("spec:\n  steps: [\n  }\n", (3, 3)),
        ("spec:\n\tsteps: []\n", (2, 1)),
        ("", None),
        ("a: 1\n---\nb: 2\n", (1, 1)),
        ("a: \x00\n", None),
    ],
)
def test_locates_a_syntax_error_as_the_whole_manifest(
    text: str, place: tuple[int, int] | None
) -> None:
    assert source.locate(text, "$") == place


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029"], ids=ascii)
def test_reads_an_old_line_break_as_any_other_character(character: str) -> None:
    text = f"""\
double: "x {character} y"
single: 'x{character}y'
plain: x{character}y  # a comment {character}hidden: 1
block: |
  x{character}  y
key{character}: {{a: "{character}\ue000"}}
last: 1
"""

    read = source.read(text)

    assert read.value == {
        "double": f"x {character} y",
        "single": f"x{character}y",
        "plain": f"x{character}y",
        "block": f"x{character}  y\n",
        f"key{character}": {"a": f"{character}\ue000"},
        "last": 1,
    }
    assert read.line(("last",)) == 7


def test_refuses_a_second_merge_key() -> None:
    text = "a: &a {x: 1}\nb: &b {y: 2}\nc:\n  <<: *a\n  <<: *b\n"

    assert refusal(text) == (
        "$.c['<<']: line 5: the key '<<' is already set on line 4; keep one, and give it a "
        "list: <<: [*first, *second]"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\ufeff\ufeffa: 1\nb: 2\n", 1),
        ("# c\n\ufeffa: 1\nb: 2\n", 2),
        ("---\n\ufeffa: 1\nb: 2\n", 2),
    ],
)
def test_explains_a_byte_order_mark_before_the_first_key(text: str, line: int) -> None:
    assert refusal(text).startswith(f"$: line {line}: a byte order mark (U+FEFF) may only begin")


def test_explains_a_byte_order_mark_inside_a_manifest() -> None:
    assert source.read("\ufeffa: 1\n").value == {"a": 1}
    assert refusal("a: 1\n\ufeffb: 2\n") == (
        "$: line 2: a byte order mark (U+FEFF) may only begin a manifest; delete it here"
    )
