"""Gates opened and decided by the use cases over both worlds, up to hundreds for one approval.

The storage and the calls that a decision needs grow with the number of gates, and no faster.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import ConflictError, TryAgainError
from taskrunner.model.approval import Verdict
from taskrunner.model.run import StepReference
from taskrunner.usecases.expire_gate import expire_gate
from tests.contract.gates import LOOP_OF_GATES, TWO_GATES, GateWorld, gate_world
from tests.contract.ports import RETENTION, TABLE, client
from tests.contract.samples import an_entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from taskrunner.model.json_types import JsonObject
    from tests.contract.ports import Ports


class TestTwoGates:
    @pytest.fixture(name="gates")
    def _gates(self, world: Ports) -> GateWorld:
        return gate_world(world, TWO_GATES)

    def test_records_openings_and_decisions_once_in_a_growing_journal(
        self, gates: GateWorld
    ) -> None:
        gates.open("review", "token-1")
        _fill_a_chunk(gates, "a")
        gates.open("review", "token-2")
        _fill_a_chunk(gates, "b")
        first = [gates.decide("bob") for _ in range(2)]
        _fill_a_chunk(gates, "c")
        second = [gates.decide("carol") for _ in range(2)]
        _fill_a_chunk(gates, "d")
        gates.open("again", "token-3")
        _fill_a_chunk(gates, "e")
        gates.open("again", "token-4")

        assert first == [{"status": "approved", "resumed": False}] * 2
        assert second == [{"status": "approved", "resumed": True}] * 2
        assert [entry_id for entry_id in gates.entry_ids() if "." not in entry_id] == [
            "review#awaiting",
            "review#approval#bob",
            "review#decided",
            "again#awaiting",
            "again#decided",
        ]
        assert set(gates.world.woken) == {"token-2", "token-3", "token-4"}
        notified = [json.loads(sent.body)["stepId"] for sent in gates.world.topic.received()]
        assert notified == ["review"]

    def test_one_of_several_simultaneous_decisions_wins(self, gates: GateWorld) -> None:
        gates.open("review", "token-1")
        gates.decide("bob")

        with ThreadPoolExecutor(4) as pool:
            futures: list[Future[JsonObject]] = [
                pool.submit(gates.decide, approver, verdict)
                for approver, verdict in [
                    ("carol", Verdict.APPROVED),
                    ("dave", Verdict.REJECTED),
                    ("erin", Verdict.APPROVED),
                    ("frank", Verdict.REJECTED),
                ]
            ]

        errors = [future.exception() for future in futures]
        [result] = [future.result() for future in futures if future.exception() is None]
        codes = [error.code for error in errors if isinstance(error, ConflictError)]
        assert codes == ["approval_already_decided"] * 3
        assert gates.world.woken == {"token-1": Verdict(result["status"])}
        assert gates.entry_ids().count("review#decided") == 1


# More than a read of 100 keys takes, and enough for three writes of 60 gates.
MANY = 125


def _fill_a_chunk(gates: GateWorld, name: str) -> None:
    """Append more entries than a chunk of the journal holds."""
    for number in range(9):
        gates.runs.append(gates.runs.snapshot("acme", "run-1"), [an_entry(f"{name}.{number}")])


class TestGatesInALoop:
    @pytest.fixture(name="gates")
    def _gates(self, world: Ports) -> GateWorld:
        return gate_world(world, LOOP_OF_GATES)

    def test_one_decision_wakes_every_waiting_gate(self, gates: GateWorld) -> None:
        number_of_gates = MANY
        for number in range(number_of_gates):
            gates.open_in_loop(number)

        results = [gates.decide("bob"), gates.decide("carol")]

        assert [result["resumed"] for result in results] == [False, True]
        tokens = {f"token-{n}": Verdict.APPROVED for n in range(number_of_gates)}
        assert gates.world.woken == tokens
        assert len(gates.world.sent) == number_of_gates
        for suffix in ("#awaiting", "#approval#bob", "#decided"):
            expected = sorted(f"each[{n}]::review{suffix}" for n in range(number_of_gates))
            assert gates.entry_ids_ending(suffix) == expected

    def test_a_gate_that_opens_after_the_decision_wakes_itself_alone(
        self, gates: GateWorld
    ) -> None:
        gates.open_in_loop(0)
        for approver in ("bob", "carol"):
            gates.decide(approver)

        for number in range(1, MANY):
            gates.open_in_loop(number)

        assert gates.world.sent == [f"token-{number}" for number in range(MANY)]
        assert len(gates.entry_ids_ending("#decided")) == MANY

    def test_a_rejection_fails_the_run_and_every_gate_of_it(self, gates: GateWorld) -> None:
        for number in range(MANY):
            gates.open_in_loop(number)

        gates.decide("bob", Verdict.REJECTED)

        assert sorted(gates.world.sent) == sorted(f"token-{number}" for number in range(MANY))
        assert gates.entry_ids()[-1] == "run.ended"
        with pytest.raises(ConflictError) as caught:
            gates.open_in_loop(MANY)
        assert caught.value.code == "run_ended"

    def test_a_repeated_decision_wakes_nothing_again(self, gates: GateWorld) -> None:
        for number in range(20):
            gates.open_in_loop(number)
        first = gates.decide("bob", Verdict.REJECTED)

        assert gates.decide("bob", Verdict.REJECTED) == first

        assert len(gates.world.sent) == 20

    @pytest.mark.parametrize("call", [1, 2, 3])
    def test_the_next_call_completes_an_interrupted_decision(
        self, gates: GateWorld, call: int
    ) -> None:
        """Nothing is woken before the last gate has its journal entry."""
        number_of_gates = 60
        for number in range(number_of_gates):
            gates.open_in_loop(number)
        gates.decide("bob")
        with _failing(gates, "record_decisions", call), pytest.raises(TryAgainError):
            gates.decide("carol")
        assert gates.world.sent == []
        assert 0 < len(gates.entry_ids_ending("#decided")) < number_of_gates

        # A repeated opening does what is missing for its gate, and a repeated decision the rest.
        assert gates.open_in_loop(number_of_gates - 1, "newer") == {"status": "approved"}
        gates.decide("carol")

        assert gates.world.woken == {
            **{f"token-{number}": Verdict.APPROVED for number in range(number_of_gates - 1)},
            "newer": Verdict.APPROVED,
        }
        assert gates.entry_ids_ending("#decided") == sorted(
            f"each[{n}]::review#decided" for n in range(number_of_gates)
        )

    def test_the_next_call_wakes_the_remaining_gates(self, gates: GateWorld) -> None:
        number_of_gates = 40
        for number in range(number_of_gates):
            gates.open_in_loop(number)
        gates.decide("bob")
        with _failing(gates, "wake", 20), pytest.raises(TryAgainError):
            gates.decide("carol")
        sent = len(gates.world.sent)

        # The timeout of one gate also wakes the others.
        expire_gate(StepReference("acme", "run-1", "review", "each[39]::"), gates)

        assert 0 < sent < number_of_gates
        assert gates.world.woken.keys() == {f"token-{number}" for number in range(number_of_gates)}
        assert len(gates.world.sent) == number_of_gates


@contextmanager
def _failing(gates: GateWorld, name: str, call: int) -> Iterator[None]:
    """Let one call of a method of the approvals fail, counted from 1."""
    real, numbers = getattr(gates.approvals, name), count(1)

    def fail_once(*args: Any) -> Any:  # noqa: ANN401 - any method
        if next(numbers) == call:
            raise TryAgainError("AWS is too busy")
        return real(*args)

    setattr(gates.approvals, name, fail_once)
    try:
        yield
    finally:
        setattr(gates.approvals, name, real)


@pytest.mark.parametrize("world", ["aws"], indirect=True)
class TestItemsInTheTable:
    @pytest.fixture(name="gates")
    def _gates(self, world: Ports) -> GateWorld:
        return gate_world(world, LOOP_OF_GATES)

    def test_an_approvals_item_does_not_grow_with_its_gates(self, gates: GateWorld) -> None:
        sizes = []
        for number in range(30):
            gates.open_in_loop(number)
            sizes += [len(str(item)) for item in _items("A#")]

        assert max(sizes) <= sizes[0] + 10

    def test_a_token_is_stored_only_while_its_gate_waits(self, gates: GateWorld) -> None:
        for number in range(3):
            gates.open_in_loop(number)
        before = [item["task_token"]["S"] for item in _items("G#")]
        for approver in ("bob", "carol"):
            gates.decide(approver)
        gates.open_in_loop(3)

        assert before == ["token-0", "token-1", "token-2"]
        assert [item for item in _items("") if "token-" in str(item)] == []

    def test_a_gates_item_expires_with_its_run(self, gates: GateWorld) -> None:
        gates.open_in_loop(0)

        (item,) = _items("G#")
        run = gates.runs.snapshot("acme", "run-1").run
        assert item["expires_at"] == {"N": str(RETENTION.expires_at(run))}


def _items(sk_prefix: str) -> list[JsonObject]:
    items = client("dynamodb").scan(TableName=TABLE)["Items"]
    return [item for item in items if item["sk"]["S"].startswith(sk_prefix)]
