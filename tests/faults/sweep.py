"""Every fault at every call: found by recording a scenario, and replayed one at a time."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from taskrunner.model.journal import Event
from taskrunner.model.plan import StepKind
from taskrunner.model.run import Reason
from taskrunner.model.state.fold import LONGEST_ATTEMPT
from tests.faults import called_machines, invariants, stream
from tests.faults.branches import Branches
from tests.faults.faults import AT_A_CALL, BEFORE_IT_BEGINS, Case, Fault, Place
from tests.faults.play import RUN_ID, Play
from tests.faults.reconciler import HEALED_WITHIN_S
from tests.faults.scenarios import LONG, SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.model.run import StepState
    from tests.faults.branches import Report
    from tests.faults.play import Ended
    from tests.faults.scenarios import Abandoned, Scenario
    from tests.faults.service import Service

# Functions that people call and that leave something behind when their caller goes away.
_WITH_A_RECORD = frozenset({"create_run", "decide_approval", "cancel_run", "serve_workers"})
# Functions that nobody may call at all: their caller is lost, and leaves something behind.
_CALLED_ONCE = frozenset({"serve_workers", "end_machine_call"})


@dataclass(frozen=True)
class Recording:
    """A scenario as it is played without the fault of a case.

    *given* are the faults that every play of it has, *places* the calls in which others may strike.
    *lost* are the attempts that are lost in every play.
    """

    scenario: Scenario
    given: dict[Place, Fault]
    places: list[Place]
    ended: Ended
    summary: dict[str, Any]
    lost: list[tuple[str, int]]

    def cases(self) -> Iterator[Case]:
        """Every fault at every place."""
        for place in self.places:
            for fault in faults_at(place):
                yield Case(self.scenario.name, place, fault)


def faults_at(place: Place) -> tuple[Fault, ...]:
    """The faults that can strike at a place."""
    if place.number == 0:
        return BEFORE_IT_BEGINS + (Fault.CALLER_GONE,) * (place.function in _CALLED_ONCE)
    return AT_A_CALL + (Fault.CALLER_GONE,) * (place.function in _WITH_A_RECORD)


class Sweep:
    """Records scenarios and replays cases on one service."""

    def __init__(self, running: Service) -> None:
        self._service = running
        self._recordings: dict[str, Recording] = {}

    def record(self, scenario: str) -> Recording:
        """Play a scenario once, and note every call that a function makes.

        Raises:
            AssertionError: it does not even end well without a fault.
        """
        if scenario not in self._recordings:
            self._recordings[scenario] = self._record(SCENARIOS[scenario])
        return self._recordings[scenario]

    def _record(self, scenario: Scenario) -> Recording:
        given, known = {}, set()
        if scenario.abandoned is not None:
            whole = self.record(scenario.abandoned.scenario)
            given = {_first(scenario.abandoned, whole.places): scenario.abandoned.fault}
            known = set(whole.places)
        ended = Play(scenario, self._service, given).play()
        places = [place for place in self._service.aws.places if place not in known]
        record = invariants.Record(self._service, RUN_ID)
        found = list(self._problems(record, ended))
        assert not found, f"{scenario.name}: {found}"
        lost = _lost_attempts(record)
        return Recording(scenario, given, places, ended, _summary(record), lost)

    def replay(self, case: Case) -> list[str]:
        """Play a scenario with one fault; return what is wrong then."""
        recording = self.record(case.scenario)
        faults = recording.given | {case.place: case.fault}
        try:
            ended = Play(recording.scenario, self._service, faults).play()
        except AssertionError as error:
            return [str(error)]
        return self._problems_of(case, recording, ended)

    def run(self, cases: Iterable[Case], report: Report, most: int = 1) -> None:
        """Run each of *cases* in a process of its own, *most* at the same time.

        A scenario is played once, and branches at the calls of its cases.
        """
        by_scenario: dict[str, list[Case]] = {}
        for case in cases:
            by_scenario.setdefault(case.scenario, []).append(case)
        for scenario, found in by_scenario.items():
            self.record(scenario)
            branches = Branches(found, report, self._service.has_files, most)
            branches.run(partial(self._branched, scenario, branches), self.replay)

    def _branched(self, scenario: str, branches: Branches) -> list[str]:
        """Play a scenario; return what is wrong if this is the process of a case at its end."""
        recording = self.record(scenario)
        play = Play(recording.scenario, self._service, recording.given)
        self._service.aws.branch = branches.at
        try:
            ended = play.play()
        except AssertionError as error:
            if branches.case is None:
                raise
            return [str(error)]
        case = branches.case
        return [] if case is None else self._problems_of(case, recording, ended)

    def _problems_of(self, case: Case, recording: Recording, ended: Ended) -> list[str]:
        if case.place not in self._service.aws.struck:
            return ["the fault did not strike"]
        if ended.run is None:
            return self._problems_without_a_run(case)
        record = invariants.Record(self._service, RUN_ID)
        return [
            *self._problems(record, ended),
            *_differences(recording, record, ended),
            *_needless_losses(case, recording, record),
        ]

    def _problems(self, record: invariants.Record, ended: Ended) -> Iterator[str]:
        yield from invariants.problems(self._service, record, ended.follower.lines)
        yield from invariants.problems_at_the_end(self._service, record)
        yield from called_machines.problems(self._service, record)
        yield from stream.problems(self._service, record)

    def _problems_without_a_run(self, case: Case) -> list[str]:
        """A run that was never recorded is none, if its caller has gone."""
        is_creation = case.place.function == "create_run" and case.fault is Fault.CALLER_GONE
        return [] if is_creation else ["the run was not recorded"]


def _differences(recording: Recording, record: invariants.Record, ended: Ended) -> Iterator[str]:
    """Yield each end that differs from that without the fault, and may not."""
    was, now = deepcopy(recording.summary), _summary(record)
    lost = _lost_attempts(record)
    late_s = ended.healed_s - recording.ended.healed_s
    if late_s > HEALED_WITHIN_S + _known_late_s(record):
        yield f"it took {late_s:.0f} s longer"
    for path, number in lost:
        yield from _lost(path, number, was, now)
    if any(_has_failed(now["steps"][path]) for path, _ in lost):
        return  # the run went on as after any failure of the step, which is another end
    if was["status"] != "succeeded":
        _forgive_lateness(was, now)
    yield from _changes(was, now)


def _needless_losses(case: Case, recording: Recording, record: invariants.Record) -> Iterator[str]:
    """Yield each attempt that is lost although its function went on after the fault.

    An executor function is not called again, so its answer may be lost.
    """
    if case.fault is not Fault.REPEATED or case.place.operation == "lambda.Invoke":
        return
    for path, number in _lost_attempts(record):
        if (path, number) not in recording.lost:
            yield f"attempt {number} of {path} is lost"


def _lost_attempts(record: invariants.Record) -> list[tuple[str, int]]:
    """The attempts whose function died, or whose function's answer was lost: step and number."""
    run_steps = {step.path for step in record.state.steps if step.kind is StepKind.RUN}
    return [
        (entry.step_path, int(entry.id.split("#")[1]))
        for entry in record.entries
        if entry.event is Event.STEP_FAILED
        and entry.step_path in run_steps
        and any(part in entry.message for part in ("ended before", "did not answer"))
    ]


