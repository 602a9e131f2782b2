"""A plan as a JSON document, and back: the form that is hashed, stored and read by every step.

`planVersion` changes when a field is added or changes its meaning, so that a hash never means two
things and a run that was started before a deployment is read as it was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from taskrunner.model.plan import (
    Approval,
    ApprovalGate,
    FailurePolicy,
    FileOutput,
    ObjectOutput,
    Output,
    Plan,
    Retries,
    RunStep,
    Sandbox,
    Slo,
    Step,
    StepKind,
    Template,
)

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonMapping, JsonObject

PLAN_VERSION: Final = 1


def to_document(plan: Plan) -> JsonObject:
    """The plan as JSON: the same plan gives the same document, and the reverse."""
    return {
        "planVersion": PLAN_VERSION,
        "pack": {"name": plan.pack_name, "version": plan.pack_version},
        "inputs": dict(plan.inputs),
        "failure": {
            "retries": _retries(plan.failure.retries),
            "continueOnError": plan.failure.continue_on_error,
        },
        "sandbox": {
            "mode": plan.sandbox.mode,
            "egressAllowlist": list(plan.sandbox.egress_allowlist),
            "cpuLimitMillicores": plan.sandbox.cpu_limit_millicores,
            "memoryLimitMiB": plan.sandbox.memory_limit_mib,
            "quotaSeconds": plan.sandbox.quota_s,
        },
        "slo": {
            "runP95Seconds": plan.slo.run_p95_s,
            "approvalP95Seconds": plan.slo.approval_p95_s,
            "maxQueueDepth": plan.slo.max_queue_depth,
        },
        "approvals": [_approval(approval) for approval in plan.approvals],
        "steps": [_step(step) for step in plan.steps],
        "outputs": [_output(output) for output in plan.outputs],
    }


def _retries(retries: Retries) -> JsonObject:
    return {"maxAttempts": retries.max_attempts, "backoffSeconds": retries.backoff_s}


def _approval(approval: Approval) -> JsonObject:
    return {
        "id": approval.id,
        "grants": list(approval.grants),
        "minApprovals": approval.min_approvals,
        "distinctFromRequester": approval.distinct_from_requester,
        "expiresAfterSeconds": approval.expires_after_s,
        "message": approval.message,
    }


def _step(step: Step) -> JsonObject:
    common = {
        "id": step.id,
        "kind": step.kind.value,
        "name": step.name,
        "when": step.when,
        "enabled": step.enabled,
        "continueOnError": step.continue_on_error,
    }
    match step:
        case RunStep():
            return common | {
                "retries": _retries(step.retries),
                "timeoutSeconds": step.timeout_s,
                "uses": step.uses,
                "with": step.parameters.value,
                "open": dict(step.parameters.open),
            }
        case ApprovalGate():
            return common | {"approvalId": step.approval_id, "message": step.message}
        case _:
            assert_never(step)


def _output(output: Output) -> JsonObject:
    match output:
        case FileOutput():
            return {"name": output.name, "type": "file", "path": output.path}
        case ObjectOutput():
            return {"name": output.name, "type": "object", "expression": output.expression}
        case _:
            assert_never(output)


def from_document(document: JsonMapping) -> Plan:
    """Read a plan that `to_document` wrote.

    Raises:
        ValueError: the document is of another version than this code reads.
    """
    if document["planVersion"] != PLAN_VERSION:
        message = f"plan version {document['planVersion']} is not {PLAN_VERSION}"
        raise ValueError(message)
    sandbox, slo, failure = document["sandbox"], document["slo"], document["failure"]
    return Plan(
        pack_name=document["pack"]["name"],
        pack_version=document["pack"]["version"],
        inputs=document["inputs"],
        failure=FailurePolicy(_read_retries(failure["retries"]), failure["continueOnError"]),
        sandbox=Sandbox(
            mode=sandbox["mode"],
            egress_allowlist=tuple(sandbox["egressAllowlist"]),
            cpu_limit_millicores=sandbox["cpuLimitMillicores"],
            memory_limit_mib=sandbox["memoryLimitMiB"],
            quota_s=sandbox["quotaSeconds"],
        ),
        slo=Slo(
            run_p95_s=slo["runP95Seconds"],
            approval_p95_s=slo["approvalP95Seconds"],
            max_queue_depth=slo["maxQueueDepth"],
        ),
        approvals=tuple(_read_approval(approval) for approval in document["approvals"]),
        steps=tuple(_read_step(step) for step in document["steps"]),
        outputs=tuple(_read_output(output) for output in document["outputs"]),
    )


def _read_retries(document: JsonMapping) -> Retries:
    return Retries(document["maxAttempts"], document["backoffSeconds"])


def _read_approval(document: JsonMapping) -> Approval:
    return Approval(
        id=document["id"],
        grants=tuple(document["grants"]),
        min_approvals=document["minApprovals"],
        distinct_from_requester=document["distinctFromRequester"],
        expires_after_s=document["expiresAfterSeconds"],
        message=document["message"],
    )


def _read_step(document: JsonMapping) -> Step:
    kind = StepKind(document["kind"])
    match kind:
        case StepKind.RUN:
            return RunStep(
                id=document["id"],
                name=document["name"],
                when=document["when"],
                enabled=document["enabled"],
                continue_on_error=document["continueOnError"],
                retries=_read_retries(document["retries"]),
                timeout_s=document["timeoutSeconds"],
                uses=document["uses"],
                parameters=Template(document["with"], document["open"]),
            )
        case StepKind.GATE_APPROVAL:
            return ApprovalGate(
                id=document["id"],
                name=document["name"],
                when=document["when"],
                enabled=document["enabled"],
                continue_on_error=document["continueOnError"],
                approval_id=document["approvalId"],
                message=document["message"],
            )
        case _:
            assert_never(kind)


def _read_output(document: JsonMapping) -> Output:
    if document["type"] == "file":
        return FileOutput(name=document["name"], path=document["path"])
    return ObjectOutput(name=document["name"], expression=document["expression"])
