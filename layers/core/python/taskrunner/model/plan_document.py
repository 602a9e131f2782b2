"""A plan as a JSON document, and back: the form that is hashed, stored and read by every step.

`planVersion` changes when a field is added to every plan or a field changes its meaning. So a hash
never means two things, and a run that was started before a deployment is read as it was written.
A later field that few packs need is written only when it is used (`secrets`, `finally`, a policy's
`uses`), so that the plans of all other packs keep their hashes.

Written by hand: cattrs 26.2 takes 85 ms to import and this module 13 ms, and every function that
works on a run pays for it in its cold start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from taskrunner.model.plan import (
    Aggregation,
    Approval,
    ApprovalGate,
    ApprovalScope,
    Branch,
    Conditional,
    FailureAction,
    FailurePolicy,
    FileOutput,
    Items,
    Iterated,
    IteratedFields,
    Lane,
    LimitFields,
    Loop,
    MapStep,
    ObjectOutput,
    Output,
    Parallel,
    Plan,
    Policy,
    PolicyGate,
    Rule,
    RunStep,
    Sandbox,
    Slo,
    Step,
    StepFields,
    StepKind,
    Template,
)
from taskrunner.model.retries import Jitter, Retries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskrunner.model.json_types import JsonMapping, JsonObject

PLAN_VERSION: Final = 1


def to_document(plan: Plan) -> JsonObject:
    """Return the plan as JSON. Equal plans give equal documents, and the reverse."""
    document: JsonObject = {
        "planVersion": PLAN_VERSION,
        "pack": {"name": plan.pack_name, "version": plan.pack_version},
        "inputs": dict(plan.inputs),
        "failure": {
            "retries": plan.failure.retries.document(),
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
        "policies": [_policy(policy) for policy in plan.policies],
        "steps": _steps(plan.steps),
        "outputs": [_output(output) for output in plan.outputs],
    }
    if plan.secrets:
        document["secrets"] = list(plan.secrets)
    if plan.final_steps:
        document["finally"] = _steps(plan.final_steps)
    return document


def _approval(approval: Approval) -> JsonObject:
    document: JsonObject = {
        "id": approval.id,
        "grants": list(approval.grants),
        "minApprovals": approval.min_approvals,
        "distinctFromRequester": approval.distinct_from_requester,
        "expiresAfterSeconds": approval.expires_after_s,
        "message": approval.message,
    }
    is_default = approval.scope is ApprovalScope.RUN
    return document if is_default else document | {"scope": approval.scope.value}


def _policy(policy: Policy) -> JsonObject:
    document: JsonObject = {
        "id": policy.id,
        "version": policy.version,
        "rules": [
            {"id": rule.id, "require": rule.require, "message": rule.message}
            for rule in policy.rules
        ],
    }
    return document if policy.uses is None else document | {"uses": policy.uses}


def _step(step: Step) -> JsonObject:
    return {
        "id": step.id,
        "kind": step.kind.value,
        "name": step.name,
        "when": step.when,
        "enabled": step.enabled,
        "continueOnError": step.continue_on_error,
        **_fields_of_kind(step),
    }


def _fields_of_kind(step: Step) -> JsonObject:
    match step:
        case RunStep():
            return {
                "retries": step.retries.document(),
                "timeoutSeconds": step.timeout_s,
                "uses": step.uses,
                **_template(step.parameters),
            }
        case ApprovalGate():
            return {"approvalId": step.approval_id, "message": step.message}
        case PolicyGate():
            return {
                "policyId": step.policy_id,
                "failureAction": step.failure_action.value,
                "retries": step.retries.document(),
                "override": step.override,
                "branch": _steps(step.branch),
                **_template(step.parameters),
            }
        case Parallel():
            return _limit(step) | _lanes(step.lanes)
        case MapStep():
            fields = _iterated(step) | _limit(step)
            return fields if step.output is None else fields | {"output": step.output}
        case Loop():
            fields = _iterated(step) | {
                "maxIterations": step.max_iterations,
                "until": step.until,
                "aggregation": step.aggregation.value,
                "output": step.output,
            }
            return fields | {"previous": True} if step.keeps_values else fields
        case Conditional():
            return {
                "branches": [
                    {"condition": branch.condition, "steps": _steps(branch.steps)}
                    for branch in step.branches
                ],
                "else": _steps(step.otherwise),
                "taken": step.taken,
                "outputUnion": step.union,
            }
        case _:
            assert_never(step)


def _steps(steps: Iterable[Step]) -> list[JsonObject]:
    return [_step(step) for step in steps]


def _lanes(lanes: Sequence[Lane]) -> JsonObject:
    """Return lanes as the pack has them: `steps` of one lane each, or `branches`."""
    if all(lane.branch is None and len(lane.steps) == 1 for lane in lanes):
        return {"steps": [_step(lane.steps[0]) for lane in lanes]}
    return {"branches": [{"name": lane.branch, "steps": _steps(lane.steps)} for lane in lanes]}


def _template(template: Template) -> JsonObject:
    return {"with": template.value, "open": dict(template.open)}


def _limit(step: Parallel | MapStep) -> JsonObject:
    document: JsonObject = {"maxParallel": step.max_parallel}
    return document | {"maxParallelFromInputs": True} if step.max_parallel_from_inputs else document


def _iterated(step: Iterated) -> JsonObject:
    values = step.items.values
    fail_fast = {} if step.fail_fast is None else {"failFast": step.fail_fast}
    return {
        "items": None if values is None else list(values),
        "itemsExpression": step.items.expression,
        "iterator": step.iterator,
        "index": step.index,
        "steps": _steps(step.steps),
        **fail_fast,
    }


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
        ValueError: the document has another `planVersion` than this code reads.
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
        policies=tuple(_read_policy(policy) for policy in document["policies"]),
        secrets=tuple(document.get("secrets", ())),
        steps=_read_steps(document["steps"]),
        outputs=tuple(_read_output(output) for output in document["outputs"]),
        final_steps=_read_steps(document.get("finally", ())),
    )


def _read_retries(document: JsonMapping) -> Retries:
    return Retries(
        max_attempts=document["maxAttempts"],
        backoff_s=document["backoffSeconds"],
        backoff_rate=document.get("backoffRate", 1),
        max_backoff_s=document.get("maxBackoffSeconds"),
        jitter=Jitter(document.get("jitter", "none")),
        on=tuple(document.get("on", ())),
    )


def _read_approval(document: JsonMapping) -> Approval:
    return Approval(
        id=document["id"],
        grants=tuple(document["grants"]),
        min_approvals=document["minApprovals"],
        distinct_from_requester=document["distinctFromRequester"],
        expires_after_s=document["expiresAfterSeconds"],
        message=document["message"],
        scope=ApprovalScope(document.get("scope", ApprovalScope.RUN)),
    )


def _read_policy(document: JsonMapping) -> Policy:
    return Policy(
        id=document["id"],
        version=document["version"],
        rules=tuple(
            Rule(id=rule["id"], require=rule["require"], message=rule["message"])
            for rule in document["rules"]
        ),
        uses=document.get("uses"),
    )


def _read_steps(documents: Iterable[JsonMapping]) -> tuple[Step, ...]:
    return tuple(_read_step(document) for document in documents)


def _read_step(document: JsonMapping) -> Step:
    fields: StepFields = {
        "id": document["id"],
        "name": document["name"],
        "when": document["when"],
        "enabled": document["enabled"],
        "continue_on_error": document["continueOnError"],
    }
    kind = StepKind(document["kind"])
    match kind:
        case StepKind.RUN:
            return RunStep(
                **fields,
                retries=_read_retries(document["retries"]),
                timeout_s=document["timeoutSeconds"],
                uses=document["uses"],
                parameters=_read_template(document),
            )
        case StepKind.GATE_APPROVAL:
            return ApprovalGate(
                **fields, approval_id=document["approvalId"], message=document["message"]
            )
        case StepKind.GATE_POLICY:
            return PolicyGate(
                **fields,
                policy_id=document["policyId"],
                parameters=_read_template(document),
                failure_action=FailureAction(document["failureAction"]),
                retries=_read_retries(document["retries"]),
                override=document["override"],
                branch=_read_steps(document["branch"]),
            )
        case StepKind.PARALLEL:
            return Parallel(**fields, **_read_limit(document), lanes=_read_lanes(document))
        case StepKind.MAP:
            return MapStep(
                **fields,
                **_read_iterated(document),
                **_read_limit(document),
                output=document.get("output"),
            )
        case StepKind.LOOP:
            return Loop(
                **fields,
                **_read_iterated(document),
                max_iterations=document["maxIterations"],
                until=document["until"],
                aggregation=Aggregation(document["aggregation"]),
                output=document["output"],
                keeps_values=document.get("previous", False),
            )
        case StepKind.CONDITIONAL:
            branches = (
                Branch(condition=branch["condition"], steps=_read_steps(branch["steps"]))
                for branch in document["branches"]
            )
            return Conditional(
                **fields,
                branches=tuple(branches),
                otherwise=_read_steps(document["else"]),
                taken=document["taken"],
                union=document["outputUnion"],
            )
        case _:
            assert_never(kind)


def _read_lanes(document: JsonMapping) -> tuple[Lane, ...]:
    if "branches" not in document:
        return tuple(Lane(steps=(step,)) for step in _read_steps(document["steps"]))
    return tuple(
        Lane(steps=_read_steps(branch["steps"]), branch=branch["name"])
        for branch in document["branches"]
    )


def _read_template(document: JsonMapping) -> Template:
    return Template(document["with"], document["open"])


def _read_limit(document: JsonMapping) -> LimitFields:
    return {
        "max_parallel": document["maxParallel"],
        "max_parallel_from_inputs": document.get("maxParallelFromInputs", False),
    }


def _read_iterated(document: JsonMapping) -> IteratedFields:
    values = document["items"]
    return {
        "items": Items(
            values=None if values is None else tuple(values),
            expression=document["itemsExpression"],
        ),
        "iterator": document["iterator"],
        "index": document["index"],
        "steps": _read_steps(document["steps"]),
        "fail_fast": document.get("failFast"),
    }


def _read_output(document: JsonMapping) -> Output:
    if document["type"] == "file":
        return FileOutput(name=document["name"], path=document["path"])
    return ObjectOutput(name=document["name"], expression=document["expression"])
