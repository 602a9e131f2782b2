"""Another tenant's things are answered like things that never were: same answer, same work.

Every route with every pair of tenants and every id of the other: runs, approvals, artifacts,
cursors, idempotency keys and plan hashes, each beside one of the same length that never existed.
The time that a request takes is that of its calls to AWS, so these are compared one by one with all
their parameters.
"""

from __future__ import annotations

import base64
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.model.access import SCOPES
from tests.security.tenants.deployment import a_pack, deployment, digest
from tests.security.tenants.furnished import NEVER, PAIRS, TENANTS, furnish, owned, plan_hash

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.model.access import Route
    from tests.security.tenants.deployment import Answer, Deployment


@pytest.fixture(name="made", scope="module")
def _made() -> Iterator[Deployment]:
    """Three tenants with all their things; the tests that use it change nothing."""
    with deployment() as made:
        for tenant in TENANTS:
            furnish(made, tenant)
        assert made.strange == []
        yield made


def ask(made: Deployment, reader: str, route: Route, ids: dict[str, str]) -> Answer:
    """The route with *ids* in its path, as the reader would ask for its own."""
    path = route.path.removeprefix("/v1/task-runner/").format(**ids)
    body: dict[str, Any] | None = None
    if route.method == "POST" and not route.path.endswith("/cancel"):
        own = plan_hash(made, reader, owned(reader)["runId"][0])
        body = {"decision": "approved", "planHash": own}
    if route.path.endswith("/rerun"):
        body = {"inputs": {}}
    return made.request(reader, route.method, path, body, scopes="admin operator")


# Leases have tests of their own: `test_workers.py`.
WITH_AN_ID = [route for route in SCOPES if "{runId}" in route.path]


def ids_of(route: Route, owner: str, reader: str) -> Iterator[tuple[dict[str, str], str]]:
    """Ids for the path of which one at least is the owner's, with that one."""
    names = [
        name for name in ("runId", "approvalId", "stepId", "name") if f"{{{name}}}" in route.path
    ]
    for run_id in owned(owner)["runId"]:
        for tail in itertools.chain(owned(owner)[names[-1]], owned(reader)[names[-1]]):
            yield {"runId": run_id, names[-1]: tail} | {"runId": run_id}, run_id
    if len(names) > 1:
        for run_id in owned(reader)["runId"]:
            for tail in owned(owner)[names[-1]]:
                yield {"runId": run_id, names[-1]: tail}, tail


@pytest.mark.parametrize(("reader", "owner"), PAIRS)
@pytest.mark.parametrize("route", WITH_AN_ID, ids=" ".join)
def test_an_id_of_another_tenant_is_as_one_that_never_existed(
    made: Deployment, route: Route, reader: str, owner: str
) -> None:
    for ids, foreign in ids_of(route, owner, reader):
        ghost = foreign.replace(owner, NEVER)
        never = {name: ghost if value == foreign else value for name, value in ids.items()}

        theirs, nobodys = ask(made, reader, route, ids), ask(made, reader, route, never)

        assert theirs.status == 404, (ids, theirs.body)
        assert theirs.json["error"]["code"] == "not_found"
        assert theirs.without(foreign) == nobodys.without(ghost)
        assert theirs.calls
    assert made.strange == []


@pytest.mark.parametrize("tenant", TENANTS)
def test_the_same_ids_are_found_by_their_owner(made: Deployment, tenant: str) -> None:
    """Else the test above would show nothing."""
    for route in WITH_AN_ID:
        if route.method == "GET":
            for run_id in owned(tenant)["runId"]:
                ids = {name: values[0] for name, values in owned(tenant).items()}
                ids["runId"] = run_id
                assert ask(made, tenant, route, ids).status in (200, 302), (route, ids)


def listed(made: Deployment, tenant: str, path: str, **query: str) -> Answer:
    return made.request(tenant, "GET", path, query={"limit": "2", **query})


@pytest.mark.parametrize("path", ["runs", "approvals"])
@pytest.mark.parametrize("tenant", TENANTS)
def test_a_list_has_the_tenants_own_and_all_of_it(made: Deployment, path: str, tenant: str) -> None:
    found, cursor = [], ""
    while True:
        page = listed(made, tenant, path, **({"cursor": cursor} if cursor else {})).json
        found += [item["runId"] for item in page[path]]
        cursor = page.get("nextCursor", "")
        if not cursor:
            break

    waiting, *_ = runs = owned(tenant)["runId"]
    assert sorted(found) == sorted(runs if path == "runs" else [waiting])


def test_a_tenant_without_anything_has_empty_lists(made: Deployment) -> None:
    assert listed(made, "nobody", "runs").json == {"runs": []}
    assert listed(made, "nobody", "approvals").json == {"approvals": []}


@pytest.mark.parametrize(("reader", "owner"), PAIRS)
def test_a_filter_finds_the_tenants_own_runs_only(
    made: Deployment, reader: str, owner: str
) -> None:
    (first, *_) = listed(made, owner, "runs").json["runs"]
    filters = [
        {"pack": first["pack"]["name"]},
        {"pack": first["pack"]["name"], "version": first["pack"]["version"]},
        {"requestedBy": first["createdBy"]},
        {"status": first["status"]},
        {"createdAfter": "2000-01-01T00:00:00Z"},
        {"approval": f"review-of-{owner}"},
    ]

    for query in filters:
        found = {run["runId"] for run in listed(made, reader, "runs", **query).json["runs"]}
        assert found <= set(owned(reader)["runId"]), query
        assert listed(made, owner, "runs", **query).json["runs"] != [], query


