"""Single states: clones of the frame's prototypes, filled in for one step.

The words of the States Language are in the prototypes, in this module, in emit, and in ways, which
reads what is emitted.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Final

from taskrunner.compiler.beginnings import begins_with_items
from taskrunner.compiler.machine.execution_input import decisions_read
from taskrunner.compiler.machine.frame import prototypes
from taskrunner.model.plan import walk
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taskrunner.model.json_types import Json, JsonMapping, JsonObject
    from taskrunner.model.plan import MapStep, Parallel, Step


@dataclass(frozen=True, slots=True)
class Exits:
    """The states that a step leads to: *follower*, and *on_failure* (None: the run fails).

    *failure_path* is where *on_failure* looks for the error, if it does.
    """

    follower: str
    on_failure: str | None
    failure_path: str | None = None

    def followed_by(self, follower: str) -> Exits:
        """Return the same exits with another follower."""
        return replace(self, follower=follower)


# Where the answer to a question is, in what Lambda's call returns.
ANSWER: Final = "$.decision.Payload.value"
# Where a loop that takes turns looks for the failure of its iteration.
LOOP_FAILURE: Final = "$.place.next"


# The values of a retrier and of a Map without them, by the States Language.
_RETRIER_DEFAULTS: Final = {"IntervalSeconds": 1, "BackoffRate": 2}
_MAP_DEFAULTS: Final = {"ProcessorConfig": {"Mode": "INLINE"}}


def clone(name: str) -> JsonObject:
    """Return a copy of the prototype *name*, without what says nothing to Step Functions.

    A definition has room for about 1 KB for each of a thousand steps. Comments are for readers of
    the prototypes, and defaults of retriers and Maps are left out.
    """
    state: JsonObject = json.loads(_prototype_text(name))
    return state


@cache
def _prototype_text(name: str) -> str:
    """Return a prototype as JSON, because reading JSON is the fastest way to copy a state."""
    return json.dumps(_compact(prototypes()[name]))


def _compact(node: Json) -> Json:
    if isinstance(node, list):
        return [_compact(child) for child in node]
    if not isinstance(node, dict):
        return node
    omitted: JsonMapping = _RETRIER_DEFAULTS if "ErrorEquals" in node else _MAP_DEFAULTS
    return {
        key: _compact(child)
        for key, child in node.items()
        if key != "Comment" and (key not in omitted or child != omitted[key])
    }


def ask(question: str, exits: Exits, prototype: str = "Decide") -> JsonObject:
    """Return a Task that asks a *question*, as a clone of *prototype*.

    The state's name says which step is meant: it is the step's id, or ends in it.
    """
    state = wired(clone(prototype), exits)
    state["Parameters"]["Payload"]["ask"] = question
    return state


def ask_alone(question: str, exits: Exits) -> JsonObject:
    """Return a Task that asks a *question* whose answer no state reads."""
    state = ask(question, exits)
    state["ResultPath"] = None
    return state


def choose(
    targets: Mapping[bool, str] | Mapping[int, str] | Mapping[str, str],
    default: str,
    variable: str = ANSWER,
) -> JsonObject:
    """Return a Choice that leads to the target for the value of *variable*, else to *default*."""
    state = clone("Choose")
    state["Choices"] = [
        {"Variable": variable, _comparison(value): value, "Next": target}
        for value, target in targets.items()
    ]
    state["Default"] = default
    return state


def map_over(step: Step, prototype: str, inside: Iterable[Step]) -> JsonObject:
    """Return a Map whose iterations are given what the states of *inside* read of the input."""
    state = clone(prototype)
    state["ItemsPath"] = ANSWER if begins_with_items(step) else f"$.items['{step.id}']"
    for name in decisions_read(walk(inside)):
        state["ItemSelector"][f"{name}.$"] = f"$.{name}"
    return state


def limit(state: JsonObject, step: Parallel | MapStep) -> None:
    """Let the Map *state* run as many iterations at a time as *step* says, if it says so."""
    if step.max_parallel_from_inputs:
        del state["MaxConcurrency"]
        state["MaxConcurrencyPath"] = f"$.maxParallel['{step.id}']"
    elif step.max_parallel is not None:
        state["MaxConcurrency"] = step.max_parallel


def name_steps(states: JsonObject) -> None:
    """Write into *states*, and those inside them, which steps they belong to.

    A state's name is the step's id, or ends in it after a space. The id is written again where
    functions are called and paths are made, because an emulator shares the context object, which
    has the name too, among the branches of a Parallel.
    """
    for name, state in states.items():
        step_id = name.rpartition(" ")[2]
        if "step" in state.get("Parameters", {}).get("Payload", {}):
            state["Parameters"]["Payload"]["step"] = step_id
        place = state.get("ItemSelector", {}).get("place", {})
        if "{}" in place.get("path.$", ""):
            prefix = f"'{{}}{step_id}[{{}}]::'"
            place["path.$"] = f"States.Format({prefix}, $.place.path, $$.Map.Item.Value)"
        for branch in [*state.get("Branches", ()), state.get("ItemProcessor", {"States": {}})]:
            name_steps(branch["States"])


def done() -> JsonObject:
    """Return the end of a branch or iteration."""
    branch = clone("Parallel")["Branches"][0]
    state: JsonObject = branch["States"][branch["StartAt"]]
    return state


def only_tasks_lead_to(end: str, states: JsonObject) -> bool:
    """Return whether no Choice and no catcher leads to *end*: they cannot end themselves."""
    rules = (
        rule
        for state in states.values()
        for rule in [*state.get("Choices", ()), *state.get("Catch", ())]
    )
    defaults = (state.get("Default") for state in states.values())
    return end not in defaults and end not in (rule["Next"] for rule in rules)


def end_in_place_of(end: str, states: JsonObject) -> None:
    """Let *states* end, without output, where they would lead to *end*."""
    for state in states.values():
        if state.get("Next") == end:
            del state["Next"]
            state.pop("ResultPath", None)
            state |= {"OutputPath": None, "End": True}


def drop_results_before(end: str, states: JsonObject) -> None:
    """Let *states* say nothing of what they hand to *end*, which discards it."""
    for state in states.values():
        for leaving in [state, *state.get("Catch", ())]:
            if leaving.get("Next") == end and leaving.get("ResultPath", "") is None:
                del leaving["ResultPath"]


def wired(state: JsonObject, exits: Exits) -> JsonObject:
    """Return *state* with its follower, and with its catcher for failures if there is one.

    The last catcher of each prototype is the one for failures.
    """
    state["Next"] = exits.follower
    catchers = state.pop("Catch")
    if exits.on_failure is None:
        catchers.pop()
    else:
        catchers[-1]["Next"] = exits.on_failure
        if exits.failure_path is not None:
            catchers[-1]["ResultPath"] = exits.failure_path
    if catchers:
        state["Catch"] = catchers
    return state


def _comparison(value: bool | int | str) -> str:  # noqa: FBT001 - the value is what is compared
    if isinstance(value, bool):
        return "BooleanEquals"
    return "NumericEquals" if isinstance(value, int) else "StringEquals"
