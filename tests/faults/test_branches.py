"""A play that branches finds what separate plays find, and one branch does not see another."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.faults import play
from tests.faults.branches import Branches
from tests.faults.faults import Case, Fault, Place
from tests.faults.sweep import Sweep

if TYPE_CHECKING:
    from tests.faults.service import Service

ONE, TWO = Place("run_step only #1", 1, "dynamodb.Query"), Place("settle_run #1", 0, "")


def cases(*places: Place) -> list[Case]:
    return [
        Case("plain", place, fault) for place in places for fault in (Fault.DEAD, Fault.REFUSED)
    ]


class Played:
    """A play that meets some places, and in which each fault is a problem."""

    def __init__(self, *met: Place, has_files: bool = False) -> None:
        self.problems: list[str] = []
        self.found: list[tuple[Case, list[str]]] = []
        self._met = met
        self._has_files = has_files

    def run(self, wanted: list[Case], most: int = 1) -> None:
        self._branches = Branches(wanted, self._take, lambda: self._has_files, most)
        self._branches.run(self._play, lambda case: [f"{case.fault}, replayed"])

    def _take(self, case: Case, problems: list[str]) -> None:
        self.found.append((case, problems))

    def _play(self) -> list[str]:
        for place in self._met:
            fault = self._branches.at(place)
            self.problems += [str(fault)] if fault else []
        return self.problems


@pytest.mark.parametrize("most", [1, 3])
def test_a_branch_has_its_fault_and_no_other(most: int) -> None:
    played = Played(ONE, TWO)

    played.run(cases(ONE, TWO), most)

    assert sorted(played.found) == sorted((case, [str(case.fault)]) for case in cases(ONE, TWO))
    assert played.problems == []


def test_a_case_is_replayed_while_the_play_has_files() -> None:
    played = Played(ONE, has_files=True)

    played.run(cases(ONE))

    assert played.found == [(case, [f"{case.fault}, replayed"]) for case in cases(ONE)]


def test_a_case_whose_call_is_not_made_is_replayed() -> None:
    played = Played(ONE)

    played.run(cases(TWO))

    assert [case for case, _ in played.found] == cases(TWO)


def test_reports_a_branch_whose_process_dies() -> None:
    class Dying(Played):
        def _play(self) -> list[str]:
            if self._branches.at(ONE) is Fault.DEAD:
                os._exit(1)
            return []

    played = Dying()

    played.run(cases(ONE))

    assert [problems for _, problems in played.found] == [["its process died"], []]


def test_reports_the_error_of_a_branch() -> None:
    class Failing(Played):
        def _play(self) -> list[str]:
            if self._branches.at(ONE) is not None:
                raise LookupError("no such thing")
            return []

    played = Failing()

    played.run(cases(ONE)[:1])

    [(_, [problem])] = played.found
    assert "LookupError: no such thing" in problem


def test_finds_what_a_replay_finds(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = Sweep(service)
    left = [
        case for case in sweep.record("attempts").cases() if case.fault is Fault.CALLER_GONE
    ] + [
        case
        for case in sweep.record("attempts").cases()
        if case.place.invocation == "run_step scan #1" and case.fault is Fault.THROTTLED
    ]
    monkeypatch.setattr(play, "reconcile", lambda _: None)
    found: dict[Case, list[str]] = {}

    sweep.run(left, found.__setitem__, most=2)

    assert found == {case: sweep.replay(case) for case in left}
    assert any("the run has not ended" in problems for problems in found.values())