def _known_late_s(record: invariants.Record) -> float:
    """Return for how long nobody can know of an attempt lost in a lane that a failure stopped.

    Only time shows that its function has died. `finally` waits for it.
    """
    lost = {f"{path}#{number}#ended" for path, number in _lost_attempts(record)}
    ids = [entry.id for entry in record.entries]
    stops = {*invariants.ENDS, Event.RUN_STEPS_FAILED}
    ends = (n for n, entry in enumerate(record.entries) if entry.event in stops)
    end = next(ends, len(ids))
    return LONGEST_ATTEMPT.total_seconds() if lost & set(ids[end:]) else 0


def _summary(record: invariants.Record) -> dict[str, Any]:
    """Return how a run has ended, without times."""
    return {
        "status": str(record.run.outcome),
        "steps": {
            step.path: {
                "status": str(step.status),
                "reason": str(step.reason),
                "attempts": step.attempts,
                "message": _message(step),
            }
            for step in record.state.steps
        },
        "outputs": {path: outcome.outputs for path, outcome in record.outcomes.items()},
        "approvals": {
            name: [str(one.verdict), sorted(d.approver for d in one.decisions)]
            for name, one in record.approvals.items()
        },
        "artifacts": sorted((artifact.name, str(artifact.status)) for artifact in record.artifacts),
    }


def _message(step: StepState) -> str | None:
    """Return why a step failed. The worker of a stopped step may also have been lost."""
    return None if step.reason is Reason.RUN_FAILED else step.error_message


def _first(abandoned: Abandoned, places: list[Place]) -> Place:
    return next(
        place
        for place in places
        if (place.function, place.operation) == (abandoned.function, abandoned.operation)
    )


def _has_failed(step: dict[str, Any]) -> bool:
    return (step["status"], step["reason"]) == ("Failed", "executor-error")


def _lost(path: str, number: int, was: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Take one lost attempt of a step out of how its run has ended; it failed, or has one more.

    An attempt that fails without the fault too was made again anyway.
    """
    step = now["steps"][path]
    if not _has_failed(step):
        attempts = was["steps"][path]["attempts"]
        more = attempts if number < attempts else attempts + 1
        if step["attempts"] != more:
            yield f"{path} lost an attempt and has {step['attempts']}, not {more}"
        step["attempts"] = attempts
        # builtin:fail says by which attempt it succeeded.
        now["outputs"][path] = was["outputs"].get(path)


def _forgive_lateness(was: dict[str, Any], now: dict[str, Any]) -> None:
    """Take what was cut off by the end of the run as if it had come to the same both times.

    A fault may delay a step until the run has ended, or delay what ends the run until a step has
    been reached.
    """
    for path in was["steps"].keys() | now["steps"].keys():
        states = (steps.get(path) for steps in (was["steps"], now["steps"]))
        if any(state and state["reason"] in {"run-failed", "cancelled"} for state in states):
            now["steps"][path] = was["steps"].get(path)
            now["outputs"][path] = was["outputs"].get(path)


def _changes(was: Any, now: Any, name: str = "run") -> Iterator[str]:  # noqa: ANN401 - any JSON
    if isinstance(was, dict) and isinstance(now, dict):
        for key in was.keys() | now.keys():
            yield from _changes(was.get(key), now.get(key), f"{name}.{key}")
    elif was != now:
        yield f"{name} is {now}, not {was}"


def sample(cases: list[Case]) -> list[Case]:
    """One case of each call of each function; which of its faults, and where, takes turns.

    A scenario that takes long is played only for the calls that no other has.
    """
    alike: dict[tuple[str, int], list[Case]] = {}
    for case in cases:
        alike.setdefault((case.place.function, case.place.number), []).append(case)
    chosen: list[Case] = []
    taken = Counter[Fault]()
    for number, found in enumerate(alike.values()):
        short = [case for case in found if case.scenario not in LONG] or found
        fault = min((case.fault for case in short), key=lambda fault: taken[fault])
        with_fault = [case for case in short if case.fault is fault]
        chosen.append(with_fault[number % len(with_fault)])
        taken[fault] += 1
    return chosen
