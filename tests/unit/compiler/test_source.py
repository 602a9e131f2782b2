"""Stage 1: YAML 1.2, and the limits of a manifest. The messages are in tests/golden."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings

from taskrunner.compiler import report, source
from taskrunner.errors import InvalidPackError
from tests import strategies


def value(text: str) -> Any:  # noqa: ANN401 - whatever the YAML says
    return source.read(f"x: {text}\n").value["x"]


def refusal(text: str) -> str:
    with pytest.raises(InvalidPackError) as refused:
        source.read(text)
    return "\n".join(f"{one.path}: {one.message}" for one in refused.value.diagnostics)


# YAML 1.2.2, section 10.3.2, beside what YAML 1.1 makes of the same.
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
    "5.": 5.0,
    "-.5e-1": -0.05,
    "1e3": 1000.0,
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
}


@pytest.mark.parametrize("text", CORE)
def test_a_scalar_is_read_by_the_core_schema_of_yaml_1_2(text: str) -> None:
    read = value(text)

    assert (type(read), read) == (type(CORE[text]), CORE[text])


@pytest.mark.parametrize("text", [".inf", "-.Inf", "+.INF", ".nan", ".NaN", "1e400", "9" * 5000])
def test_a_number_without_a_canonical_form_is_refused(text: str) -> None:
    assert "out of range; quote it if it is meant as text" in refusal(f"x: {text}")


def test_the_largest_integer_that_a_double_tells_apart_is_the_largest_allowed() -> None:
    largest = 2**53 - 1

    assert value(str(largest)) == largest
    assert value(f"-{largest}") == -largest
    assert "out of range" in refusal(f"x: {largest + 1}")
    assert "out of range" in refusal(f"x: {-largest - 1}")


def test_a_manifest_has_at_most_256_kib_of_utf_8() -> None:
    longest = "x: " + "é" * ((source.MAX_MANIFEST_BYTES - 3) // 2)

    assert len(source.read(longest).value["x"]) == len(longest) - 3
    assert "has 262145 bytes; at most 262144" in refusal(longest + "é")


def test_32_levels_are_read_and_the_33rd_is_not() -> None:
    def nested(levels: int) -> str:
        return "[" * levels + "x" + "]" * levels

    assert source.read(nested(32)).value
    assert "nested deeper than 32 levels" in refusal(nested(33))


def test_levels_are_counted_through_aliases() -> None:
    def nested(levels: int) -> str:
        return f"- &deep {'[' * 15}x{']' * 15}\n- {'[' * levels}*deep{']' * levels}\n"

    assert source.read(nested(16)).value
    assert "nested deeper than 32 levels by *deep" in refusal(nested(17))


def test_100_aliases_are_followed_and_the_101st_is_not() -> None:
    def aliased(times: int) -> str:
        return "- &a x\n" + "- *a\n" * times

    assert source.read(aliased(100)).value == ["x"] * 101
    assert "$[101]: line 102: more than 100 aliases" in refusal(aliased(101))


def test_aliases_may_not_expand_a_manifest_beyond_1_mib() -> None:
    def expanded(times: int) -> str:
        return "- &a " + "x" * 100_000 + "\n" + "- *a\n" * times

    assert source.read(expanded(9)).value
    assert "larger than 1048576 bytes once expanded" in refusal(expanded(10))


def test_merges_may_not_expand_a_manifest_beyond_1_mib_either() -> None:
    text = "- &a {k: " + "x" * 100_000 + "}\n" + "- {<<: *a}\n" * 10

    assert "once expanded" in refusal(text)


def test_empty_values_are_not_free() -> None:
    assert "once expanded" in refusal("[" + ",".join("[]" for _ in range(66_000)) + "]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{<<: {a: 1}, a: 2}", {"a": 2}),
        ("{a: 2, <<: {a: 1, b: 1}}", {"a": 2, "b": 1}),
        ("{<<: [{a: 1}, {a: 2, b: 2}]}", {"a": 1, "b": 2}),
        ("{<<: {a: 1}, <<: {a: 2, b: 2}}", {"a": 1, "b": 2}),
        ("{<<: {<<: {a: 1}, b: 1}, b: 2}", {"a": 1, "b": 2}),
        ("{<<: []}", {}),
        ('{"<<": {a: 1}}', {"<<": {"a": 1}}),
    ],
)
def test_what_a_mapping_says_itself_wins_and_then_the_earlier_source(
    text: str, expected: dict[str, Any]
) -> None:
    assert value(text) == expected


def test_an_anchor_may_stand_on_a_key_too() -> None:
    assert source.read("{&a one: 1, two: *a}").value == {"one": 1, "two": "one"}
    assert source.read("[&a x, {*a : 1}]").value == ["x", {"x": 1}]


def test_keys_are_text_whatever_they_look_like() -> None:
    assert source.read("{1: a, true: b, null: c, on: d}").value == {
        "1": "a",
        "true": "b",
        "null": "c",
        "on": "d",
    }


def test_every_value_has_the_line_of_its_key() -> None:
    read = source.read("a:\n  b:\n    - one\n    - two\nc: >\n  folded\n")

    assert read.line(("a", "b")) == 2
    assert read.line(("a", "b", 1)) == 4
    assert read.line(("c",)) == 5


def test_what_was_not_written_has_the_line_of_what_it_would_stand_in() -> None:
    read = source.read("a:\n  b: 1\n")

    assert read.line(("a", "missing", 0)) == 1
    assert read.line(("missing",)) == 1


def test_a_byte_order_mark_and_windows_line_ends_change_nothing() -> None:
    assert source.read("\ufeffa: 1\r\nb: 2\r\n").value == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: \ud800", "not valid Unicode text"),
        ('a: "\\ud800"', "invalid Unicode character escape code"),
        ("a: \x00", "not readable as YAML"),
        ("a: \x07", "not readable as YAML"),
    ],
)
def test_what_is_no_text_is_refused(text: str, told: str) -> None:
    assert told in refusal(text)


def test_the_number_of_problems_told_at_once_is_bounded() -> None:
    told = refusal("{" + "a: 1, " * 5_000 + "}").splitlines()

    assert len(told) == report.MAX_PROBLEMS + 1
    assert told[-1] == "$: there are more than 100 problems; mend these first"


@settings(max_examples=60, deadline=None)
@given(strategies.json_values())
def test_json_values_come_through_yaml_unchanged(given_value: Any) -> None:  # noqa: ANN401
    read = source.read(strategies.as_yaml(given_value)).value

    assert read == given_value or (
        isinstance(given_value, float) and math.isclose(read, given_value)
    )
