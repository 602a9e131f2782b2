from __future__ import annotations

from taskrunner.compiler import report
from taskrunner.errors import Diagnostic


def diagnostics(count: int) -> list[Diagnostic]:
    return [Diagnostic(f"$.a[{index}]", "wrong") for index in range(count)]


def test_up_to_a_hundred_problems_are_told_as_they_are() -> None:
    assert report.invalid(diagnostics(100)).diagnostics == tuple(diagnostics(100))


def test_of_more_problems_the_last_says_that_there_are_more() -> None:
    told = report.invalid(diagnostics(500)).diagnostics

    assert told[:100] == tuple(diagnostics(100))
    assert told[100:] == (Diagnostic("$", "there are more than 100 problems; mend these first"),)


def test_the_code_says_whether_the_pack_or_its_inputs_are_wrong() -> None:
    assert report.invalid(diagnostics(1)).code == "invalid_pack"
    assert report.invalid(diagnostics(1), code="invalid_inputs").code == "invalid_inputs"


def test_a_path_and_a_message_are_one_short_line_each() -> None:
    (told,) = report.invalid([Diagnostic("$." + "a" * 9999, "one\ntwo" * 9999)]).diagnostics

    assert len(told.path) == len(told.message) == 1003
    assert told.message.startswith("one two")
    assert told.message.endswith("...")
