"""Stage 5: a plan's structure becomes Amazon States Language. A plan that exists can be emitted.

The states are clones of the prototypes in statemachine/pack_run.asl.yaml. The words of the States
Language stand there, in this module, and in `gates`, which reads what is emitted. A machine depends
on the pack's structure alone: what inputs decide travels in the execution's input, so that all runs
of a pack share one.

A failure leaves a step by the nearest way out around it, its *escape*: the next step, when the step
itself may fail; the end of its iteration or branch, when the block around it may; else none, and
the whole run fails. How each kind is wired:

* run, gate.approval   one Task; a gate has `Expire <id>` behind its timeout
* gate.policy          Task `<id>` asks for a verdict, Choice `Verdict <id>` follows it: on, to
                       `Pause <id>` and again, to the gate `Override <id>`, or into its branch;
                       it asks run_step when it takes secrets or a function, else decide_flow
* parallel             Parallel; with maxParallel a Map over branch numbers with a Choice inside
* map, loop            Map over indexes, Distributed when the plan needs it; `Items <id>` asks for
                       the indexes when they are not known before; a loop's runs one at a time
* loop with until      Task `<id>` asks for a turn, Choice `Again <id>`, Pass `Iteration <id>` or
                       `Leave <id>`; a contained failure leaves by `Break <id>` and `Broken <id>`
* conditional          Choice `<id>`; or Task `<id>` asks, and Choice `Branch <id>` follows
* when                 Choice `When <id>`; or Task `When <id>` asks, and `Whether <id>` follows
"""

from __future__ import annotations

import hashlib
from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, assert_never

import rfc8785
import yaml

