"""A whole plan: what the pack declares, taken over, and its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner import expressions
from taskrunner.compiler.planning.evaluator import InputEvaluator
from taskrunner.compiler.planning.previous import value_keepers
from taskrunner.compiler.planning.steps import StepPlanner, retries
from taskrunner.model.plan import (
    Approval,
    ApprovalScope,
    FailurePolicy,
    FileOutput,
    ObjectOutput,
    Plan,
    Policy,
    Rule,
    Sandbox,
    Slo,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from taskrunner.compiler.manifest.shapes import (
        ApprovalShape,
        OutputShape,
        Pack,
        PolicyShape,
        SandboxShape,
        SloShape,
    )
    from taskrunner.compiler.problems import Findings
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Output


def make_plan(pack: Pack, inputs: JsonObject, unfit: Collection[str] = ()) -> tuple[Plan, Findings]:
    """Plan a checked *pack* for the resolved *inputs*.

    Returns the plan and what fails on these inputs. With any such finding the plan is of no use,
    and neither is one with *unfit*, the names of inputs whose values have mistakes.
    """
    evaluator = InputEvaluator(inputs, unfit)
    return _plan(pack, inputs, evaluator), evaluator.findings


def make_structure(pack: Pack) -> Plan:
    """Plan a checked *pack* without inputs: what they decide stays open, as if a run decided it.

    It says what all runs of the pack have in common. It is never carried out.
    """
    return _plan(pack, {}, InputEvaluator(None))


def _plan(pack: Pack, inputs: JsonObject, evaluator: InputEvaluator) -> Plan:
    spec = pack.spec
    planned_retries = retries(spec.failure.retries, evaluator, ("spec", "failure", "retries"))
    failure = FailurePolicy(planned_retries, spec.failure.continue_on_error)
    messages = {approval.id: approval.message for approval in spec.approvals}
    planner = StepPlanner(failure, messages, value_keepers(spec), evaluator)
    return Plan(
        pack_name=pack.metadata.name,
        pack_version=pack.metadata.version,
        inputs=inputs,
        failure=failure,
        sandbox=_sandbox(spec.sandbox),
        slo=_slo(spec.slo),
        approvals=tuple(_approval(approval) for approval in spec.approvals),
        policies=tuple(_policy(policy) for policy in spec.policies),
        secrets=tuple(secret.name for secret in spec.secrets),
        steps=planner.steps(spec.steps, ("spec", "steps")),
        final_steps=planner.steps(spec.final_steps, ("spec", "finally")),
        outputs=tuple(_output(output) for output in spec.outputs),
    )


def _sandbox(shape: SandboxShape) -> Sandbox:
    return Sandbox(
        mode=shape.mode,
        egress_allowlist=tuple(shape.egress_allowlist),
        cpu_limit_millicores=shape.cpu_limit_millicores,
        memory_limit_mib=shape.memory_limit_mib,
        quota_s=shape.quota_seconds,
    )


def _slo(shape: SloShape) -> Slo:
    return Slo(
        run_p95_s=shape.run_p95_seconds,
        approval_p95_s=shape.approval_p95_seconds,
        max_queue_depth=shape.max_queue_depth,
    )


def _approval(shape: ApprovalShape) -> Approval:
    return Approval(
        id=shape.id,
        grants=tuple(shape.grants),
        min_approvals=shape.min_approvals,
        distinct_from_requester=shape.distinct_from_requester,
        expires_after_s=shape.expires_after_seconds,
        message=shape.message,
        scope=ApprovalScope(shape.scope),
    )


def _policy(shape: PolicyShape) -> Policy:
    rules = (
        Rule(id=rule.id, require=expressions.parse(rule.require).text, message=rule.message)
        for rule in shape.rules or ()
    )
    return Policy(id=shape.id, version=shape.version, rules=tuple(rules), uses=shape.uses)


def _output(shape: OutputShape) -> Output:
    if shape.type == "file":
        return FileOutput(name=shape.name, path=shape.path or "")
    return ObjectOutput(name=shape.name, expression=shape.expression or "")
