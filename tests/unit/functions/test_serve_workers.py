"""The routes of workers, from the event of API Gateway to its answer, over a world in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from functions.offer_job.app import handler as offer
from functions.serve_workers.app import handler as serve
from taskrunner.adapters.authorizer_context import to_context
from taskrunner.model.caller import Caller
from tests.api_schema import assert_conforms
from tests.packs import pack
from tests.unit.usecases.scenarios import TENANT, a_world

if TYPE_CHECKING:
    from tests.fakes.world import MemoryWorld

LEASES = "/v1/task-runner/worker/leases"
TOKEN = "the-token-of-the-machine"
WORKER = Caller(
    subject="build",
    scopes=frozenset({"worker"}),
    tenants=(TENANT, "globex"),
    pools=frozenset({"linux"}),
)
MANIFEST = pack(
    "- {id: tests, run: {uses: worker:linux, with: {script: make test, labels: {gpu: 'no'}}}}",
    name="on-workers",
)
POLL = {"pool": "linux", "worker": "build-7", "labels": {"gpu": "no"}}


def offered() -> MemoryWorld:
    """A world in which the machine of run-7 has offered the step `tests`."""
    world = a_world(MANIFEST)
    event = {
        "place": {"run": {"tenant": TENANT, "id": "run-7"}, "path": ""},
        "step": "tests",
        "token": TOKEN,
    }
    assert offer(event, None, world=world) == {"status": "offered", "attempt": 1}
    return world


def post(
    world: MemoryWorld,
    path: str,
    body: object,
    *,
    caller: Caller = WORKER,
    headers: dict[str, str] | None = None,
) -> tuple[int, Any]:
    """Send a request as API Gateway hands it over; the answer conforms to the API's document."""
    lease_id = path.removeprefix(LEASES).strip("/").partition("/")[0]
    event = {
        "httpMethod": "POST",
        "resource": path.replace(lease_id, "{leaseId}") if lease_id else path,
        "pathParameters": {"leaseId": lease_id} if lease_id else None,
        "headers": {"Content-Type": "application/json", "Host": "api.test", **(headers or {})},
        "multiValueHeaders": {},
        "queryStringParameters": None,
        "requestContext": {
            "requestId": "trace",
            "path": f"/live{path}",
            "authorizer": to_context(caller),
        },
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }
    answer = serve(event, None, world=world)
    assert TOKEN not in json.dumps(answer)
    assert_conforms("POST", path, answer["statusCode"], answer["headers"], answer["body"])
    return answer["statusCode"], json.loads(answer["body"]) if answer["body"] else None


def leased(world: MemoryWorld) -> tuple[str, dict[str, Any]]:
    """Take the job, and return the path of its lease and the body that proves the lease."""
    status, job = post(world, LEASES, POLL)
    assert status == 200
    return f"{LEASES}/{job['leaseId']}", {"secret": job["secret"]}


def test_a_worker_gets_a_job_renews_its_lease_and_completes_it() -> None:
    world = offered()

    status, job = post(world, LEASES, POLL)
    lease, proof = f"{LEASES}/{job['leaseId']}", {"secret": job["secret"]}
    output = [{"sequence": 1, "stream": "stdout", "text": "ok 1\n"}]
    renewed = post(world, f"{lease}/heartbeat", proof | {"output": output})
    ended = post(world, f"{lease}/completion", proof | {"status": "succeeded", "outputs": {"n": 1}})
    again = post(world, f"{lease}/completion", proof | {"status": "succeeded", "outputs": {"n": 1}})

    assert status == 200
    assert (job["stepId"], job["attempt"], job["with"]["script"]) == ("tests", 1, "make test")
    assert renewed[1]["action"] == "continue"
    assert ended == again == (200, {"status": "Succeeded", "attempt": 1})
    assert world.jobs.answers == [(TOKEN, None)]


def test_a_file_is_uploaded_to_a_presigned_url() -> None:
    world = offered()
    lease, proof = leased(world)
    file = {"path": "reports/junit.xml", "sizeBytes": 123, "sha256": "a" * 64}

    status, upload = post(world, f"{lease}/artifacts", proof | file)

    assert status == 200
    assert upload["headers"]["Content-Type"] == "application/xml"


def test_a_completion_that_names_a_file_that_was_not_uploaded_is_refused() -> None:
    world = offered()
    lease, proof = leased(world)
    file = {"path": "reports/junit.xml", "sizeBytes": 123, "sha256": "a" * 64}

    status, body = post(
        world, f"{lease}/completion", proof | {"status": "succeeded", "artifacts": [file]}
    )

    assert (status, body["error"]["code"]) == (400, "not_uploaded")
    assert world.jobs.answers == []


def test_an_empty_pool_is_answered_with_204() -> None:
    assert post(a_world(MANIFEST), LEASES, POLL) == (204, None)


def test_a_worker_without_the_labels_gets_no_job() -> None:
    assert post(offered(), LEASES, POLL | {"labels": {"gpu": "yes"}}) == (204, None)


def test_the_tenant_header_leaves_out_the_jobs_of_others() -> None:
    other = {"X-StellaOps-Tenant": "globex"}
    foreign = {"X-StellaOps-Tenant": "initech"}

    assert post(offered(), LEASES, POLL, headers=other) == (204, None)
    assert post(offered(), LEASES, POLL, headers=foreign)[0] == 403


@pytest.mark.parametrize("scope", ["viewer", "operator", "admin"])
def test_no_other_scope_takes_a_job(scope: str) -> None:
    caller = Caller(
        subject="ana",
        scopes=frozenset({scope}),
        tenants=(TENANT,),
        pools=frozenset({"linux"}),
    )

    status, body = post(offered(), LEASES, POLL, caller=caller)

    assert (status, body["error"]["code"]) == (403, "forbidden")
    assert "taskrunner.worker" in body["error"]["message"]


def test_a_worker_takes_no_job_of_a_pool_that_its_entry_does_not_name() -> None:
    status, body = post(offered(), LEASES, POLL | {"pool": "macos"})

    assert (status, body["error"]["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("heartbeat", {}),
        ("artifacts", {"path": "a.txt", "sizeBytes": 1, "sha256": "a" * 64}),
        ("completion", {"status": "succeeded"}),
    ],
)
def test_another_secret_does_not_prove_a_lease(operation: str, members: dict[str, Any]) -> None:
    world = offered()
    lease, _ = leased(world)

    status, body = post(world, f"{lease}/{operation}", {"secret": "x" * 43} | members)

    assert (status, body["error"]["code"]) == (409, "lease_lost")


def test_the_secret_of_a_lease_is_of_no_use_to_another_client() -> None:
    world = offered()
    lease, proof = leased(world)
    other = Caller(
        subject="thief", scopes=WORKER.scopes, tenants=WORKER.tenants, pools=WORKER.pools
    )

    status, _ = post(world, f"{lease}/heartbeat", proof, caller=other)

    assert status in {404, 409}


@pytest.mark.parametrize("lease_id", ["x", "bGVhc2U", "%2e%2e", "a" * 3000])
def test_a_made_up_lease_is_refused(lease_id: str) -> None:
    status, _ = post(offered(), f"{LEASES}/{lease_id}/heartbeat", {"secret": "x" * 43})

    assert status in {400, 404, 409}


def test_an_unknown_member_is_refused_with_the_nearest_name() -> None:
    status, body = post(offered(), LEASES, POLL | {"waitSecond": 1})

    assert status == 400
    assert "did you mean 'waitSeconds'?" in body["error"]["message"]
