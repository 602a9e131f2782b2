"""Filters of lists in the query: accepted, or refused with the nearest name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.unit.adapters.api_calls import PLAIN, send

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.unit.adapters.api_calls import Answer


def answered(world: MemoryWorld, query: Mapping[str, str]) -> Answer:
    return send("read_run/list", world=world, queryStringParameters=dict(query))


@pytest.fixture(name="world", scope="module")
def _world() -> MemoryWorld:
    """A world with one run, which was created at noon."""
    world = MemoryWorld()
    assert send("create_run", {"manifest": PLAIN, "runId": "run-7"}, world=world).status == 201
    return world


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"status": "queued"}, 1),
        ({"status": "failed"}, 0),
        ({"createdAfter": "2025-12-06T12:00:00Z"}, 1),
        ({"createdAfter": "2025-12-06T13:00:00+01:00"}, 1),
        ({"createdAfter": "2025-12-06t12:00:00.001z"}, 0),
        ({"createdBefore": "2025-12-06T12:00:00Z"}, 0),
        ({"createdBefore": "2025-12-06T12:00:00.001Z", "status": "queued"}, 1),
        ({"createdBefore": "9999-12-31T23:59:59Z"}, 1),
        ({"pack": "none"}, 0),
        ({"requestedBy": "ana", "approval": "security"}, 0),
    ],
)
def test_lists_what_the_filters_admit(
    world: MemoryWorld, query: Mapping[str, str], count: int
) -> None:
    answer = answered(world, query)

    assert answer.status == 200
    assert [run["runId"] for run in answer.json["runs"]] == ["run-7"] * count


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"status": "faild"}, "status is unknown: 'faild'; did you mean 'failed'?"),
        ({"status": ""}, "status is unknown: ''; available: cancelled, failed"),
        ({"status": "x" * 5000}, "status is unknown: 'xxx"),
        ({"stauts": "failed"}, "unknown query parameter 'stauts'; did you mean 'status'?"),
        ({"createdafter": "2025"}, "did you mean 'createdAfter'?"),
        ({"pack": ""}, "pack is empty; give it a value, or omit it"),
        ({"version": "1.0.0"}, "version is one of a pack; send pack as well"),
        ({"createdAfter": "yesterday"}, "createdAfter is not a time with its zone"),
        ({"createdAfter": "2025-12-06"}, "createdAfter is not a time with its zone"),
        ({"createdAfter": "2025-12-06T12:00:00"}, "createdAfter is not a time with its zone"),
        ({"createdAfter": "2025-13-06T12:00:00Z"}, "createdAfter is not a time with its zone"),
        ({"createdAfter": "2025-12-06T12:00:00Z\n"}, "createdAfter is not a time with its zone"),
        ({"createdBefore": "9999-12-31T23:59:59-14:00"}, "createdBefore is not a time"),
        (
            {"createdAfter": "2025-12-07T00:00:00Z", "createdBefore": "2025-12-07T00:00:00Z"},
            "createdAfter must be earlier than createdBefore",
        ),
    ],
)
def test_refuses_a_malformed_filter(
    world: MemoryWorld, query: Mapping[str, str], message: str
) -> None:
    answer = answered(world, query)

    assert answer.error == (400, "invalid_request")
    assert message in answer.json["error"]["message"]
    assert len(answer.json["error"]["message"]) < 1200


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"status": "Failed"}, "status is of use with parent only"),
        ({"limit": "3"}, "limit is of use with parent only"),
        ({"wait": "3"}, "wait is of use with since only"),
        ({"parent": "ship", "status": "failed"}, "did you mean 'Failed'?"),
        ({"parent": ""}, "parent is empty"),
        ({"parent": "ship"}, "the step ship is not a block"),
        ({"since": "now"}, "since is not the position or the ETag"),
        ({"since": "1.2.3"}, "since is not the position or the ETag"),
        ({"since": "0.0", "wait": "21"}, "wait is a number of seconds from 0 to 20"),
        ({"since": "0.0", "wait": "-1"}, "wait is a number of seconds from 0 to 20"),
        ({"since": "0.0", "wait": "٣"}, "wait is a number of seconds from 0 to 20"),
        ({"sinse": "0.0"}, "did you mean 'since'?"),
    ],
)
def test_refuses_a_malformed_query_of_a_state(
    world: MemoryWorld, query: Mapping[str, str], message: str
) -> None:
    answer = send("read_run", world=world, queryStringParameters=dict(query))

    assert answer.error == (400, "invalid_request")
    assert message in answer.json["error"]["message"]


def test_a_page_of_the_steps_in_a_block_is_as_in_the_document() -> None:
    world = MemoryWorld()
    step = "{id: one, run: {uses: builtin:noop}}"
    each = (
        f'- {{id: each, map: {{items: "{{{{ inputs.items }}}}", maxParallel: 2, steps: [{step}]}}}}'
    )
    manifest = pack(each, spec="inputs: [{name: items, type: array, default: [1, 2, 3]}]")
    assert send("create_run", {"manifest": manifest, "runId": "run-7"}, world=world).status == 201
    query = {"parent": "each", "status": "Pending", "limit": "2"}

    first = send("read_run", world=world, queryStringParameters=query)
    rest = {**query, "cursor": first.json["nextCursor"]}
    second = send("read_run", world=world, queryStringParameters=rest)

    assert first.json["parent"]["counts"] == {"Pending": 3}
    found = [child["stepId"] for page in (first, second) for child in page.json["steps"]]
    assert found == ["each[0]::one", "each[1]::one", "each[2]::one"]


@pytest.mark.parametrize("tag", ['"0.0"', 'W/"0.0"', '"1.1", "0.0"', "*"])
def test_a_client_that_has_the_state_is_answered_304(world: MemoryWorld, tag: str) -> None:
    answer = send("read_run", headers={"If-None-Match": tag}, world=world)

    assert (answer.status, answer.headers["ETag"], answer.text) == (304, '"0.0"', "")


@pytest.mark.parametrize("since", ["0.0", '"0.0"', 'W/"0.0"', "7.3", '"0.0-ended"'])
def test_a_client_that_waits_in_vain_is_answered_304(world: MemoryWorld, since: str) -> None:
    answer = send("read_run", world=world, queryStringParameters={"since": since, "wait": "1"})

    assert (answer.status, answer.headers["ETag"], answer.text) == (304, '"0.0"', "")
