"""Say what a run of a pack would do, and touch nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from taskrunner.compiler.compiled import compile_pack
from taskrunner.model.plan import (
    ApprovalGate,
    FileOutput,
    ObjectOutput,
    Output,
    RunStep,
    Step,
)
from taskrunner.model.run import Reason
from taskrunner.usecases.run_view import failure_policy

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonMapping, JsonObject


def simulate_pack(manifest: str, inputs: JsonMapping) -> JsonObject:
    """Plan *manifest* and return the API's SimulationResponse.

    Raises:
        InvalidPackError: the manifest or the inputs cannot be planned.
    """
    compiled = compile_pack(manifest, inputs)
    plan = compiled.plan
    return {
        "planHash": compiled.plan_hash,
        "definitionHash": compiled.definition_hash,
        "pack": {"name": plan.pack_name, "version": plan.pack_version},
        "failurePolicy": failure_policy(plan.failure),
        "steps": [_step(step) for step in plan.steps],
        "outputs": [_output(output) for output in plan.outputs],
        "hasPendingApprovals": any(
            isinstance(step, ApprovalGate) and step.enabled for step in plan.steps
        ),
        "budget": {
            "historyEvents": compiled.budget.history_events,
            "definitionBytes": compiled.budget.definition_bytes,
            "inputBytes": compiled.budget.input_bytes,
        },
    }


def _step(step: Step) -> JsonObject:
    view: JsonObject = {
        "id": step.id,
        "templateId": step.id,
        "kind": step.kind.value,
        "enabled": step.enabled,
        "continueOnError": step.continue_on_error,
        "children": [],
    }
    if step.name is not None:
        view["name"] = step.name
    match step:
        case RunStep():
            view |= {"status": "Pending", "uses": step.uses}
        case ApprovalGate():
            view |= {"status": "RequiresApproval", "approvalId": step.approval_id}
            if step.message is not None:
                view["gateMessage"] = step.message
        case _:
            assert_never(step)
    if not step.enabled:
        view |= {"status": "Skipped", "statusReason": Reason.CONDITION_FALSE.value}
    return view


def _output(output: Output) -> JsonObject:
    match output:
        case FileOutput():
            return {
                "name": output.name,
                "type": "file",
                "requiresRuntimeValue": True,
                "pathExpression": output.path,
            }
        case ObjectOutput():
            return {
                "name": output.name,
                "type": "object",
                "requiresRuntimeValue": True,
                "valueExpression": output.expression,
            }
        case _:
            assert_never(output)
