"""Stage 5: a plan's structure becomes Amazon States Language. A plan that exists can be emitted.

The states are clones of the prototypes in statemachine/pack_run.asl.yaml. The words of the States
Language stand there and in this module, and nowhere else. A machine depends on the pack's structure
alone: what inputs decide travels in the execution's input, so that all runs of a pack share one.
"""

from __future__ import annotations

import hashlib
from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, assert_never

import rfc8785
import yaml

from taskrunner.model.plan import ApprovalGate, Plan, RunStep, Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.model.json_types import Json, JsonObject

FRAME: Final = "Pack steps"
DONE: Final = "Steps done"
_WHEN, _RUN, _GATE, _EXPIRE = "When", "Run", "Approval gate", "Expire gate"


def when_state(step: Step) -> str:
    """The state that decides whether *step* is run."""
    return f"{_WHEN} {step.id}"


def expire_state(step: Step) -> str:
    """The state that expires the gate *step*."""
    return f"Expire {step.id}"


def entry_state(step: Step) -> str:
    """The state in which *step* begins."""
    return step.id if step.when is None else when_state(step)


def machine(plan: Plan) -> JsonObject:
    """The pack's machine, with `${...}` where a deployment puts its functions."""
    definition = deepcopy(_frame())
    definition["Comment"] = f"Task pack {plan.pack_name} {plan.pack_version}"
    branch = definition["States"][FRAME]["Branches"][0]
    prototypes = branch["States"]
    states: JsonObject = {}
    expires_after_s = {approval.id: approval.expires_after_s for approval in plan.approvals}
    followers = [*(entry_state(step) for step in plan.steps[1:]), DONE]
    for step, follower in zip(plan.steps, followers, strict=True):
        if step.when is not None:
            states[when_state(step)] = _when(step, follower, prototypes)
        states.update(_states(step, follower, prototypes, expires_after_s))
    states[DONE] = prototypes[DONE]
    definition["States"][FRAME]["Branches"][0] = {
        "StartAt": entry_state(plan.steps[0]),
        "States": states,
    }
    return definition


def definition_hash(definition: JsonObject) -> str:
    """`sha256:` and 64 hex digits over the RFC 8785 form of a machine."""
    return "sha256:" + hashlib.sha256(rfc8785.dumps(definition)).hexdigest()


def execution_input(plan: Plan, tenant: str, run_id: str) -> JsonObject:
    """What an execution of the pack's machine starts with: references and decided conditions."""
    return {
        "run": {"tenant": tenant, "id": run_id},
        "path": "",
        "when": {step.id: step.enabled for step in plan.steps if step.when is not None},
        "error": None,
    }


def bind(definition: JsonObject, functions: Mapping[str, str]) -> JsonObject:
    """*definition* with every `${Name}` replaced by the ARN that *functions* has for it."""

    def bound(node: Json) -> Json:
        if isinstance(node, dict):
            # A comment is the author's text, whatever it begins with; a step may be called Comment.
            return {
                key: child if key == "Comment" and isinstance(child, str) else bound(child)
                for key, child in node.items()
            }
        if isinstance(node, list):
            return [bound(child) for child in node]
        if isinstance(node, str) and node.startswith("${"):
            return functions[node[2:-1]]
        return node

    result: JsonObject = bound(definition)
    return result


def bindings(deployed: JsonObject) -> dict[str, str]:
    """What a deployment put in place of each `${Name}` of the frame, read off its machine.

    Raises:
        KeyError: the deployed machine has not the frame's shape: it is of another release.
    """
    found: dict[str, str] = {}

    def compare(ours: Json, theirs: Json) -> None:
        if isinstance(ours, dict):
            for key, child in ours.items():
                compare(child, theirs[key])
        elif isinstance(ours, list):
            for ours_child, theirs_child in zip(ours, theirs, strict=True):
                compare(ours_child, theirs_child)
        elif isinstance(ours, str) and ours.startswith("${"):
            found[ours[2:-1]] = theirs

    compare(_frame(), deployed)
    return found


@cache
def _frame() -> JsonObject:
    text = files(__package__).joinpath("pack_run.asl.yaml").read_text(encoding="utf-8")
    frame: JsonObject = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return frame


def _when(step: Step, follower: str, prototypes: JsonObject) -> JsonObject:
    state: JsonObject = deepcopy(prototypes[_WHEN])
    state["Comment"] = f"Whether to run: {step.when}"
    state["Choices"][0] |= {"Variable": f"$.when['{step.id}']", "Next": step.id}
    state["Default"] = follower
    return state


def _states(
    step: Step, follower: str, prototypes: JsonObject, expires_after_s: Mapping[str, int]
) -> JsonObject:
    match step:
        case RunStep():
            return {step.id: _run(step, follower, prototypes)}
        case ApprovalGate():
            gate = _clone(step, follower, prototypes[_GATE])
            gate["TimeoutSeconds"] = expires_after_s[step.approval_id]
            gate["Catch"][0]["Next"] = expire_state(step)
            expire = _clone(step, follower, prototypes[_EXPIRE])
            expire["Comment"] = prototypes[_EXPIRE]["Comment"]  # the name is told at the gate
            return {step.id: gate, expire_state(step): expire}
        case _:
            assert_never(step)


def _run(step: RunStep, follower: str, prototypes: JsonObject) -> JsonObject:
    state = _clone(step, follower, prototypes[_RUN])
    # The States Language knows no pause of zero seconds: one is the least.
    state["Retry"][-1] |= {
        "IntervalSeconds": max(1, step.retries.backoff_s),
        "MaxAttempts": step.retries.max_attempts - 1,
    }
    return state


def _clone(step: Step, follower: str, prototype: JsonObject) -> JsonObject:
    """*prototype* as a state of *step*, with the catch-and-go-on only where the pack wants it."""
    state: JsonObject = deepcopy(prototype)
    if step.name is not None:
        state["Comment"] = step.name
    state["Parameters"]["Payload"]["step"] = step.id
    state["Next"] = follower
    # The last catcher of each prototype is the one that goes on.
    catchers = state.pop("Catch")
    if step.continue_on_error:
        catchers[-1]["Next"] = follower
    else:
        catchers.pop()
    if catchers:
        state["Catch"] = catchers
    return state
