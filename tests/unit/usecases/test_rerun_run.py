from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from functions.create_run.app import handler
from taskrunner.errors import ConflictError, InvalidPackError, NotFoundError
from taskrunner.usecases.rerun_run import RerunRun, rerun_run
from tests.api_schema import assert_conforms
from tests.packs import pack
from tests.unit.usecases.scenarios import TENANT, a_world, assert_recovers

if TYPE_CHECKING:
    from taskrunner.ports import World
    from tests.fakes.world import MemoryWorld

MANIFEST = pack(
    '- {id: ship, run: {uses: builtin:noop, with: {image: "{{ inputs.image }}"}}}',
    spec="""
    inputs:
      - {name: image, type: string, required: true}
      - {name: count, type: integer, default: 3}
      - {name: note, type: string}
    """,
    name="with-inputs",
)
INPUTS = {"image": "app:1", "count": 5}


def first_run(**changes: Any) -> MemoryWorld:  # noqa: ANN401
    return a_world(MANIFEST, inputs=INPUTS, **changes)


def a_rerun(**changes: Any) -> RerunRun:  # noqa: ANN401
    fields = {"tenant": TENANT, "caller": "bob", "rerun_of": "run-7", "inputs": {}}
    return RerunRun(**(fields | {"run_id": "run-8"} | changes))


def rerun(world: World, **changes: Any) -> Any:  # noqa: ANN401
    return rerun_run(a_rerun(**changes), world)


def inputs_of(world: MemoryWorld, run_id: str = "run-8") -> dict[str, Any]:
    plan_hash = world.runs.snapshot(TENANT, run_id).run.plan_hash
    return dict(world.plans.get(TENANT, plan_hash).inputs)


def test_creates_a_run_of_the_same_plan_that_names_the_first() -> None:
    world = first_run()

    state = rerun(world)

    first = world.runs.snapshot(TENANT, "run-7").run
    assert state["rerunOf"] == "run-7"
    assert (state["planHash"], state["createdBy"]) == (first.plan_hash, "bob")
    assert len(world.machines.started) == 2


def test_replaces_the_inputs_that_are_given_by_name() -> None:
    world = first_run()

    rerun(world, inputs={"image": "app:2", "note": "again"})

    assert inputs_of(world) == {"image": "app:2", "count": 5, "note": "again"}


def test_null_takes_the_default() -> None:
    world = first_run()

    rerun(world, inputs={"count": None})

    assert inputs_of(world)["count"] == 3


def test_a_rerun_is_run_again() -> None:
    world = first_run()
    rerun(world, inputs={"image": "app:2"})

    state = rerun(world, rerun_of="run-8", run_id="run-9")

    assert state["rerunOf"] == "run-8"
    assert inputs_of(world, "run-9")["image"] == "app:2"


@pytest.mark.parametrize("inputs", [{"image": 3}, {"image": None}, {"other": "x"}])
def test_checks_the_inputs_against_the_pack(inputs: dict[str, Any]) -> None:
    with pytest.raises(InvalidPackError) as caught:
        rerun(first_run(), inputs=inputs)

    assert caught.value.code == "invalid_inputs"


@pytest.mark.parametrize(("tenant", "run_id"), [("globex", "run-7"), (TENANT, "run-6")])
def test_does_not_find_a_run_that_the_tenant_does_not_have(tenant: str, run_id: str) -> None:
    with pytest.raises(NotFoundError):
        rerun(first_run(), tenant=tenant, rerun_of=run_id)


def test_refuses_a_run_whose_manifest_is_not_stored() -> None:
    world = first_run()
    stored = world.runs.stored[TENANT, "run-7"]
    stored.run = replace(stored.run, manifest_digest=None)

    with pytest.raises(ConflictError) as caught:
        rerun(world)

    assert caught.value.code == "manifest_not_stored"


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"run_id": "run-7"}, "run_exists"), ({"expect_plan_hash": "x"}, "plan_hash_mismatch")],
)
def test_is_refused_as_a_new_run_would_be(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(ConflictError) as caught:
        rerun(first_run(), **changes)

    assert caught.value.code == code


def test_a_repeated_request_gets_the_run_that_it_made() -> None:
    world = first_run()
    first = rerun(world, run_id=None, idempotency_key="key")

    again = rerun(world, run_id=None, idempotency_key="key")

    assert again == first
    with pytest.raises(ConflictError) as caught:
        rerun(world, run_id=None, idempotency_key="key", inputs={"count": 6})
    assert caught.value.code == "idempotency_conflict"


def test_recovers_from_any_failure_when_it_is_repeated_with_its_key() -> None:
    request = a_rerun(idempotency_key="key")

    assert assert_recovers(first_run, lambda world: rerun_run(request, world)) > 10


def answered(world: MemoryWorld, body: str | None, scopes: str = "operator") -> Any:  # noqa: ANN401
    path = "/v1/task-runner/runs/{runId}/rerun"
    authorizer = {"subject": "bob", "scopes": scopes, "tenants": TENANT, "grants": ""}
    headers = {"Host": "api.example.com"} | ({"Content-Type": "application/json"} if body else {})
    event = {
        "httpMethod": "POST",
        "resource": path,
        "pathParameters": {"runId": "run-7"},
        "headers": headers,
        "requestContext": {"authorizer": authorizer},
        "body": body,
    }
    answer = handler(event, None, world=world)
    shown = {name.lower(): value for name, value in answer["headers"].items()}
    assert_conforms("POST", path, answer["statusCode"], shown, answer["body"])
    return answer


@pytest.mark.parametrize("body", [None, "", " \n", "{}"])
def test_the_body_may_be_absent(body: str | None) -> None:
    answer = answered(first_run(), body)

    run_id = json.loads(answer["body"])["runId"]
    assert answer["statusCode"] == 201
    assert answer["headers"]["Location"].endswith(f"/v1/task-runner/runs/{run_id}")


@pytest.mark.parametrize(
    "body",
    ["[]", "{", '{"manifest": ""}', '{"inputs": []}', '{"runId": ""}', '{"inputs": {"image": 1}}'],
)
def test_a_bad_body_is_400(body: str) -> None:
    assert answered(first_run(), body)["statusCode"] == 400


def test_a_viewer_may_not_run_a_pack_again() -> None:
    assert answered(first_run(), None, "viewer")["statusCode"] == 403
