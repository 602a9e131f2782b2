from __future__ import annotations

from taskrunner.compiler import problems
from taskrunner.compiler.problems import Findings, Problem
from taskrunner.errors import Diagnostic


def diagnostics(count: int) -> list[Diagnostic]:
    return [Diagnostic(f"$.a[{index}]", "wrong") for index in range(count)]


def test_reports_up_to_a_hundred_problems_as_they_are() -> None:
    assert problems.invalid(diagnostics(100)).diagnostics == tuple(diagnostics(100))


def test_says_that_there_are_more_than_a_hundred_problems() -> None:
    reported = problems.invalid(diagnostics(500)).diagnostics

    assert reported[:100] == tuple(diagnostics(100))
    assert reported[100:] == (Diagnostic("$", "there are more than 100 problems; fix these first"),)


def test_code_says_whether_the_pack_or_its_inputs_are_wrong() -> None:
    assert problems.invalid(diagnostics(1)).code == "invalid_pack"
    assert problems.invalid(diagnostics(1), code="invalid_inputs").code == "invalid_inputs"


def test_cuts_a_path_and_a_message_to_one_short_line_each() -> None:
    long = Diagnostic("$." + "a" * 9999, "one\ntwo" * 9999)

    (reported,) = problems.invalid([long]).diagnostics

    assert len(reported.path) == len(reported.message) == 1003
    assert reported.message.startswith("one two")
    assert reported.message.endswith("...")


def test_findings_keep_each_problem_once_and_in_order() -> None:
    findings = Findings()
    for message in ("b", "a", "b"):
        findings.add(("spec",), message)

    assert list(findings) == [Problem(("spec",), "b"), Problem(("spec",), "a")]


def test_findings_are_full_with_more_than_a_hundred_problems() -> None:
    findings = Findings()
    for index in range(100):
        findings.add((index,), "wrong")
    assert not findings.is_full

    findings.add((100,), "wrong")

    assert findings.is_full