from taskrunner.compiler import budget
from taskrunner.expressions import templates
from taskrunner.model import step_path
from taskrunner.model.plan import (
    ApprovalGate,
    Conditional,
    FailureAction,
    Iterated,
    Loop,
    MapStep,
    Parallel,
    Plan,
    PolicyGate,
    RunStep,
    Step,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskrunner.model.json_types import Json, JsonObject

FRAME: Final = "Pack steps"
DONE: Final = "Steps done"


def machine(plan: Plan) -> JsonObject:
    """The pack's machine, with `${...}` where a deployment puts its functions."""
    definition = deepcopy(_frame())
    definition["Comment"] = f"Task pack {plan.pack_name} {plan.pack_version}"
    emitter = _Emitter(plan)
    states = emitter.chain(plan.steps, DONE, None)
    states[DONE] = emitter.prototype(DONE)
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
    steps = list(plan.all_steps())
    return {
        "run": {"tenant": tenant, "id": run_id},
        "path": "",
        "when": {step.id: step.enabled for step in steps if _is_planned_when(step)},
        "branch": {step.id: _taken(step) for step in steps if _is_planned_choice(step)},
        "items": {step.id: list(range(_count(step))) for step in steps if _is_planned_map(step)},
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
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    frame: JsonObject = yaml.load(text, Loader=loader)  # noqa: S506 - both are safe
    return frame


def entry_state(step: Step) -> str:
    """The state in which *step* begins."""
    if step.when is not None:
        return f"When {step.id}"
    return _begin(step)


def _begin(step: Step) -> str:
    """The state in which *step* begins once it is known that it is run."""
    asks_for_items = isinstance(step, MapStep | Loop) and step.items.values is None
    return f"Items {step.id}" if asks_for_items and not _is_cycle(step) else step.id


def _is_cycle(step: Step) -> bool:
    return isinstance(step, Loop) and step.until is not None


def _is_planned_when(step: Step) -> bool:
    return step.when is not None and step.enabled is not None


def _is_planned_choice(step: Step) -> bool:
    return isinstance(step, Conditional) and step.taken is not None


def _taken(step: Step) -> int | None:
    return step.taken if isinstance(step, Conditional) else None


def _is_planned_map(step: Step) -> bool:
    """Whether *step* becomes a Map whose indexes are known before the run."""
    if isinstance(step, Parallel):
        return step.max_parallel is not None
    return (
        isinstance(step, MapStep | Loop) and step.items.values is not None and not _is_cycle(step)
    )


def _count(step: Step) -> int:
    match step:
        case Parallel():
            return len(step.steps)
        case MapStep() | Loop() if step.items.values is not None:
            return len(step.items.values)
        case _:
            return 0


class _Emitter:
    """Clones the prototypes for one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._prototypes: JsonObject = _frame()["States"][FRAME]["Branches"][0]["States"]
        self._distributed = budget.distributed(plan)

    def prototype(self, name: str) -> JsonObject:
        state: JsonObject = deepcopy(self._prototypes[name])
        return state

    def chain(self, steps: Sequence[Step], follower: str, escape: str | None) -> JsonObject:
        """The states of *steps*, one after another, and then *follower*."""
        states: JsonObject = {}
        following = [*(entry_state(step) for step in steps), follower][1:]
        for step, after in zip(steps, following, strict=True):
            states.update(self._step(step, after, escape))
        return states

    def _step(self, step: Step, follower: str, escape: str | None) -> JsonObject:
        # Whoever may fail lets the run go on behind it.
        out = follower if step.continue_on_error else escape
        return self._when(step, follower, out) | self._body(step, follower, out)

    def _when(self, step: Step, follower: str, out: str | None) -> JsonObject:
        if step.when is None:
            return {}
        begin = _begin(step)
        if step.enabled is not None:
            state = self.prototype("When")
            state["Comment"] = f"Whether to run: {step.when}"
            state["Choices"][0] |= {"Variable": f"$.when['{step.id}']", "Next": begin}
            state["Default"] = follower
            return {f"When {step.id}": state}
        return {
            f"When {step.id}": self._ask(step, "condition", f"Whether {step.id}", out),
            f"Whether {step.id}": self._choose({True: begin}, follower),
        }

    def _body(self, step: Step, follower: str, out: str | None) -> JsonObject:
        match step:
            case RunStep():
                return {step.id: self._run(step, follower, out)}
            case ApprovalGate():
                return self._gate(step, step.id, step.approval_id, follower, out)
            case PolicyGate():
                return self._policy(step, follower, out)
            case Parallel():
                return {step.id: self._parallel(step, follower, out)}
            case MapStep():
                return self._map(step, follower, out)
            case Loop():
                return (self._cycle if _is_cycle(step) else self._map)(step, follower, out)
            case Conditional():
                return self._conditional(step, follower, out)
            case _:
                assert_never(step)

    def _run(self, step: RunStep, follower: str, out: str | None) -> JsonObject:
        state = self._task("Run", step, follower, out)
        # The States Language knows no pause of zero seconds: one is the least.
        state["Retry"][-1] |= {
            "IntervalSeconds": max(1, step.retries.backoff_s),
            "MaxAttempts": step.retries.max_attempts - 1,
        }
        return state

    def _gate(
        self, step: Step, name: str, approval_id: str, follower: str, out: str | None
    ) -> JsonObject:
        gate = self._task("Approval gate", step, follower, out)
        gate["TimeoutSeconds"] = self._plan.approval(approval_id).expires_after_s
        gate["Catch"][0]["Next"] = f"Expire {step.id}"
        expire = self._task("Expire gate", step, follower, out)
        expire["Comment"] = self._prototypes["Expire gate"]["Comment"]  # the name is at the gate
        return {name: gate, f"Expire {step.id}": expire}

    def _policy(self, step: PolicyGate, follower: str, out: str | None) -> JsonObject:
        ways = {"retry": f"Pause {step.id}"} if step.retries.max_attempts > 1 else {}
        by = "Policy call" if templates.is_privileged(step, self._plan) else "Decide"
        states = {step.id: self._ask(step, "policy", f"Verdict {step.id}", out, by)}
        if ways:
            pause = self.prototype("Pause")
            states[f"Pause {step.id}"] = pause | {
                "Seconds": max(1, step.retries.backoff_s),
                "Next": step.id,
            }
        if step.failure_action is FailureAction.REQUEST_OVERRIDE and step.override is not None:
            name = f"Override {step.id}"
            ways["override"] = name
            states |= self._gate(step, name, step.override, follower, out)
        if step.failure_action is FailureAction.BRANCH:
            ways["branch"] = entry_state(step.branch[0])
            states |= self.chain(step.branch, follower, out)
        states[f"Verdict {step.id}"] = self._choose(ways, follower)
        if not ways:
            # It passes, or it fails: there is nothing to choose.
            del states[f"Verdict {step.id}"]
            states[step.id]["Next"] = follower
        return states

    def _parallel(self, step: Parallel, follower: str, out: str | None) -> JsonObject:
        if step.max_parallel is not None:
            return self._limited(step, step.max_parallel, follower, out)
        state = self.prototype("Parallel")
        state["Branches"] = [self._scope((child,), f"End {child.id}", step) for child in step.steps]
        return self._wired(state, step, follower, out)

    def _limited(
        self, step: Parallel, max_parallel: int, follower: str, out: str | None
    ) -> JsonObject:
        """A Map over branch numbers, since a Parallel cannot limit how many run at a time."""
        state = self._over(step, "Map", step.steps)
        state["ItemSelector"] |= {"path.$": "$.path", "lane.$": "$$.Map.Item.Value"}
        state["MaxConcurrency"] = max_parallel
        done, lane = f"Done {step.id}", f"Lane {step.id}"
        escape = done if step.continue_on_error else None
        ways = {number: entry_state(child) for number, child in enumerate(step.steps)}
        states: JsonObject = {lane: self._choose(ways, done, "$.lane")}
        for child in step.steps:
            states |= self.chain((child,), done, escape)
        states[done] = self._done()
        state["ItemProcessor"] |= {"StartAt": lane, "States": states}
        return self._wired(state, step, follower, out)

    def _map(self, step: Iterated, follower: str, out: str | None) -> JsonObject:
        kind = "Distributed map" if step.id in self._distributed else "Map"
        state = self._over(step, kind, step.steps)
        state["ItemSelector"]["path.$"] = (
            f"States.Format('{step_path.prefix_format(step.id)}', $.path, $$.Map.Item.Value)"
        )
        if isinstance(step, Loop):
            state["MaxConcurrency"] = 1
        elif step.max_parallel is not None:
            state["MaxConcurrency"] = step.max_parallel
        state["ItemProcessor"] |= self._scope(step.steps, f"Done {step.id}", step)
        states = {step.id: self._wired(state, step, follower, out)}
        if step.items.values is None:
            state["ItemsPath"] = "$.decision.value"
            states[f"Items {step.id}"] = self._ask(step, "items", step.id, out)
        return states

    def _over(self, step: Step, kind: str, steps: Iterable[Step]) -> JsonObject:
        """A Map of *kind* that hands to its items what the steps in it will look up."""
        state = self.prototype(kind)
        state["ItemsPath"] = f"$.items['{step.id}']"
        inner = list(walk(steps))
        needs = {"when": _is_planned_when, "branch": _is_planned_choice, "items": _is_planned_map}
        for name, is_needed in needs.items():
            if any(is_needed(one) for one in inner):
                state["ItemSelector"][f"{name}.$"] = f"$.{name}"
        return state

    def _scope(self, steps: Sequence[Step], done: str, block: Step) -> JsonObject:
        """A branch or iteration: *steps* with an end of their own, where failures may go."""
        states = self.chain(steps, done, done if block.continue_on_error else None)
        return {"StartAt": entry_state(steps[0]), "States": states | {done: self._done()}}

    def _done(self) -> JsonObject:
        branch = self.prototype("Parallel")["Branches"][0]
        done: JsonObject = branch["States"][branch["StartAt"]]
        return done

    def _cycle(self, step: Iterated, follower: str, out: str | None) -> JsonObject:
        """A loop that may end early: each turn asks, so that an early end costs nothing more."""
        again, iteration = f"Again {step.id}", f"Iteration {step.id}"
        enter = self.prototype("Iteration") | {"Next": entry_state(step.steps[0])}
        leave = self.prototype("Iteration") | {"Next": follower}
        states: JsonObject = {}
        broken = None
        if out is not None:
            # What fails stands in an iteration, and whoever goes on behind the loop must not.
            broken = f"Break {step.id}"
            states[broken] = self._ask(step, "leave", f"Broken {step.id}", out)
            states[f"Broken {step.id}"] = self.prototype("Iteration") | {"Next": out}
        # An iteration that fails ends the loop, unless the remaining ones are to run all the same.
        escape = step.id if step.continue_on_error else broken
        return states | {
            step.id: self._ask(step, "turn", again, broken),
            again: self._choose({True: iteration}, f"Leave {step.id}", "$.decision.value.more"),
            iteration: enter,
            f"Leave {step.id}": leave,
            **self.chain(step.steps, step.id, escape),
        }

    def _conditional(self, step: Conditional, follower: str, out: str | None) -> JsonObject:
        ways = {number: entry_state(arm[0]) for number, arm in enumerate(step.arms) if arm}
        states: JsonObject = {}
        if step.taken is None:
            states[step.id] = self._ask(step, "branch", f"Branch {step.id}", out)
            states[f"Branch {step.id}"] = self._choose(ways, follower)
        else:
            states[step.id] = self._choose(ways, follower, f"$.branch['{step.id}']")
        for arm in step.arms:
            states |= self.chain(arm, follower, out)
        return states

    def _ask(
        self, step: Step, question: str, follower: str, out: str | None, by: str = "Decide"
    ) -> JsonObject:
        state = self._task(by, step, follower, out)
        state["Parameters"]["Payload"]["ask"] = question
        return state

    def _choose(
        self, ways: Mapping[Any, str], default: str, variable: str = "$.decision.value"
    ) -> JsonObject:
        """A Choice among *ways* by the value of *variable*."""
        state = self.prototype("Choose")
        state["Choices"] = [
            {"Variable": variable, _comparison(value): value, "Next": target}
            for value, target in ways.items()
        ]
        state["Default"] = default
        return state

    def _task(self, name: str, step: Step, follower: str, out: str | None) -> JsonObject:
        """A Task prototype as a state of *step*."""
        state = self.prototype(name)
        state["Parameters"]["Payload"]["step"] = step.id
        return self._wired(state, step, follower, out)

    def _wired(self, state: JsonObject, step: Step, follower: str, out: str | None) -> JsonObject:
        """*state* with its follower, and its way out for failures where there is one.

        The last catcher of each prototype is the one that goes on.
        """
        if step.name is not None:
            state["Comment"] = step.name
        state["Next"] = follower
        catchers = state.pop("Catch")
        if out is None:
            catchers.pop()
        else:
            catchers[-1]["Next"] = out
        if catchers:
            state["Catch"] = catchers
        return state


def _comparison(value: bool | int | str) -> str:  # noqa: FBT001 - the value is what is compared
    if isinstance(value, bool):
        return "BooleanEquals"
    return "NumericEquals" if isinstance(value, int) else "StringEquals"
