"""A tenant's worker gets no job of another one, and may do nothing with a lease that it has stolen.

The lease of another tenant is answered like one that never was. Within a tenant, a lease is of the
client that took it, of its pool, and of a client with the scope of workers.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.packs import pack
from tests.security.tenants.deployment import deployment
from tests.security.tenants.furnished import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.security.tenants.deployment import Answer, Deployment

TESTS = pack("- {id: tests, run: {uses: worker:linux, with: {script: make}}}")
OWNER, OTHER, UNSERVED = "acme", "globe", "empty"
FILE = {"path": "a.txt", "sizeBytes": 1, "sha256": hashlib.sha256(b"a").hexdigest()}
REPORTS: dict[str, dict[str, Any]] = {
    "heartbeat": {"output": [{"sequence": 1, "stream": "stdout", "text": "not mine"}]},
    "artifacts": FILE,
    "completion": {"status": "failed", "reason": "executor-error", "message": "not mine"},
}


_run_ids = map("run-{}".format, itertools.count(1))


@pytest.fixture(name="made", scope="module")
def _made() -> Iterator[Deployment]:
    """One deployment for all tests, which leave no job that waits."""
    with deployment() as made:
        yield made


@pytest.fixture(autouse=True)
def _belongs_to_one_tenant(made: Deployment) -> Iterator[None]:
    yield
    assert made.strange == []


def ask(made: Deployment, tenant: str, path: str, body: dict[str, Any], **who: str) -> Answer:
    """Ask as a worker of *tenant*."""
    caller = {"subject": "workers", "scopes": "worker", "pools": "linux", **who}
    return made.request(tenant, "POST", f"worker/{path}", body, **caller)  # type: ignore[arg-type]


def poll(made: Deployment, tenant: str, pool: str = "linux", **who: Any) -> Answer:  # noqa: ANN401
    return ask(made, tenant, "leases", {"pool": pool, "worker": "build-7"}, **who)


def offer(made: Deployment, tenant: str, run_id: str) -> None:
    body = {"manifest": TESTS, "runId": run_id}
    assert made.request(tenant, "POST", "runs", body).status == 201
    made.offer(tenant, run_id, "tests")


def leased(made: Deployment, tenant: str = OWNER, run_id: str | None = None) -> dict[str, Any]:
    """Return the lease of a job that a tenant's worker has taken."""
    offer(made, tenant, run_id or next(_run_ids))
    answer = poll(made, tenant)
    assert answer.status == 200, answer.body
    lease: dict[str, Any] = answer.json
    return lease


def report(made: Deployment, tenant: str, lease: dict[str, Any], what: str, **who: str) -> Answer:
    body = {"secret": lease["secret"], **REPORTS[what]}
    return ask(made, tenant, f"leases/{lease['leaseId']}/{what}", body, **who)


def named(lease: dict[str, Any], tenant: str) -> dict[str, Any]:
    """Return the lease with the tenant in its id replaced."""
    padded = lease["leaseId"] + "=" * (-len(lease["leaseId"]) % 4)
    _, *others = json.loads(base64.urlsafe_b64decode(padded))
    text = json.dumps([tenant, *others]).encode()
    return lease | {"leaseId": base64.urlsafe_b64encode(text).decode().rstrip("=")}


def has_ended_well(made: Deployment, lease: dict[str, Any]) -> bool:
    """Return whether the lease is still good for its owner, and nobody wrote to the run."""
    path = f"leases/{lease['leaseId']}/completion"
    done = ask(made, OWNER, path, {"secret": lease["secret"], "status": "succeeded"})
    log = made.request(OWNER, "GET", f"runs/{lease['run']['id']}/logs")
    return done.status == 200 and "not mine" not in log.body


def test_a_worker_gets_no_job_of_another_tenant(made: Deployment) -> None:
    offer(made, OWNER, next(_run_ids))

    assert poll(made, OTHER).status == 204
    assert poll(made, OWNER).status == 200


def wait_of(made: Deployment, tenant: str, run_id: str) -> dict[str, Any]:
    """Return why the step of a run waits for a worker."""
    (step,) = made.request(tenant, "GET", f"runs/{run_id}").json["steps"]
    wait: dict[str, Any] = step["workerWait"]
    return wait


