"""The bodies of the requests that create a run and decide about a gate."""

from dataclasses import dataclass, field

from taskrunner_cli.api.documents import Verdict
from taskrunner_cli.json_types import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run to create; fields that are empty are omitted from the request."""

    manifest: str
    inputs: JsonObject = field(default_factory=dict)
    run_id: str = ""
    tenant_id: str = ""
    expect_plan_hash: str = ""
    idempotency_key: str = ""

    def body(self) -> JsonObject:
        """Return the request's body; the idempotency key goes into a header instead."""
        optional = {
            "runId": self.run_id,
            "tenantId": self.tenant_id,
            "expectPlanHash": self.expect_plan_hash,
        }
        return {"manifest": self.manifest, "inputs": self.inputs, **_without_empty(optional)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """A run to repeat; *inputs* replace those of that run by name."""

    inputs: JsonObject = field(default_factory=dict)
    run_id: str = ""
    expect_plan_hash: str = ""
    idempotency_key: str = ""

    def body(self) -> JsonObject:
        """Return the request's body; the idempotency key goes into a header instead."""
        optional = {"runId": self.run_id, "expectPlanHash": self.expect_plan_hash}
        inputs = {"inputs": self.inputs} if self.inputs else {}
        return {**inputs, **_without_empty(optional)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A decision about a gate of the plan with *plan_hash*.

    Args:
        actor: a person's name to record beside the token's caller; empty records none.
        summary: the reason; empty records none.
        step_ids: the gates, if each of them needs its own decision.

    """

    verdict: Verdict
    plan_hash: str
    actor: str = ""
    summary: str = ""
    step_ids: tuple[str, ...] = ()

    def body(self) -> JsonObject:
        """Return the request's body."""
        members = {
            "decision": self.verdict,
            "planHash": self.plan_hash,
            "actorId": self.actor,
            "summary": self.summary,
        }
        step_ids = {"stepId": list(self.step_ids)} if self.step_ids else {}
        return {**_without_empty(members), **step_ids}


def _without_empty(members: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in members.items() if value}
