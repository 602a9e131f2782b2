"""One approval for very many gates: what is kept and sent grows with the gates, and no faster."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import ApprovalRejectedError, TryAgainError
from taskrunner.model.approval import Verdict
from taskrunner.model.caller import Caller
from taskrunner.model.run import StepReference
from taskrunner.usecases.create_run import CreateRun, create_run
from taskrunner.usecases.decide_approval import decide_approval
from taskrunner.usecases.expire_gate import expire_gate
from taskrunner.usecases.open_gate import open_gate
from tests.contract.test_gates import Whole, whole_world
from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.model.json_types import JsonObject
    from tests.contract.ports import Ports

LOOP = pack(
    """
    - id: each
      loop:
        items: {range: {end: 400}}
        body:
          - {id: review, gate: {approval: {id: security}}}
    """,
    spec="approvals: [{id: security, minApprovals: 2}]",
)
# The longest words that the API takes of whoever decides.
LONG = "\N{SNOWMAN}" * 2000


def begun(world: Ports) -> Whole:
    """*world* with the run run-1 of the loop, and nothing else."""
    whole = whole_world(world)
    world.woken.clear()
    world.sent.clear()
    request = CreateRun(tenant="acme", caller="ana", manifest=LOOP, inputs={})
    assert create_run(request, whole)["runId"] == "run-1"
    return whole


@pytest.fixture(name="whole")
def _whole(world: Ports) -> Whole:
    return begun(world)


def gate(whole: Whole, number: int, token: str = "") -> JsonObject:
    reference = StepReference("acme", "run-1", "review", f"each[{number}]::")
    return open_gate(reference, token or f"token-{number}", whole)


def decide(whole: Whole, by: str, verdict: Verdict = Verdict.APPROVED) -> JsonObject:
    return decide_approval(
        "acme",
        "run-1",
        "security",
        verdict,
        plan_hash=whole.runs.head("acme", "run-1").run.plan_hash,
        caller=Caller(subject=by, scopes=frozenset({"operator"}), tenants=("acme",)),
        actor=LONG,
        summary=LONG,
        world=whole,
    )


def entries(whole: Whole, end: str) -> list[str]:
    journal = whole.runs.journal("acme", "run-1")
    return sorted(one.entry.id for one in journal if one.entry.id.endswith(end))


def test_one_decision_reaches_every_gate_that_waits(whole: Whole) -> None:
    gates = 150
    for number in range(gates):
        gate(whole, number)

    answers = [decide(whole, "bob"), decide(whole, "carol")]

    assert [one["resumed"] for one in answers] == [False, True]
    assert whole.world.woken == {f"token-{n}": Verdict.APPROVED for n in range(gates)}
    assert len(whole.world.sent) == gates
    for end in ("#awaiting", "#approval#bob", "#decided"):
        assert entries(whole, end) == sorted(f"each[{n}]::review{end}" for n in range(gates))


def test_a_gate_that_opens_on_a_decided_approval_wakes_itself_alone(whole: Whole) -> None:
    gate(whole, 0)
    decide(whole, "bob", Verdict.REJECTED)

    for number in range(1, 150):
        gate(whole, number)

    assert whole.world.sent == [f"token-{number}" for number in range(150)]
    assert len(entries(whole, "#decided")) == 150


def test_deciding_again_sends_nothing_that_was_sent(whole: Whole) -> None:
    for number in range(20):
        gate(whole, number)
    first = decide(whole, "bob", Verdict.REJECTED)

    assert decide(whole, "bob", Verdict.REJECTED) == first

    assert len(whole.world.sent) == 20


@contextmanager
def interrupted(whole: Whole, name: str, call: int) -> Iterator[None]:
    """The approvals, where that call of the method *name* breaks down, and no other."""
    real, numbers = getattr(whole.approvals, name), count(1)

    def broken(*args: Any) -> Any:  # noqa: ANN401 - whatever the call is
        if next(numbers) == call:
            raise TryAgainError("AWS has no room")
        return real(*args)

    setattr(whole.approvals, name, broken)
    try:
        yield
    finally:
        setattr(whole.approvals, name, real)


@pytest.mark.parametrize("verdict", [Verdict.APPROVED, Verdict.REJECTED])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_what_was_cut_off_is_done_by_the_next_call(
    whole: Whole, call: int, verdict: Verdict
) -> None:
    """Between the decision and the last gate's journal, nobody has been woken."""
    gates = 30
    for number in range(gates):
        gate(whole, number)
    decide(whole, "bob")
    with interrupted(whole, "record_decisions", call), pytest.raises(TryAgainError):
        decide(whole, "carol", verdict)
    assert whole.world.sent == []
    assert 0 < len(entries(whole, "#decided")) < gates

    # A gate whose call is repeated, the caller's retry, and the clock: each does what is missing.
    assert gate(whole, 29, "newer") == {"status": verdict.value}
    decide(whole, "carol", verdict)

    assert whole.world.woken == {
        **{f"token-{number}": verdict for number in range(gates - 1)},
        "newer": verdict,
    }
    assert entries(whole, "#decided") == sorted(f"each[{n}]::review#decided" for n in range(gates))


def test_waking_goes_on_behind_what_was_sent(whole: Whole) -> None:
    gates = 40
    for number in range(gates):
        gate(whole, number)
    with interrupted(whole, "wake", 20), pytest.raises(TryAgainError):
        decide(whole, "bob", Verdict.REJECTED)
    before = len(whole.world.sent)

    # The clock of one gate does for the others what the decider did not come to.
    with pytest.raises(ApprovalRejectedError):
        expire_gate(StepReference("acme", "run-1", "review", "each[39]::"), whole)

    assert 0 < before < gates
    assert whole.world.woken.keys() == {f"token-{number}" for number in range(gates)}
    assert len(whole.world.sent) == gates
