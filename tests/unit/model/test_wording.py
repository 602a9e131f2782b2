from __future__ import annotations

from taskrunner.model.wording import nearest, shortened


def test_asks_for_the_nearest_name() -> None:
    assert nearest("scaner", ["noop", "scanner"]) == "; did you mean 'scanner'?"


def test_lists_all_names_in_order_when_none_is_near() -> None:
    assert nearest("zzz", ["b", "a", "a"]) == "; available: a, b"


def test_lists_the_first_dozen_of_many_names() -> None:
    hint = nearest("zzz", [f"name-{i:02}" for i in range(20)])

    assert hint.endswith("name-10, name-11, ...")


def test_says_nothing_without_names() -> None:
    assert nearest("zzz", []) == ""


def test_compares_names_of_about_the_same_length_when_there_are_many() -> None:
    long = [f"{'a' * 58}{n:05}" for n in range(500)]

    assert nearest("a" * 60 + "b00", [*long, "a" * 60 + "c00"]) != ""
    assert nearest("scaner", [*long, "scanner"]) == "; did you mean 'scanner'?"


def test_takes_long_names_and_many_of_them() -> None:
    assert nearest("x" * 100_000, [f"name-{i}" for i in range(10_000)]).startswith(
        "; available: name-0"
    )


def test_shortens_a_text_to_one_line() -> None:
    assert shortened("one\ntwo") == "one two"
    assert shortened("a" * 10, 10) == "a" * 10
    assert shortened("a" * 11, 10) == "a" * 10 + "..."
