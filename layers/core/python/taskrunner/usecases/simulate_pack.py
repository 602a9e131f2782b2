"""Say what a run of a pack would do, without side effects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, assert_never

from taskrunner.compiler.budget import prices
from taskrunner.compiler.driver import CompiledPack, compile_pack
from taskrunner.expressions import messages
from taskrunner.model import api_view, step_path
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

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from taskrunner.compiler.budget.limits import Budget
    from taskrunner.compiler.driver import CompiledPack
    from taskrunner.model.json_types import JsonMapping, JsonObject
    from taskrunner.model.plan import Plan

# A map of more items than this is shown by its template, because an answer has at most 6 MB.
MAX_EXPANDED_ITEMS: Final = 1000


def simulate_pack(
    manifest: str,
    inputs: JsonMapping,
    ceilings: Ceilings = NO_CEILINGS,
    comparison: Callable[[CompiledPack], JsonObject] | None = None,
) -> JsonObject:
    """Plan *manifest* within *ceilings* and return the API's SimulationResponse.

    *comparison* compares the plan with another one, if the caller asks for it.

    Raises:
        InvalidPackError: the manifest or the inputs cannot be planned.
    """
    compiled = compile_pack(manifest, inputs, ceilings)
    answer = simulation(compiled)
    return answer if comparison is None else answer | {"comparison": comparison(compiled)}


def simulation(compiled: CompiledPack) -> JsonObject:
    """Return a compiled pack as the API's SimulationResponse."""
    plan = compiled.plan
    steps = simulate_plan(plan, compiled.distributed)
    return {
        "planHash": compiled.plan_hash,
        "definitionHash": compiled.definition_hash,
        "pack": {"name": plan.pack_name, "version": plan.pack_version},
        "failurePolicy": api_view.failure_policy(plan.failure),
        "steps": steps,
        "outputs": [_output(output) for output in plan.outputs],
        "hasPendingApprovals": _has_approvals(steps),
        "budget": budget_view(compiled.budget),
    }


def simulate_plan(plan: Plan, distributed: Collection[str] = ()) -> list[JsonObject]:
    """Return the steps of *plan* as the API's SimulationSteps, those of `finally` last.

    *distributed* are the ids of its Distributed Maps.
    """
    simulation = _Simulation(plan, distributed)
    final = simulation.list(plan.final_steps)
    return [*simulation.list(plan.steps), *(step | {"phase": "finally"} for step in final)]


def _has_approvals(steps: Iterable[JsonObject]) -> bool:
    """Return whether a gate may wait for an approval, as far as planning knows."""
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
        self, steps: Iterable[Step], prefix: str = "", skipped: Reason | None = None
    ) -> list[JsonObject]:
        """*steps* with the *prefix* of their iteration; *skipped* is why none of them is run."""
        return [self._step(step, prefix, skipped) for step in steps]

    def _step(self, step: Step, prefix: str, skipped: Reason | None) -> JsonObject:
        view: JsonObject = {
            "id": step_path.join(prefix, step.id),
            "templateId": step.id,
            "name": step.name,
            "kind": step.kind.value,
            "enabled": step.enabled is not False and skipped is None,
            "continueOnError": step.continue_on_error,
        }
        if step.enabled is None:
            view["statusReason"] = Reason.CONDITION_AT_RUNTIME.value
        if step.enabled is False:
            skipped = Reason.CONDITION_FALSE
        children_skipped = None if skipped is None else Reason.PARENT_SKIPPED
        view |= self._by_kind(step, prefix, children_skipped)
        if skipped is not None:
            view |= {"status": "Skipped", "statusReason": skipped.value}
        return {key: value for key, value in view.items() if value is not None}

    def _by_kind(self, step: Step, prefix: str, skipped: Reason | None) -> JsonObject:
        match step:
            case RunStep():
                return {
                    "status": "Pending",
                    "uses": step.uses,
                    "retries": api_view.retries(step),
                    "children": [],
                }
            case ApprovalGate():
                return {
                    "status": "RequiresApproval",
                    "approvalId": step.approval_id,
                    "gateMessage": self._message(step.message, prefix),
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
                    "retries": api_view.retries(step),
                    "children": self.list(step.branch, prefix, skipped),
                }
            case Parallel():
                return {
                    "status": "Pending",
                    "maxParallel": step.max_parallel,
                    "children": [
                        child | ({} if lane.branch is None else {"branch": lane.branch})
                        for lane in step.lanes
                        for child in self.list(lane.steps, prefix, skipped)
                    ],
                }
            case MapStep():
                return self._map(step, prefix, skipped)
            case Loop():
                return {
                    "status": "WillIterate",
                    "loopInfo": _loop_info(step),
                    "children": self.list(step.steps, prefix, skipped),
                }
            case Conditional():
                return self._conditional(step, prefix, skipped)
            case _:
                assert_never(step)

    def _map(self, step: MapStep, prefix: str, skipped: Reason | None) -> JsonObject:
        view: JsonObject = {
            "maxParallel": step.max_parallel,
            "mapInfo": {
                "iterator": step.iterator,
                "index": step.index,
                "mode": "distributed" if step.id in self._distributed else "inline",
                "itemCount": None if step.items.values is None else len(step.items.values),
                "itemsExpression": step.items.expression,
                "failFast": step.fail_fast,
            },
        }
        view["mapInfo"] = {k: v for k, v in view["mapInfo"].items() if v is not None}
        values = step.items.values
        if values is None or skipped is not None or len(values) > MAX_EXPANDED_ITEMS:
            status = "Pending" if values is not None else "WillIterate"
            return view | {"status": status, "children": self.list(step.steps, prefix, skipped)}
        path = step_path.join(prefix, step.id)
        children = [
            child
            for index in range(len(values))
            for child in self.list(step.steps, step_path.iteration_prefix(path, index))
        ]
        return view | {"status": "Pending", "children": children}

    def _message(self, message: str | None, prefix: str) -> str | None:
        """Return a gate's message as far as it is known: inputs, and items that are listed."""
        if message is None:
            return None
        context: JsonObject = {"inputs": self._plan.inputs}
        for iteration in step_path.iterations(prefix):
            block = self._plan.step(iteration.block_id)
            if isinstance(block, MapStep) and block.items.values is not None:
                context[block.iterator] = block.items.values[iteration.number]
                context[block.index] = iteration.number
        return messages.filled_as_far_as_known(message, context)

    def _conditional(self, step: Conditional, prefix: str, skipped: Reason | None) -> JsonObject:
        children: list[JsonObject] = []
        for number, arm in enumerate(step.arms):
            is_not_taken = step.taken is not None and number != step.taken
            arm_skipped = Reason.BRANCH_NOT_TAKEN if is_not_taken else skipped
            children += self.list(arm, prefix, arm_skipped)
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
        **({} if step.fail_fast is None else {"failFast": step.fail_fast}),
    }


def budget_view(counted: Budget) -> JsonObject:
    """Return a run's worst case, and its cost at list prices."""
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