def test_a_tenant_learns_nothing_of_another_ones_workers(made: Deployment) -> None:
    run_id = next(_run_ids)
    pools = {"pools": "linux secret-pool"}
    labels = {"pool": "linux", "worker": "build-7", "labels": {"project": "secret"}}
    for body in (labels, {"pool": "secret-pool", "worker": "build-7"}):
        assert ask(made, OTHER, "leases", body, **pools).status == 204
    offer(made, UNSERVED, run_id)

    wait = wait_of(made, UNSERVED, run_id)
    assert poll(made, UNSERVED).status == 200

    assert wait["cause"] == "no-worker"
    assert wait.keys() == {"cause", "message"}
    assert "secret" not in str(wait)


def test_a_worker_of_several_tenants_asks_for_one_of_them_only(made: Deployment) -> None:
    with made.working_for(OTHER):
        answer = made.request(
            OTHER,
            "POST",
            "worker/leases",
            {"pool": "linux", "worker": "w"},
            headers={"X-StellaOps-Tenant": OWNER},
            scopes="worker admin",
            pools="linux",
        )

    assert answer.status == 403


@pytest.mark.parametrize("what", REPORTS)
def test_a_stolen_lease_is_as_one_that_never_was_to_another_tenant(
    made: Deployment, what: str
) -> None:
    lease = leased(made)

    theirs = report(made, OTHER, lease, what)
    nobodys = report(made, OTHER, named(lease, NEVER), what)

    assert theirs.status == nobodys.status == 404
    assert theirs.body == nobodys.body
    assert theirs.calls == nobodys.calls == []
    assert has_ended_well(made, lease)


@pytest.mark.parametrize("what", REPORTS)
def test_a_stolen_lease_does_not_name_a_job_of_ones_own(made: Deployment, what: str) -> None:
    """The other tenant has a run with the same id and step, and takes the secret of this one."""
    lease = leased(made)
    leased(made, OTHER, lease["run"]["id"])

    answer = report(made, OTHER, named(lease, OTHER), what)

    assert answer.status == 409
    assert answer.json["error"]["code"] == "lease_lost"
    assert has_ended_well(made, lease)


@pytest.mark.parametrize("what", REPORTS)
@pytest.mark.parametrize(
    ("who", "status", "code"),
    [
        ({"subject": "other-workers"}, 409, "lease_lost"),
        ({"pools": "mac"}, 403, "forbidden"),
        ({"pools": ""}, 403, "forbidden"),
        ({"scopes": "admin"}, 403, "forbidden"),
        ({"scopes": "operator"}, 403, "forbidden"),
    ],
)
def test_a_lease_is_of_the_worker_that_took_it(
    made: Deployment, what: str, who: dict[str, str], status: int, code: str
) -> None:
    lease = leased(made)

    answer = report(made, OWNER, lease, what, **who)

    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert has_ended_well(made, lease)


@pytest.mark.parametrize("what", REPORTS)
def test_a_lease_needs_its_secret(made: Deployment, what: str) -> None:
    lease = leased(made)

    answer = report(made, OWNER, lease | {"secret": "x" * 43}, what)

    assert answer.status == 409
    assert lease["secret"] not in answer.body
    assert has_ended_well(made, lease)


@pytest.mark.parametrize(
    "who", [{"pools": "mac"}, {"pools": ""}, {"scopes": "admin"}, {"scopes": "operator viewer"}]
)
def test_a_job_is_given_to_clients_of_the_pool_only(made: Deployment, who: dict[str, str]) -> None:
    answer = poll(made, OWNER, **who)

    assert (answer.status, answer.json["error"]["code"]) == (403, "forbidden")
    assert answer.calls == []


@pytest.mark.parametrize("what", REPORTS)
def test_an_id_that_spells_a_key_of_another_tenant_finds_nothing(
    made: Deployment, what: str
) -> None:
    lease = leased(made)
    for names in (
        [OTHER, f"x#T#{OWNER}#R#{lease['run']['id']}", "tests", 1],
        [OTHER, "run-1", f"tests\x00T#{OWNER}", 1],
        [f"{OTHER}#R#x", "run-1", "tests", 1],
        [[OWNER], "run-1", "tests", 1],
        5,
    ):
        text = json.dumps(names).encode()
        spelled = lease | {"leaseId": base64.urlsafe_b64encode(text).decode().rstrip("=")}

        assert report(made, OTHER, spelled, what).status == 404
