from __future__ import annotations

from taskrunner.model.wording import nearest


def test_the_nearest_name_is_asked_for() -> None:
    assert nearest("scaner", ["noop", "scanner"]) == "; did you mean 'scanner'?"


def test_when_none_is_near_all_are_told_in_order() -> None:
    assert nearest("zzz", ["b", "a", "a"]) == "; there is a, b"


def test_of_many_names_the_first_dozen_are_told() -> None:
    told = nearest("zzz", [f"name-{i:02}" for i in range(20)])

    assert told.endswith("name-10, name-11, ...")


def test_without_names_nothing_is_told() -> None:
    assert nearest("zzz", []) == ""


def test_of_names_that_are_long_and_alike_those_of_about_the_same_length_are_compared() -> None:
    long = [f"{'a' * 58}{n:05}" for n in range(500)]

    assert nearest("a" * 60 + "b00", [*long, "a" * 60 + "c00"]) != ""
    assert nearest("scaner", [*long, "scanner"]) == "; did you mean 'scanner'?"


def test_long_names_and_many_of_them_are_no_trouble() -> None:
    assert nearest("x" * 100_000, [f"name-{i}" for i in range(10_000)]).startswith(
        "; there is name-0"
    )
