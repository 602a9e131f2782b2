"""Equal names of two tenants are two things: run ids, keys, packs, plans, artifacts, approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.security.tenants.deployment import a_pack, content_of, deployment
from tests.security.tenants.furnished import plan_hash

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.security.tenants.deployment import Deployment


@pytest.fixture(name="fresh")
def _fresh() -> Iterator[Deployment]:
    with deployment() as made:
        yield made


def test_an_idempotency_key_is_its_tenants_own(fresh: Deployment) -> None:
    headers = {"Idempotency-Key": "one-key"}
    first, second = (
        fresh.request(tenant, "POST", "runs", {"manifest": a_pack(tenant)}, headers=headers)
        for tenant in ("acme", "globe")
    )
    again = fresh.request("globe", "POST", "runs", {"manifest": a_pack("globe")}, headers=headers)

    assert (first.status, second.status, again.status) == (201, 201, 201)
    assert first.json["runId"] != second.json["runId"]
    assert again.json == second.json
    assert fresh.request("globe", "GET", f"runs/{first.json['runId']}").status == 404


class TestEverythingIsCalledTheSame:
    """Two tenants with one run id, pack, plan hash, approval and artifact name."""

    @pytest.fixture(name="twins")
    def _twins(self, fresh: Deployment) -> Deployment:
        body = {"manifest": a_pack(), "runId": "run-1"}
        for tenant in ("acme", "globe"):
            created = fresh.request(tenant, "POST", "runs", body, subject=f"ana-of-{tenant}")
            assert created.status == 201
            fresh.capture(tenant, "run-1", "report", f"the report of {tenant}")
            fresh.gate(tenant, "run-1")
        assert plan_hash(fresh, "acme", "run-1") == plan_hash(fresh, "globe", "run-1")
        return fresh

    @pytest.mark.parametrize(("own", "other"), [("acme", "globe"), ("globe", "acme")])
    def test_each_reads_its_own(self, twins: Deployment, own: str, other: str) -> None:
        answers = [
            twins.request(own, "GET", path)
            for path in ("runs", "approvals", "runs/run-1", "runs/run-1/logs")
        ]
        artifact = twins.request(own, "GET", "runs/run-1/artifacts/report")

        assert other not in "".join(answer.body for answer in answers)
        assert f"ana-of-{own}" in answers[0].body
        assert f"ana-of-{own}" in answers[3].body
        assert content_of(artifact.headers["Location"]) == f"the report of {own}".encode()
        assert other not in artifact.headers["Location"]
        assert twins.strange == []

    def test_a_presigned_url_is_good_for_one_object_of_one_tenant(self, twins: Deployment) -> None:
        urls = {
            tenant: twins.request(tenant, "GET", "runs/run-1/artifacts/report").headers["Location"]
            for tenant in ("acme", "globe")
        }

        signatures = {url.rsplit("Signature=", 1)[1] for url in urls.values()}
        assert len(signatures) == 2
        assert "/acme/runs/run-1/" in urls["acme"]
        assert "/globe/runs/run-1/" in urls["globe"]

    def test_the_memory_of_a_process_answers_only_whom_it_is_of(self, twins: Deployment) -> None:
        """One function serves both; the plan that it remembers for one is not the other's."""
        key = f"globe/plans/{plan_hash(twins, 'acme', 'run-1').replace(':', '-')}.json"
        twins.world.plans._cache.pop(key)
        twins.world._bucket._client.delete_object(Bucket="runs", Key=key)

        assert twins.request("acme", "GET", "runs/run-1").status == 200
        assert twins.request("globe", "GET", "runs/run-1").status == 404

    def test_a_decision_wakes_only_its_own_gate(self, twins: Deployment) -> None:
        body = {"decision": "approved", "planHash": plan_hash(twins, "acme", "run-1")}
        path = "runs/run-1/approvals/review-of-any"

        assert twins.request("acme", "POST", path, body).json["resumed"]

        assert twins.request("acme", "GET", "approvals").json == {"approvals": []}
        assert len(twins.request("globe", "GET", "approvals").json["approvals"]) == 1
        assert twins.request("globe", "POST", path, body).json["resumed"]

    def test_cancelling_ends_only_ones_own(self, twins: Deployment) -> None:
        twins.request("acme", "POST", "runs/run-1/cancel")

        assert twins.request("acme", "GET", "runs/run-1").json["status"] == "cancelled"
        assert twins.request("globe", "GET", "runs/run-1").json["status"] == "waiting"

    def test_their_executions_have_two_names(self, twins: Deployment) -> None:
        assert sorted(twins.executions.values()) == [("acme", "run-1"), ("globe", "run-1")]

    def test_a_pack_is_as_full_as_its_own_tenant_makes_it(self, fresh: Deployment) -> None:
        manifest = a_pack().replace("maxQueueDepth: 100", "maxQueueDepth: 1")

        answers = [
            fresh.request(tenant, "POST", "runs", {"manifest": manifest})
            for tenant in ("acme", "globe", "acme")
        ]

        assert [answer.status for answer in answers] == [201, 201, 429]
