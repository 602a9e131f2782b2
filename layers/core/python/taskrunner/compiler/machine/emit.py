"""Stage 5: a plan's structure becomes Amazon States Language. A plan that exists can be emitted.

A failure leaves a step by the nearest exit around it: to the next step, when the step itself may
fail; to the end of its iteration or branch, when the block around it may; else it fails the run.
How each kind is wired:

* run, gate.approval   one Task; a gate has `Expire <id>` after its timeout
* gate.policy          Task `<id>` asks for a verdict, and Choice `Verdict <id>` follows it: on, to
                       `Pause <id>` and again, to the gate `Override <id>`, or into its branch.
                       run_step is asked when the gate takes secrets or a function, else decide_flow
* parallel             Parallel; with maxParallel a Map over branch numbers with a Choice inside
* map, loop            Map over indexes, Distributed when the plan needs it; `Items <id>` asks for
                       the indexes when planning does not know them; a loop runs one at a time,
                       and `Result <id>` after it asks for its outputs when they may be wrong
* loop with until      Task `<id>` asks for a turn, and Choice `Again <id>` leads to the Pass
                       `Iteration <id>` or `Leave <id>`; a failure that the run survives leaves by
                       `Break <id>` and `Broken <id>`
* conditional          Choice `<id>`; or Task `<id>` asks, and Choice `Branch <id>` follows; and
                       `Result <id>` after its branches, as for a loop
* when                 Choice `When <id>`; or Task `When <id>` asks, and `Whether <id>` follows
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, assert_never

from taskrunner.compiler.machine.frame import DONE, FRAME, frame
from taskrunner.compiler.machine.states import (
    Exits,
    ask,
    choose,
    clone,
    done,
    map_over,
    task,
    wired,
)
from taskrunner.compiler.privileged import is_privileged
from taskrunner.model import step_path
from taskrunner.model.endings import is_checked_at_its_end
from taskrunner.model.plan import (
    ApprovalGate,
    Conditional,
    FailureAction,
    Loop,
    MapStep,
    Parallel,
    Plan,
    PolicyGate,
    RunStep,
    Step,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Gate, Iterated


def emit(plan: Plan, distributed: Collection[str]) -> JsonObject:
    """Return the pack's machine, with `${...}` where a deployment puts its functions.

    *distributed* are the ids of the maps that become Distributed Maps.
    """
    definition = deepcopy(frame())
    definition["Comment"] = f"Task pack {plan.pack_name} {plan.pack_version}"
    states = _Emitter(plan, distributed).chain(plan.steps, Exits(DONE, None))
    states[DONE] = clone(DONE)
    definition["States"][FRAME]["Branches"][0] = {
        "StartAt": _entry(plan.steps[0]),
        "States": states,
    }
    return definition


def _entry(step: Step) -> str:
    """Return the state in which *step* begins."""
    return _begin(step) if step.when is None else f"When {step.id}"


def _begin(step: Step) -> str:
    """Return the state in which *step* begins once its condition is true."""
    asks_for_items = isinstance(step, MapStep | Loop) and step.items.values is None
    return f"Items {step.id}" if asks_for_items and not _is_cycle(step) else step.id


def _is_cycle(step: Step) -> bool:
    return isinstance(step, Loop) and step.until is not None


class _Emitter:
    """Emits the steps of one plan; each method returns states by name."""

    def __init__(self, plan: Plan, distributed: Collection[str]) -> None:
        self._plan = plan
        self._distributed = distributed

    def chain(self, steps: Sequence[Step], exits: Exits) -> JsonObject:
        """Emit *steps*, one after another, and then the follower of *exits*."""
        states: JsonObject = {}
        followers = [*(_entry(step) for step in steps), exits.follower][1:]
        for step, follower in zip(steps, followers, strict=True):
            on_failure = follower if step.continue_on_error else exits.on_failure
            step_exits = Exits(follower, on_failure)
            states |= self._condition(step, step_exits) | self._step(step, step_exits)
        return states

    def _scope(self, steps: Sequence[Step], end: str, block: Step) -> JsonObject:
        """Emit a branch or iteration of *block*, with an end of its own where failures may go."""
        on_failure = end if block.continue_on_error else None
        states = self.chain(steps, Exits(end, on_failure))
        return {"StartAt": _entry(steps[0]), "States": states | {end: done()}}

    def _condition(self, step: Step, exits: Exits) -> JsonObject:
        if step.when is None:
            return {}
        name = f"When {step.id}"
        if step.enabled is None:
            whether = f"Whether {step.id}"
            return {
                name: ask(step, "condition", Exits(whether, exits.on_failure)),
                whether: choose({True: _begin(step)}, exits.follower),
            }
        state = clone("When")
        state["Choices"][0] |= {"Variable": f"$.when['{step.id}']", "Next": _begin(step)}
        state["Default"] = exits.follower
        return {name: state}

    def _step(self, step: Step, exits: Exits) -> JsonObject:
        match step:
            case RunStep():
                return {step.id: _run(step, exits)}
            case ApprovalGate():
                return self._approval(step, step.id, step.approval_id, exits)
            case PolicyGate():
                return self._policy(step, exits)
            case Parallel():
                return {step.id: self._parallel(step, exits)}
            case MapStep():
                return self._map(step, exits)
            case Loop():
                return self._map(step, exits) if step.until is None else self._cycle(step, exits)
            case Conditional():
                return self._conditional(step, exits)
            case _:
                assert_never(step)

    def _approval(self, step: Gate, name: str, approval_id: str, exits: Exits) -> JsonObject:
        """Emit the state *name*, which waits for an approval, and its expiry."""
        expire_name = f"Expire {step.id}"
        gate = task("Approval gate", step, exits)
        gate["TimeoutSeconds"] = self._plan.approval(approval_id).expires_after_s
        gate["Catch"][0]["Next"] = expire_name
        expire = task("Expire gate", step, exits)
        expire.pop("Comment", None)  # the step's name is at the gate
        return {name: gate, expire_name: expire}

    def _policy(self, step: PolicyGate, exits: Exits) -> JsonObject:
        verdict, pause, override = (
            f"{word} {step.id}" for word in ("Verdict", "Pause", "Override")
        )
        prototype = "Policy call" if is_privileged(step, self._plan) else "Decide"
        states = {step.id: ask(step, "policy", Exits(verdict, exits.on_failure), prototype)}
        targets: dict[str, str] = {}
        if step.retries.max_attempts > 1:
            targets["retry"] = pause
            states[pause] = clone("Pause") | {"Seconds": _pause_s(step), "Next": step.id}
        if step.failure_action is FailureAction.REQUEST_OVERRIDE and step.override is not None:
            targets["override"] = override
            states |= self._approval(step, override, step.override, exits)
        if step.failure_action is FailureAction.BRANCH:
            targets["branch"] = _entry(step.branch[0])
            states |= self.chain(step.branch, exits)
        if targets:
            states[verdict] = choose(targets, exits.follower)
        else:  # the policy holds, or the gate fails: there is nothing to choose
            states[step.id]["Next"] = exits.follower
        return states

    def _parallel(self, step: Parallel, exits: Exits) -> JsonObject:
        if step.max_parallel is not None:
            return self._limited(step, step.max_parallel, exits)
        state = clone("Parallel")
        state["Branches"] = [self._scope((child,), f"End {child.id}", step) for child in step.steps]
        return wired(state, step, exits)

    def _limited(self, step: Parallel, max_parallel: int, exits: Exits) -> JsonObject:
        """Return a Map over branch numbers: a Parallel cannot limit how many run at a time."""
        state = map_over(step, "Map", step.steps)
        state["ItemSelector"] |= {"path.$": "$.path", "lane.$": "$$.Map.Item.Value"}
        state["MaxConcurrency"] = max_parallel
        end, lane = f"Done {step.id}", f"Lane {step.id}"
        lane_exits = Exits(end, end if step.continue_on_error else None)
        targets = {number: _entry(child) for number, child in enumerate(step.steps)}
        states: JsonObject = {lane: choose(targets, end, "$.lane")}
        for child in step.steps:
            states |= self.chain((child,), lane_exits)
        states[end] = done()
        state["ItemProcessor"] |= {"StartAt": lane, "States": states}
        return wired(state, step, exits)

    def _map(self, step: Iterated, exits: Exits) -> JsonObject:
        kind = "Distributed map" if step.id in self._distributed else "Map"
        state = map_over(step, kind, step.steps)
        state["ItemSelector"]["path.$"] = (
            f"States.Format('{step_path.prefix_format(step.id)}', $.path, $$.Map.Item.Value)"
        )
        max_parallel = 1 if isinstance(step, Loop) else step.max_parallel
        if max_parallel is not None:
            state["MaxConcurrency"] = max_parallel
        state["ItemProcessor"] |= self._scope(step.steps, f"Done {step.id}", step)
        states, end = _ending(step, exits)
        states[step.id] = wired(state, step, Exits(end, exits.on_failure))
        if step.items.values is None:
            state["ItemsPath"] = "$.decision.value"
            states[f"Items {step.id}"] = ask(step, "items", Exits(step.id, exits.on_failure))
        return states

    def _cycle(self, step: Loop, exits: Exits) -> JsonObject:
        """Emit a loop that may end early: each turn asks, so that no state is spent after it."""
        again, iteration, leave, break_, broken = (
            f"{word} {step.id}" for word in ("Again", "Iteration", "Leave", "Break", "Broken")
        )
        states: JsonObject = {}
        on_failure = None
        if exits.on_failure is not None:
            # The input still has the path of the failed iteration; what follows needs the loop's.
            on_failure = break_
            states[break_] = ask(step, "leave", Exits(broken, exits.on_failure))
            states[broken] = clone("Iteration") | {"Next": exits.on_failure}
        # A failed iteration ends the loop, unless the remaining ones are to run anyway.
        iteration_exits = Exits(step.id, step.id if step.continue_on_error else on_failure)
        return states | {
            step.id: ask(step, "turn", Exits(again, on_failure)),
            again: choose({True: iteration}, leave, "$.decision.value.more"),
            iteration: clone("Iteration") | {"Next": _entry(step.steps[0])},
            leave: clone("Iteration") | {"Next": exits.follower},
            **self.chain(step.steps, iteration_exits),
        }

    def _conditional(self, step: Conditional, exits: Exits) -> JsonObject:
        targets = {number: _entry(arm[0]) for number, arm in enumerate(step.arms) if arm}
        states, end = _ending(step, exits)
        if step.taken is None:
            branch = f"Branch {step.id}"
            states[step.id] = ask(step, "branch", Exits(branch, exits.on_failure))
            states[branch] = choose(targets, exits.follower)
        else:
            states[step.id] = choose(targets, exits.follower, f"$.branch['{step.id}']")
        for arm in step.arms:
            states |= self.chain(arm, Exits(end, exits.on_failure))
        return states


def _ending(step: Loop | MapStep | Conditional, exits: Exits) -> tuple[JsonObject, str]:
    """Return the states after all that *step* holds, and the first of them or the follower."""
    if not is_checked_at_its_end(step):
        return {}, exits.follower
    name = f"Result {step.id}"
    return {name: ask(step, "result", exits)}, name


def _run(step: RunStep, exits: Exits) -> JsonObject:
    state = task("Run", step, exits)
    final, again, platform = state["Retry"]
    state["Retry"] = [final, platform]
    if step.retries.max_attempts > 1:
        # The shortest pause of Step Functions is one second.
        numbers = {
            "IntervalSeconds": _pause_s(step),
            "MaxAttempts": step.retries.max_attempts - 1,
        }
        state["Retry"].insert(1, again | numbers)
    return state


def _pause_s(step: RunStep | PolicyGate) -> int:
    return max(1, step.retries.backoff_s)
