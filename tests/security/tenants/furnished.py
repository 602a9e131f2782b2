"""Tenants that have a run in every state, each with an artifact, a gate and a key."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.security.tenants.deployment import a_pack

if TYPE_CHECKING:
    from tests.security.tenants.deployment import Deployment

TENANTS = ("acme", "globe", "umbra")
PAIRS = list(itertools.permutations(TENANTS, 2))
NEVER = "never"  # as long as a tenant's name, so that every id made with it is as long


def owned(tenant: str) -> dict[str, list[str]]:
    """The ids of everything that a tenant has, or would have if it were one."""
    runs = [f"run-{state}-of-{tenant}" for state in ("waiting", "cancelled", "decided", "expired")]
    return {
        "runId": runs,
        "approvalId": [f"review-of-{tenant}"],
        "stepId": [f"build-of-{tenant}"],
        "name": [f"report-of-{tenant}"],
    }


def furnish(made: Deployment, tenant: str) -> None:
    """Give *tenant* a run in every state, with an artifact and a gate in each."""
    manifest = a_pack(tenant)
    for run_id in owned(tenant)["runId"]:
        created = made.request(
            tenant,
            "POST",
            "runs",
            {"manifest": manifest, "runId": run_id},
            headers={"Idempotency-Key": f"key-of-{run_id}"},
        )
        assert created.status == 201, created.body
        made.capture(tenant, run_id, f"report-of-{tenant}", f"the report of {tenant}")
        made.gate(tenant, run_id)
        made.clock.advance(1)
    waiting, cancelled, decided, expired = owned(tenant)["runId"]
    assert made.request(tenant, "POST", f"runs/{cancelled}/cancel").status == 202
    body = {"decision": "rejected", "planHash": plan_hash(made, tenant, waiting)}
    path = f"runs/{decided}/approvals/review-of-{tenant}"
    assert made.request(tenant, "POST", path, body).status == 200
    with pytest.raises(Exception, match="nobody decided"):
        made.gate_expires(tenant, expired)


def plan_hash(made: Deployment, tenant: str, run_id: str) -> str:
    if (tenant, run_id) not in made.plan_hashes:
        state = made.request(tenant, "GET", f"runs/{run_id}").json
        made.plan_hashes[tenant, run_id] = state["planHash"]
    return made.plan_hashes[tenant, run_id]
