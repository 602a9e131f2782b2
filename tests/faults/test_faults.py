"""A fault at each call that a function makes of AWS: the run ends as it does without it.

These tests take one of the faults for each call of each function. `make faults` takes all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults import play
from tests.faults.faults import Case, Fault, Place
from tests.faults.scenarios import SCENARIOS
from tests.faults.sweep import Sweep, faults_at, sample
from tests.template import folder, functions

if TYPE_CHECKING:
    from tests.faults.service import Service


@pytest.fixture(name="sweep", scope="module")
def _sweep(service: Service) -> Sweep:
    return Sweep(service)


@pytest.fixture(name="cases", scope="module")
def _cases(sweep: Sweep) -> list[Case]:
    recordings = [sweep.record(name) for name in SCENARIOS]
    every = [case for recording in recordings for case in recording.cases()]
    chosen = sample(every)
    print(f"{len(chosen)} of {len(every)} cases")  # noqa: T201 - a test's output says what it took
    return chosen


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_run_ends_the_same_with_a_fault(sweep: Sweep, cases: list[Case], scenario: str) -> None:
    found: dict[str, list[str]] = {}
    chosen = [case for case in cases if case.scenario == scenario]

    sweep.run(chosen, lambda case, problems: found.update({str(case): problems}))

    assert found == {str(case): [] for case in chosen}


def test_takes_a_case_of_every_call_of_every_function(sweep: Sweep, cases: list[Case]) -> None:
    places = [place for name in SCENARIOS for place in sweep.record(name).places]
    calls = {(place.function, place.number) for place in places if faults_at(place)}

    taken = {(case.place.function, case.place.number) for case in cases}

    assert taken == calls
    assert {case.fault for case in cases} == set(Fault)


def test_breaks_every_function(cases: list[Case]) -> None:
    broken = {case.place.function for case in cases}

    # It serves deployments, and makes no call.
    assert broken == {folder(name) for name in functions()} - {"digest_settings"}


def test_records_the_same_calls_each_time(sweep: Sweep, service: Service) -> None:
    recording = sweep.record("approvals")

    play.Play(recording.scenario, service, recording.given).play()

    assert service.aws.places == recording.places


# In both, the engine stops the lane of the attempt, so nobody tries the step again.
@pytest.mark.parametrize("scenario", ["failed beside a gate", "contained beside a gate"])
def test_records_an_attempt_that_dies_in_a_lane_that_a_failure_has_stopped(
    sweep: Sweep, scenario: str
) -> None:
    start = next(
        place
        for place in sweep.record(scenario).places
        if place.invocation == "run_step chain[0]::link #1"
        and place.operation in {"dynamodb.UpdateItem", "dynamodb.TransactWriteItems"}
    )

    assert sweep.replay(Case(scenario, start, Fault.DIES_AFTER)) == []


# The first starts with an update of a new chunk, and the second in a transaction.
@pytest.mark.parametrize(
    ("step", "start"), [("fourth", "dynamodb.UpdateItem"), ("left", "dynamodb.TransactWriteItems")]
)
def test_a_run_ends_the_same_with_each_fault_of_a_step_that_is_begun_from_memory(
    sweep: Sweep, step: str, start: str
) -> None:
    places = [
        place
        for place in sweep.record("warm chain").places
        if place.invocation == f"run_step {step} #1"
    ]
    assert [place.operation for place in places] == ["", start, "dynamodb.TransactWriteItems"]
    found: dict[str, list[str]] = {}
    cases = [Case("warm chain", place, fault) for place in places for fault in faults_at(place)]

    sweep.run(cases, lambda case, problems: found.update({str(case): problems}))

    assert found == {str(case): [] for case in cases}


def test_finds_a_run_that_nobody_heals(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    place = next(
        place
        for place in sweep.record("attempts").places
        if place.function == "create_run" and place.operation == "dynamodb.TransactWriteItems"
    )
    monkeypatch.setattr(play, "reconcile", lambda _: None)

    found = sweep.replay(Case("attempts", place, Fault.CALLER_GONE))

    assert "the run has not ended" in found


def test_finds_a_job_that_nobody_takes_from_a_lost_worker(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = next(
        place
        for place in sweep.record("worker succeeds").places
        if place.invocation == "serve_workers POST heartbeat by workers #1" and place.number == 0
    )
    lost = Case("worker succeeds", place, Fault.CALLER_GONE)
    assert sweep.replay(lost) == []
    monkeypatch.setattr(play, "reconcile", lambda _: None)

    found = sweep.replay(lost)

    assert {"the run has not ended", "the job T#tests still has its task_token"} <= set(found)


def test_finds_a_fault_that_does_not_strike(sweep: Sweep) -> None:
    nowhere = Place("run_step nowhere #1", 1, "dynamodb.Query")

    found = sweep.replay(Case("attempts", nowhere, Fault.DIES_BEFORE))

    assert found == ["the fault did not strike"]
