"""The template's table has the keys and indexes that adapters and reconciler use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.adapters import table_layout
from taskrunner.adapters.table_requests import decoded
from taskrunner.model.approval import ApprovalRecord, GateOpening
from tests.contract.ports import TABLE, aws, client, moto
from tests.contract.samples import CREATED, a_run, an_entry
from tests.template import template

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN_TABLE = template()["Resources"]["RunTable"]["Properties"]
INDEXES = {
    table_layout.RUNS_BY_TENANT,
    table_layout.OPEN_APPROVALS,
    table_layout.UNFINISHED_RUNS,
    table_layout.DUE_WORK,
    table_layout.RUN_LISTS,
}
OPENED_AT = "2025-12-06T12:00:00.000Z"


def test_the_template_has_exactly_the_indexes_of_the_adapters() -> None:
    deployed = {index["IndexName"] for index in RUN_TABLE["GlobalSecondaryIndexes"]}

    assert deployed == INDEXES


def test_the_template_has_the_keys_of_the_adapters() -> None:
    keys = [(key["AttributeName"], key["KeyType"]) for key in RUN_TABLE["KeySchema"]]

    assert keys == [("pk", "HASH"), ("sk", "RANGE")]


@pytest.fixture(name="dynamodb", scope="module")
def _dynamodb() -> Iterator[Any]:
    """A table, as deployed, with a run whose approval waits."""
    with moto():
        world = aws()
        run = a_run()
        world.runs.create(run, [CREATED])
        world.approvals.open(
            world.runs.snapshot(run.tenant, run.run_id),
            ApprovalRecord(approval_id="security"),
            GateOpening(step_path="review", opened_at=OPENED_AT, expires_at=OPENED_AT),
            "token-1",
            [an_entry("review#awaiting")],
            gate=None,
            summary={},
        )
        yield client("dynamodb")


@pytest.mark.parametrize(
    ("index", "sks"),
    [
        (table_layout.RUNS_BY_TENANT, {"R"}),
        (table_layout.OPEN_APPROVALS, {"A#security"}),
        (table_layout.UNFINISHED_RUNS, {"R"}),
        (table_layout.RUN_LISTS, {"A#security", "I#pack", "I#requester", "I#version", "R"}),
    ],
)
def test_the_adapters_write_what_an_index_needs(
    dynamodb: Any,  # noqa: ANN401
    index: str,
    sks: set[str],
) -> None:
    items = dynamodb.scan(TableName=TABLE, IndexName=index)["Items"]

    assert {decoded(item)["sk"] for item in items} == sks


def test_the_index_of_due_work_has_a_run_and_its_gate_and_what_the_reconciler_reads(
    dynamodb: Any,  # noqa: ANN401
) -> None:
    items = dynamodb.scan(TableName=TABLE, IndexName=table_layout.DUE_WORK)["Items"]

    assert sorted(decoded(item)["sk"] for item in items) == ["G#review", "R"]
    assert {frozenset(item) for item in items} == {frozenset({"pk", "sk", *table_layout.DUE})}


def test_every_item_of_a_run_expires(dynamodb: Any) -> None:  # noqa: ANN401
    attribute = RUN_TABLE["TimeToLiveSpecification"]["AttributeName"]
    items = dynamodb.scan(TableName=TABLE)["Items"]

    assert {item["sk"]["S"][0] for item in items} == {"A", "G", "I", "J", "R"}
    assert [item["sk"] for item in items if attribute not in item] == []
