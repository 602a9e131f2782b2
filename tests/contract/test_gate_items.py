"""What the table has of an approval and of its gates, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model.approval import Verdict
from tests.contract.ports import RETENTION, TABLE, aws, client, moto
from tests.contract.test_many_gates import begun, decide, gate

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject


def test_an_approval_is_kept_in_one_size_however_many_gates_wait() -> None:
    with moto():
        whole = begun(aws())
        sizes = []
        for number in range(30):
            gate(whole, number)
            sizes += [len(str(one)) for one in items("A#")]

    assert max(sizes) <= sizes[0] + 10


def test_a_token_is_kept_for_as_long_as_its_gate_waits() -> None:
    with moto():
        whole = begun(aws())
        for number in range(3):
            gate(whole, number)
        before = [one["task_token"]["S"] for one in items("G#")]
        decide(whole, "bob", Verdict.REJECTED)
        gate(whole, 3)
        after = [one for one in items("") if "token-" in str(one)]

    assert before == ["token-0", "token-1", "token-2"]
    assert after == []


def test_a_gates_item_goes_with_its_run() -> None:
    with moto():
        whole = begun(aws())
        gate(whole, 0)
        (one,) = items("G#")
        run = whole.runs.head("acme", "run-1").run

    assert one["expires_at"] == {"N": str(RETENTION.expires_at(run))}


def items(beginning: str) -> list[JsonObject]:
    found = client("dynamodb").scan(TableName=TABLE)["Items"]
    return [one for one in found if one["sk"]["S"].startswith(beginning)]
