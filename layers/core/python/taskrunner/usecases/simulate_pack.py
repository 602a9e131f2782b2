"""Say what a run of a pack would do, and touch nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, assert_never

from taskrunner.compiler.budget import prices
from taskrunner.compiler.driver import compile_pack
from taskrunner.model.ceilings import NO_CEILINGS, Ceilings
from taskrunner.model.plan import (
    ApprovalGate,
    Conditional,
    FileOutput,
    Loop,
    MapStep,
    ObjectOutput,
    Output,
    Parallel,
    PolicyGate,
    RunStep,
    Step,
)
from taskrunner.model.run import Reason
from taskrunner.model.wording import shortened
from taskrunner.runtime.run_view import failure_policy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from taskrunner.compiler.budget.limits import Budget
    from taskrunner.model.json_types import JsonMapping, JsonObject
    from taskrunner.model.plan import Plan

# A map of more items than this is shown by its template, as an answer has 6 MB at most.
MOST_EXPANDED: Final = 1000


def simulate_pack(
    manifest: str, inputs: JsonMapping, ceilings: Ceilings = NO_CEILINGS
) -> JsonObject:
    """Plan *manifest* within *ceilings* and return the API's SimulationResponse.

    Raises:
        InvalidPackError: the manifest or the inputs cannot be planned.
    """
    compiled = compile_pack(manifest, inputs, ceilings)
    plan = compiled.plan
    steps = simulate_plan(plan, compiled.distributed)
    return {
        "planHash": compiled.plan_hash,
        "definitionHash": compiled.definition_hash,
        "pack": {"name": plan.pack_name, "version": plan.pack_version},
        "failurePolicy": failure_policy(plan.failure),
        "steps": steps,
        "outputs": [_output(output) for output in plan.outputs],
        "hasPendingApprovals": _has_approvals(steps),
        "budget": budget_view(compiled.budget),
    }


def simulate_plan(plan: Plan, distributed: Collection[str] = ()) -> list[JsonObject]:
    """Return the steps of *plan* as the API's SimulationSteps.

    *distributed* are the ids of its Distributed Maps.
    """
    return _Simulation(plan, distributed).list(plan.steps)


def _has_approvals(steps: Iterable[JsonObject]) -> bool:
    """Whether any gate asks for an approval as far as can be known."""
    return any(
        step["status"] == "RequiresApproval"
        or (step["status"] == "RequiresPolicy" and "approvalId" in step)
        or _has_approvals(step["children"])
        for step in steps
    )


class _Simulation:
    """The steps of one plan as the API's SimulationSteps: the table of the language's section 6."""

    def __init__(self, plan: Plan, distributed: Collection[str]) -> None:
        self._plan = plan
        self._distributed = distributed

    def list(
        self, steps: Iterable[Step], iteration: str = "", fate: Reason | None = None
    ) -> list[JsonObject]:
        return [self._step(step, iteration, fate) for step in steps]

    def _step(self, step: Step, iteration: str, fate: Reason | None) -> JsonObject:
        view: JsonObject = {
            "id": iteration + step.id,
            "templateId": step.id,
            "name": step.name,
            "kind": step.kind.value,
            "enabled": step.enabled is not False and fate is None,
            "continueOnError": step.continue_on_error,
        }
        if step.enabled is None:
            view["statusReason"] = Reason.CONDITION_AT_RUNTIME.value
        if step.enabled is False:
            fate = Reason.CONDITION_FALSE
        inner = Reason.PARENT_SKIPPED if fate is not None else None
        view |= self._own(step, iteration, inner)
        if fate is not None:
            view |= {"status": "Skipped", "statusReason": fate.value}
        return {key: value for key, value in view.items() if value is not None}

    def _own(self, step: Step, iteration: str, inner: Reason | None) -> JsonObject:
        match step:
            case RunStep():
                return {"status": "Pending", "uses": step.uses, "children": []}
            case ApprovalGate():
                return {
                    "status": "RequiresApproval",
                    "approvalId": step.approval_id,
                    "gateMessage": step.message,
                    "children": [],
                }
            case PolicyGate():
                return {
                    "status": "RequiresPolicy",
                    "approvalId": step.override,
                    "policyInfo": {
                        "policyId": step.policy_id,
                        "policyVersion": self._plan.policy(step.policy_id).version,
                        "failureAction": step.failure_action.value,
                        "retryCount": step.retries.max_attempts - 1,
                    },
                    "children": self.list(step.branch, iteration, inner),
                }
            case Parallel():
                return {
                    "status": "Pending",
                    "maxParallel": step.max_parallel,
                    "children": self.list(step.steps, iteration, inner),
                }
            case MapStep():
                return self._map(step, iteration, inner)
            case Loop():
                return {
                    "status": "WillIterate",
                    "loopInfo": _loop_info(step),
                    "children": self.list(step.steps, iteration, inner),
                }
            case Conditional():
                return self._conditional(step, iteration, inner)
            case _:
                assert_never(step)

    def _map(self, step: MapStep, iteration: str, inner: Reason | None) -> JsonObject:
        view: JsonObject = {
            "maxParallel": step.max_parallel,
            "mapInfo": {
                "iterator": step.iterator,
                "index": step.index,
                "mode": "distributed" if step.id in self._distributed else "inline",
                "itemCount": None if step.items.values is None else len(step.items.values),
                "itemsExpression": step.items.expression,
            },
        }
        view["mapInfo"] = {k: v for k, v in view["mapInfo"].items() if v is not None}
        values = step.items.values
        if values is None or inner is not None or len(values) > MOST_EXPANDED:
            status = "Pending" if values is not None else "WillIterate"
            return view | {"status": status, "children": self.list(step.steps, iteration, inner)}
        children = [
            child
            for index in range(len(values))
            for child in self.list(step.steps, f"{iteration}{step.id}[{index}]::")
        ]
        return view | {"status": "Pending", "children": children}

    def _conditional(self, step: Conditional, iteration: str, inner: Reason | None) -> JsonObject:
        children: list[JsonObject] = []
        for number, arm in enumerate(step.arms):
            passed = step.taken is not None and number != step.taken
            fate = Reason.BRANCH_NOT_TAKEN if passed else inner
            children += self.list(arm, iteration, fate)
        return {
            "status": "WillBranch",
            "conditionalInfo": {
                "branches": [
                    {"condition": branch.condition, "stepCount": len(branch.steps)}
                    for branch in step.branches
                ],
                "elseStepCount": len(step.otherwise),
                "outputUnion": step.union,
            },
            "children": children,
        }


def _loop_info(step: Loop) -> JsonObject:
    items = step.items
    text = items.expression
    if text is None:
        text = json.dumps(list(items.values or ()), ensure_ascii=False)
    return {
        "itemsExpression": shortened(text),
        "iterator": step.iterator,
        "index": step.index,
        "maxIterations": step.max_iterations,
        "aggregationMode": step.aggregation.value,
    }


def budget_view(counted: Budget) -> JsonObject:
    """The worst case of a run, and what it costs at list prices."""
    return {
        "historyEvents": counted.history_events,
        "stateTransitions": counted.state_transitions,
        "invocations": counted.invocations,
        "definitionBytes": counted.definition_bytes,
        "inputBytes": counted.input_bytes,
        "estimatedCostUsd": prices.estimated_usd(counted),
    }


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
