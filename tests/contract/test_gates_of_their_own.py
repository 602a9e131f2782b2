"""Gates with the scope `gate`, in any order of openings, decisions, repetitions and expiries.

No decision for one gate lets another go on, over the fakes and over the table.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.errors import ConflictError, TaskRunnerError
from taskrunner.model.approval import CLOCK, Verdict
from taskrunner.model.caller import Caller
from taskrunner.model.entries.gate_entries import DecisionRecorded
from taskrunner.model.entries.reading import read
from taskrunner.model.run import StepReference
from taskrunner.model.run_filters import RunFilters
from taskrunner.usecases.decide_approval import decide_approval
from taskrunner.usecases.expire_gate import expire_gate
from taskrunner.usecases.reconcile import reconcile
from tests.contract.gates import RUN_ID, TENANT, GateWorld, gate_world
from tests.fakes.runs import MemoryRuns
from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.ports import Ports

_GATES: Final = 3
EACH_BY_ITSELF: Final = pack(
    """
    - id: each
      continueOnError: true
      map:
        items: {static: [a, b, c]}
        steps:
          - {id: review, continueOnError: true, gate: {approval: {id: security}}}
          - {id: ship, run: {uses: builtin:noop}}
    """,
    spec="approvals: [{id: security, scope: gate, minApprovals: 2, expiresAfterSeconds: 3600}]",
)
_ONE_APPROVER: Final = EACH_BY_ITSELF.replace("minApprovals: 2", "minApprovals: 1")
_PEOPLE: Final = ("bob", "carol")


class Open(NamedTuple):
    """The machine opens a gate, perhaps again with a new token."""

    gate: int


class Decide(NamedTuple):
    """A person decides the gate; None: the only one that waits."""

    gate: int | None
    approver: str
    verdict: Verdict


class TimeOut(NamedTuple):
    """The machine says that a gate has waited for as long as it may."""

    gate: int


class Reconcile(NamedTuple):
    """A pass of the reconciler, after all due work has become due."""


Action: TypeAlias = Open | Decide | TimeOut | Reconcile

_gates = st.integers(0, _GATES - 1)
_decisions = st.builds(
    Decide,
    st.one_of(_gates, st.none()),
    st.sampled_from(_PEOPLE),
    st.sampled_from([Verdict.APPROVED, Verdict.APPROVED, Verdict.APPROVED, Verdict.REJECTED]),
)
_ACTIONS = st.lists(
    st.one_of(
        st.builds(Open, _gates),
        st.builds(Open, _gates),
        _decisions,
        _decisions,
        _decisions,
        st.builds(TimeOut, _gates),
        st.builds(Reconcile),
    ),
    min_size=10,
    max_size=30,
)


class _Play:
    """Plays actions, and notes for which gate each accepted decision was meant."""

    def __init__(self, world: Ports, manifest: str = EACH_BY_ITSELF) -> None:
        self.ports = world
        self.world: GateWorld = gate_world(world, manifest)
        self.needed = 2 if manifest is EACH_BY_ITSELF else 1
        self.tokens: dict[str, int] = {}
        self.meant: dict[int, set[tuple[str, Verdict]]] = defaultdict(set)
        self.unnamed: dict[tuple[str, Verdict], int] = {}

    def play(self, action: Action) -> None:
        match action:
            case Open(gate):
                self._open(gate)
            case Decide():
                self._decide(action)
            case TimeOut(gate) if gate in self.waiting():
                self.attempt(lambda: expire_gate(_reference(gate), self.world))
            case Reconcile():
                self.ports.clock.advance(timedelta(minutes=2).total_seconds())
                reconcile(self.world)
            case _:
                pass  # only a gate that waits can expire

    def _open(self, gate: int) -> None:
        token = f"{gate}-{len(self.tokens)}"
        self.tokens[token] = gate
        self.attempt(lambda: self.world.open("review", token, f"each[{gate}]::"))

    def _decide(self, action: Decide) -> None:
        gate, waiting = action.gate, self.waiting()
        if gate is None:
            gate = self._only_one(action.approver, action.verdict, waiting)
        named = None if action.gate is None else [f"each[{action.gate}]::review"]
        is_accepted = self.attempt(
            lambda: decide(self.world, action.approver, action.verdict, named)
        )
        if is_accepted and waiting:  # else it was a repetition
            assert gate is not None, f"{action} was accepted, and could be about several gates"
            self.meant[gate].add((action.approver, action.verdict))
            if action.gate is None:
                self.unnamed[action.approver, action.verdict] = gate

    def _only_one(self, approver: str, verdict: Verdict, waiting: list[int]) -> int | None:
        """Return the gate that a decision without a name can only be about."""
        before = self.unnamed.get((approver, verdict))
        if before is None:
            return waiting[0] if len(waiting) == 1 else None
        return before if waiting == [before] else None

    def waiting(self) -> list[int]:
        run = self.world.runs.snapshot(TENANT, RUN_ID).run
        paths = (gate.step_path for gate in self.world.approvals.waiting(run, "security"))
        return [int(path[len("each[")]) for path in paths]

    @staticmethod
    def attempt(act: Callable[[], object]) -> bool:
        try:
            act()
        except TaskRunnerError:
            return False
        return True

    def check(self) -> None:
        """Assert that each gate has what was decided for it, and nothing else."""
        for token, verdict in self.ports.woken.items():
            gate = self.tokens[token]
            approvers = {who for who, what in self.meant[gate] if what is Verdict.APPROVED}
            if verdict is Verdict.APPROVED:
                assert len(approvers) >= self.needed, f"gate {gate} goes on by {self.meant}"
            if verdict is Verdict.REJECTED:
                assert any(what is Verdict.REJECTED for _, what in self.meant[gate])
        for placed in self.world.runs.journal(TENANT, RUN_ID):
            fact = read(placed.entry)
            if isinstance(fact, DecisionRecorded) and fact.approver != CLOCK:
                gate = int(str(placed.entry.step_path)[len("each[")])
                assert (fact.approver, fact.verdict) in self.meant[gate], placed.entry.id


def _reference(gate: int) -> StepReference:
    return StepReference(TENANT, RUN_ID, "review", f"each[{gate}]::")


def decide(
    world: GateWorld, approver: str, verdict: Verdict, step_ids: list[str] | None
) -> dict[str, object]:
    return decide_approval(
        TENANT,
        RUN_ID,
        "security",
        verdict,
        plan_hash=world.runs.snapshot(TENANT, RUN_ID).run.plan_hash,
        caller=Caller(subject=approver, scopes=frozenset({"operator"}), tenants=(TENANT,)),
        actor=None,
        summary=None,
        step_ids=step_ids,
        world=world,
    )


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of the world, on a failure
def test_no_decision_lets_another_gate_go_on(world: Ports) -> None:
    """The rules are those of the use cases, so most examples are played where they cost little."""

    @given(manifest=st.sampled_from([_ONE_APPROVER, EACH_BY_ITSELF]), actions=_ACTIONS)
    @settings(max_examples=60 if isinstance(world.runs, MemoryRuns) else 10)
    def play(manifest: str, actions: list[Action]) -> None:
        played = _Play(world, manifest)
        for action in actions:
            played.play(action)
            played.check()

    play()


def test_each_gate_has_its_own_verdict_and_its_own_expiry(world: Ports) -> None:
    played = _Play(world)
    for gate in range(_GATES):
        played.play(Open(gate))
    for action in (
        Decide(0, "bob", Verdict.APPROVED),
        Decide(0, "carol", Verdict.APPROVED),
        Decide(1, "bob", Verdict.REJECTED),
        TimeOut(2),
    ):
        played.play(action)
        played.check()

    assert {played.tokens[token]: verdict for token, verdict in world.woken.items()} == {
        0: Verdict.APPROVED,
        1: Verdict.REJECTED,
    }
    assert played.waiting() == []
    assert sorted(entry for entry in played.world.entry_ids() if entry.endswith("decided")) == [
        f"each[{gate}]::review#decided" for gate in range(_GATES)
    ]


def test_lists_each_gate_with_its_own_approvers_until_it_is_decided(world: Ports) -> None:
    played = _Play(world)
    for action in (Open(0), Open(1), Decide(1, "bob", Verdict.APPROVED)):
        played.play(action)

    def listed() -> dict[str, list[str]]:
        page = world.approvals.list_open(TENANT, 10, None)
        return {
            item["stepId"]: [decision.approver for decision in record.decisions]
            for item, record in zip(page.items, page.records, strict=True)
        }

    assert listed() == {"each[0]::review": [], "each[1]::review": ["bob"]}
    played.play(Decide(1, "carol", Verdict.APPROVED))
    assert listed() == {"each[0]::review": []}
    played.play(TimeOut(0))
    assert listed() == {}


def test_a_decision_without_a_name_must_have_one_meaning(world: Ports) -> None:
    played = _Play(world)
    played.play(Open(0))
    assert decide(played.world, "bob", Verdict.APPROVED, None)["resumed"] is False
    assert decide(played.world, "carol", Verdict.APPROVED, None)["resumed"] is True
    assert decide(played.world, "carol", Verdict.APPROVED, None)["resumed"] is True
    played.play(Open(1))

    with pytest.raises(ConflictError) as repeated:
        decide(played.world, "carol", Verdict.APPROVED, None)
    assert repeated.value.code == "approval_ambiguous"
    assert repeated.value.details == {"stepIds": ["each[1]::review"]}
    # Dave cannot repeat a decision, because he made none.
    assert decide(played.world, "dave", Verdict.APPROVED, None)["resumed"] is False

    played.play(Open(2))
    with pytest.raises(ConflictError) as several:
        decide(played.world, "erin", Verdict.APPROVED, None)
    assert several.value.details == {"stepIds": ["each[1]::review", "each[2]::review"]}


def test_lists_a_run_once_however_many_of_its_gates_wait(world: Ports) -> None:
    played = _Play(world)
    for gate in range(_GATES):
        played.play(Open(gate))
    filters = RunFilters(approval="security")

    pages = [world.runs.list(TENANT, 1, None, filters)]
    while pages[-1].cursor is not None:
        pages.append(world.runs.list(TENANT, 1, pages[-1].cursor, filters))

    assert [run["runId"] for page in pages for run in page.items] == [RUN_ID]