def a_cursor(*parts: str) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(("reader", "owner"), PAIRS)
@pytest.mark.parametrize("path", ["runs", "approvals"])
def test_a_cursor_of_another_tenant_is_a_place_in_ones_own_list(
    made: Deployment, path: str, reader: str, owner: str
) -> None:
    theirs = [listed(made, owner, "runs").json["nextCursor"]]
    for run_id in owned(owner)["runId"]:
        at = made.request(owner, "GET", f"runs/{run_id}").json["createdAt"]
        theirs.append(a_cursor(run_id, "R", f"{at}#{run_id}"))
        theirs.append(a_cursor(run_id, f"A#review-of-{owner}", f"{at}#{run_id}#review-of-{owner}"))

    for cursor in theirs:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.urlsafe_b64decode(padded).decode()
        never = base64.urlsafe_b64encode(text.replace(owner, NEVER).encode()).decode().rstrip("=")

        found = listed(made, reader, path, cursor=cursor)
        nothing = listed(made, reader, path, cursor=never)

        assert found.without(owner, cursor) == nothing.without(NEVER, never)
        assert {item["runId"] for item in found.json[path]} <= {*owned(reader)["runId"]}
    assert made.strange == []


@pytest.mark.parametrize(("reader", "owner"), PAIRS)
def test_a_cursor_that_spells_another_tenants_key_stays_in_ones_own(
    made: Deployment, reader: str, owner: str
) -> None:
    run_id = owned(owner)["runId"][0]
    for run in (f"{run_id}", f"x#R#{run_id}", f"../T#{owner}#R#{run_id}", f"{run_id}#R"):
        answer = listed(made, reader, "runs", cursor=a_cursor(run, "R", f"9#{run}"))

        assert owner not in answer.body
    assert made.strange == []


@pytest.mark.parametrize(("reader", "owner"), PAIRS)
def test_a_plan_hash_of_another_tenant_is_as_any_other(
    made: Deployment, reader: str, owner: str
) -> None:
    theirs, never = plan_hash(made, owner, owned(owner)["runId"][0]), digest("never planned")
    own = owned(reader)["runId"][0]
    attempts = {
        f"runs/{own}/approvals/review-of-{reader}": {"decision": "approved"},
        "runs": {"manifest": a_pack(reader), "runId": "not-made"},
    }
    for path, body in attempts.items():
        member = "expectPlanHash" if path == "runs" else "planHash"

        found = made.request(reader, "POST", path, {**body, member: theirs}, subject="bob")
        nothing = made.request(reader, "POST", path, {**body, member: never}, subject="bob")

        assert found.status == 409
        assert found.json["error"]["code"] == "plan_hash_mismatch"
        assert found.without(theirs) == nothing.without(never)
    assert made.strange == []


def test_a_simulation_says_nothing_of_who_else_has_the_pack(made: Deployment) -> None:
    body = {"manifest": a_pack("acme")}

    answers = [made.request(reader, "POST", "simulations", body) for reader in (*TENANTS, "nobody")]

    assert len({answer.body for answer in answers}) == 1
    assert [answer.calls for answer in answers] == [[]] * 4


@pytest.mark.parametrize("owner", TENANTS)
@pytest.mark.parametrize("keyed", [False, True])
def test_a_run_is_created_under_an_id_that_another_tenant_has(
    made: Deployment, owner: str, *, keyed: bool
) -> None:
    """By a tenant of its own each time, for it has the run afterwards."""
    reader = f"new-{owner}-{keyed}".lower()
    for run_id in owned(owner)["runId"]:
        ghost = run_id.replace(owner, NEVER)
        theirs, nobodys = (
            made.request(
                reader,
                "POST",
                "runs",
                {"manifest": a_pack(owner), "runId": new},
                headers={"Idempotency-Key": f"key-of-{new}"} if keyed else {},
            )
            for new in (run_id, ghost)
        )

        assert theirs.status == nobodys.status == 201
        assert theirs.json == {**nobodys.json, "runId": run_id}
        assert [name for name, _ in theirs.calls][-1] == "stepfunctions:StartExecution"
    assert made.strange == []


@pytest.mark.parametrize(("reader", "owner"), PAIRS)
def test_a_plan_of_another_tenant_is_compared_with_as_one_that_never_existed(
    made: Deployment, reader: str, owner: str
) -> None:
    own, theirs = owned(reader)["runId"][0], owned(owner)["runId"][0]
    ghost = theirs.replace(owner, NEVER)
    pairs = [(theirs, ghost), (plan_hash(made, owner, theirs), digest("never planned"))]
    for foreign, never in pairs:
        for path, query, body in (
            (f"runs/{own}/plan", True, None),
            ("simulations", False, {"manifest": a_pack(reader)}),
        ):
            found, nothing = (
                made.request(
                    reader,
                    "GET" if query else "POST",
                    path,
                    None if body is None else {**body, "compareTo": name},
                    query={"compareTo": name} if query else None,
                )
                for name in (foreign, never)
            )

            assert found.status == 404
            # The key of a plan's object has the digits of its hash.
            assert found.without(foreign, foreign[7:]) == nothing.without(never, never[7:])
    assert made.strange == []


@pytest.mark.parametrize("tenant", TENANTS)
def test_the_last_approved_run_is_one_of_the_tenants(made: Deployment, tenant: str) -> None:
    """No run of these tenants was approved, so there is none, whatever others have."""
    path = f"runs/{owned(tenant)['runId'][0]}/plan"

    answer = made.request(tenant, "GET", path, query={"compareTo": "last-approved"})

    assert "reason" in answer.json["comparison"]
    assert made.strange == []
