"""The ports that each function uses, and the environment variables that the template sets for it.

The table exists because building ports is part of a cold start. test_events compares it with the
ports that functions really use, and test_imports builds exactly these.
"""

from __future__ import annotations

from functools import cache

from tests.template import functions, template

# An environment in which every port can be built: test_imports and bench/cold_start.py do that.
_NAMES = """
TABLE_NAME BUCKET_NAME PACK_RUN_MACHINE_ARN MACHINE_PREFIX ISSUER JWKS_URL EXECUTOR_PREFIX
SECRET_PREFIX EVIDENCE_KEY_ARN OPEN_GATE_FUNCTION APPROVAL_TOPIC_ARN SETTLE_RUN_FUNCTION EVENT_BUS
CALLED_MACHINE_PREFIX_ARN
"""
ENVIRONMENT = {
    **dict.fromkeys(_NAMES.split(), "https://a"),
    "MACHINE_RETENTION_DAYS": "30",
    "MACHINE_WARNING_COUNT": "90000",
}
USED: dict[str, frozenset[str]] = {
    "authorize": frozenset({"authority", "clock"}),
    "simulate_pack": frozenset({"ceilings", "plans", "principals", "runs"}),
    "create_run": frozenset(
        {
            "ceilings",
            "clock",
            "ids",
            "machine_counts",  # for a pack that has no machine yet
            "machines",
            "plans",
            "principals",
            "runs",
        }
    ),
    "read_run": frozenset(
        {"approvals", "artifacts", "clock", "links", "plans", "principals", "runs"}
    ),
    "decide_approval": frozenset({"approvals", "clock", "due_work", "plans", "principals", "runs"}),
    "cancel_run": frozenset({"clock", "jobs", "machines", "principals", "runs"}),
    "console": frozenset(),
    "describe_api": frozenset(),
    "run_step": frozenset(
        {
            "artifacts",
            "clock",
            "functions",
            "networks",
            "plans",
            "registries",
            "runs",
            "sandbox",
            "releases",
        }
    ),
    "open_gate": frozenset({"approvals", "clock", "due_work", "notifications", "plans", "runs"}),
    "offer_job": frozenset({"clock", "jobs", "plans", "runs"}),
    "call_machine": frozenset({"called_machines", "clock", "jobs", "plans", "runs"}),
    "end_machine_call": frozenset({"called_machines", "jobs"}),
    "serve_workers": frozenset({"clock", "ids", "jobs", "plans", "pools", "principals", "runs"}),
    "decide_flow": frozenset({"clock", "plans", "runs"}),
    "settle_run": frozenset({"artifacts", "clock", "evidence", "plans", "runs"}),
    "digest_settings": frozenset(),
    "remove_machines": frozenset({"clock", "inventory", "machine_counts", "metrics"}),
    "publish_events": frozenset({"clock", "events", "metrics", "runs"}),
    # All that a pass needs that finds no work, while runs go on.
    "reconcile": frozenset({"approvals", "clock", "due_work", "jobs", "metrics"}),
}


@cache
def variables(logical_id: str) -> frozenset[str]:
    """Return the names of the environment variables that the template sets for a function."""
    own = functions()[logical_id].get("Environment", {}).get("Variables", {})
    shared = template()["Globals"]["Function"]["Environment"]["Variables"]
    return frozenset({**shared, **own})
