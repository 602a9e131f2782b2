"""Stage 5: a plan's structure becomes Amazon States Language. A plan that exists can be emitted.

A failure leaves a step by the nearest exit around it: to the next step, when the step itself may
fail; to the end of its iteration or branch, when the block around it may; else it fails the run.
How each kind is wired:

* run           one Task; one that waits for its token, if a worker or a machine of others runs
                the step
* gate.approval one Task; its timeout leads back to it, and open_gate then expires the gate
* gate.policy   Task `<id>` asks for a verdict, and Choice `Verdict <id>` follows it: on, to
                `Pause <id>` and again, or into its branch. run_step is asked when the gate takes
                secrets or a function, else decide_flow. A gate with an override is one Task like
                gate.approval: run_step or open_gate evaluates the policy, and open_gate waits
* parallel      Parallel; with maxParallel a Map over lane numbers with a Choice inside
* map, loop     Map over indexes, Distributed when the plan needs it; `Items <id>` asks for the
                indexes when planning does not know them; a loop runs one at a time, and
                `Result <id>` after it asks for its outputs when they may be wrong, and whether
                an item has failed that has not stopped the others. If `Items` of the next step
                follows, it asks that too, in place of `Result`
* loop that takes turns, with `until` or because an iteration reads `previous`
                Task `<id>` asks for a turn, and Choice `Again <id>` leads into an iteration or on.
                A failure that the run survives leads back to `<id>`, which answers where to go on.
                The Choice leads back too, after a failure of the turn itself;
                `Broken <id>` reports it to a loop around this one that takes turns
* conditional   Choice `<id>`; or Task `<id>` asks, and Choice `Branch <id>` follows; and
                `Result <id>` after its branches, as for a loop
* finally       Parallel `Steps before` holds the other steps; whether they succeed or fail, Task
                `Steps ended` follows, and then the steps of `finally`. Choice `Where to begin`
                leads to the Task at once in an execution that runs `finally` alone
* when          the function of the step's first state decides it, or what an execution is given
                for the step (see beginnings). A Parallel needs Choice `When <id>`; or Task
                `When <id>` asks, and `Whether <id>` follows
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Final, assert_never

from taskrunner.compiler.beginnings import (
    begins_with_call,
    begins_with_items,
    ended_by_the_next,
    needs_condition_state,
)
from taskrunner.compiler.machine.execution_input import takes_limit
from taskrunner.compiler.machine.frame import (
    BEFORE_FINAL,
    BEFORE_FINAL_DONE,
    BEGIN,
    DONE,
    FRAME,
    SETTLE,
    STEPS_ENDED,
    frame_copy,
)
from taskrunner.compiler.machine.states import (
    LOOP_FAILURE,
    Exits,
    ask,
    ask_alone,
    choose,
    clone,
    done,
    drop_results_before,
    end_in_place_of,
    limit,
    map_over,
    name_steps,
    only_tasks_lead_to,
    wired,
)
from taskrunner.compiler.privileged import is_privileged
from taskrunner.model.endings import is_checked_at_its_end
from taskrunner.model.job import pool_of
from taskrunner.model.machine_call import machine_of
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
    children,
)
from taskrunner.model.retries import Jitter, Retries

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Gate, Iterated


_NO_RETRIES: Final = Retries()
_ATTEMPT: Final = "Run"
_POLICY_CALL: Final = "Policy call"
_WORKER_JOB: Final = "Worker job"
_MACHINE_CALL: Final = "Machine call"
# The prototypes whose functions only machines of packs with such steps have, by their short names.
_JOB_FUNCTIONS: Final = {_WORKER_JOB: "job", _MACHINE_CALL: "call"}


def emit(plan: Plan, distributed: Collection[str]) -> JsonObject:
    """Return the pack's machine, with `${...}` where a deployment puts its functions.

    *distributed* are the ids of the maps that become Distributed Maps.
    """
    definition = frame_copy()
    definition["Comment"] = f"Task pack {plan.pack_name} {plan.pack_version}"
    emitter = _Emitter(plan, distributed)
    if plan.final_steps:
        start, states = BEGIN, emitter.with_final_steps()
        definition["States"][FRAME]["Parameters"]["begin.$"] = "$.begin"
        settle = definition["States"][SETTLE]
        settle["Parameters"]["Payload"]["execution.$"] = "$$.Execution.Name"
    else:
        start, states = _entry(plan.steps[0]), emitter.chain(plan.steps, Exits(DONE, None))
    functions = definition["States"][FRAME]["Parameters"]["arn"]
    used = {_prototype(step) for step in plan.all_steps() if isinstance(step, RunStep)}
    for prototype, name in _JOB_FUNCTIONS.items():
        if prototype in used:
            functions[name] = clone(prototype)["Parameters"]["FunctionName"]
    if any(takes_limit(step) for step in plan.all_steps()):
        definition["States"][FRAME]["Parameters"]["maxParallel.$"] = "$.maxParallel"
    name_steps(states)
    states[DONE] = clone(DONE)
    definition["States"][FRAME]["Branches"] = [{"StartAt": start, "States": states}]
    return definition


def _entry(step: Step) -> str:
    """Return the state in which *step* begins."""
    return f"When {step.id}" if needs_condition_state(step) else _begin(step)


def _begin(step: Step) -> str:
    """Return the state in which *step* begins once its condition is true."""
    return f"Items {step.id}" if begins_with_items(step) else step.id


class _Emitter:
    """Emits the steps of one plan; each method returns states by name."""

    def __init__(self, plan: Plan, distributed: Collection[str]) -> None:
        self._plan = plan
        self._distributed = distributed
        self._end_numbers = count(1)
        # The blocks that the `Items` of the next step ends.
        self._ended_later: set[str] = set()

    def chain(self, steps: Sequence[Step], exits: Exits) -> JsonObject:
        """Emit *steps*, one after another, and then the follower of *exits*."""
        states: JsonObject = {}
        followers = [*(_entry(step) for step in steps), exits.follower][1:]
        ended = {following.id: step for following, step in ended_by_the_next(steps)}
        self._ended_later |= {step.id for step in ended.values()}
        for step, follower in zip(steps, followers, strict=True):
            if step.continue_on_error:
                step_exits = Exits(follower, follower)
            else:
                step_exits = Exits(follower, exits.on_failure, exits.failure_path)
            states |= self._condition(step, step_exits) | self._step(step, step_exits)
            if begins_with_items(step):
                states |= _items(step, exits, ended.get(step.id))
        return states

    def with_final_steps(self) -> JsonObject:
        """Emit the steps of the plan, and after them, however they end, those of `finally`."""
        before, ended = clone(BEFORE_FINAL), clone(STEPS_ENDED)
        states = self.chain(self._plan.steps, Exits(BEFORE_FINAL_DONE, None))
        states[BEFORE_FINAL_DONE] = done()
        before["Branches"] = [{"StartAt": _entry(self._plan.steps[0]), "States": states}]
        ended["Next"] = _entry(self._plan.final_steps[0])
        final = self.chain(self._plan.final_steps, Exits(DONE, None))
        return {BEGIN: clone(BEGIN), BEFORE_FINAL: before, STEPS_ENDED: ended, **final}

    def _end_name(self) -> str:
        """Return the name of the state that ends a branch or iteration."""
        # Numbers, because a thousand ids of 63 characters would be too long once more.
        return f"Done {next(self._end_numbers)}"

    def _scope(self, steps: Sequence[Step], block: Step) -> JsonObject:
        """Emit a branch or iteration of *block*.

        It ends in its last state, or where failures and Choices lead to its end, in a state for it.
        """
        end = self._end_name()
        on_failure = None if block.stops_at_failure else end
        states = self.chain(steps, Exits(end, on_failure))
        if only_tasks_lead_to(end, states):
            end_in_place_of(end, states)
        else:
            drop_results_before(end, states)
            states[end] = done()
        return {"StartAt": _entry(steps[0]), "States": states}

    def _condition(self, step: Step, exits: Exits) -> JsonObject:
        if not needs_condition_state(step):
            return {}
        name = f"When {step.id}"
        if step.enabled is None:
            whether = f"Whether {step.id}"
            return {
                name: ask("condition", exits.followed_by(whether)),
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
                return {step.id: self._approval(step, step.approval_id, exits)}
            case PolicyGate():
                return self._policy(step, exits)
            case Parallel():
                return self._parallel(step, exits)
            case MapStep():
                return self._map(step, exits)
            case Loop():
                return self._cycle(step, exits) if step.takes_turns else self._map(step, exits)
            case Conditional():
                return self._conditional(step, exits)
            case _:
                assert_never(step)

    def _approval(
        self, step: Gate, approval_id: str, exits: Exits, retries: Retries = _NO_RETRIES
    ) -> JsonObject:
        """Return the state that waits for an approval; *retries* are those of a policy before."""
        gate = wired(clone("Approval gate"), exits)
        gate["TimeoutSeconds"] = self._plan.approval(approval_id).expires_after_s
        gate["Catch"][0]["Next"] = step.id
        _set_retries(gate, retries)
        return gate

    def _policy(self, step: PolicyGate, exits: Exits) -> JsonObject:
        prototype = _POLICY_CALL if is_privileged(step, self._plan) else "Decide"
        if step.override is not None:
            gate = self._approval(step, step.override, exits, step.retries)
            if prototype == _POLICY_CALL:
                gate["Parameters"] |= _function_of(_POLICY_CALL)
            return {step.id: gate}
        verdict, pause = f"Verdict {step.id}", f"Pause {step.id}"
        states = {step.id: ask("policy", exits.followed_by(verdict), prototype)}
        targets: dict[str, str] = {}
        if step.retries.max_attempts > 1:
            targets["retry"] = pause
            states[pause] = clone("Pause") | {
                "Seconds": step.retries.first_pause_s,
                "Next": step.id,
            }
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
            return self._limited(step, exits)
        state = clone("Parallel")
        state["Branches"] = [self._scope(lane.steps, step) for lane in step.lanes]
        return {step.id: wired(state, exits)}

    def _limited(self, step: Parallel, exits: Exits) -> JsonObject:
        """Emit a Map over lane numbers: a Parallel cannot limit how many run at a time."""
        state = map_over(step, "Map", children(step))
        del state["ItemSelector"]["place"]
        state["ItemSelector"] |= {"place.$": "$.place", "lane.$": "$$.Map.Item.Value"}
        limit(state, step)
        end, lane = self._end_name(), f"Lane {step.id}"
        lane_exits = Exits(end, end if step.continue_on_error else None)
        targets = {number: _entry(lane.steps[0]) for number, lane in enumerate(step.lanes)}
        states: JsonObject = {lane: choose(targets, end, "$.lane")}
        for steps in (lane.steps for lane in step.lanes):
            states |= self.chain(steps, lane_exits)
        drop_results_before(end, states)
        states[end] = done()
        state["ItemProcessor"] |= {"StartAt": lane, "States": states}
        return {step.id: wired(state, exits)}

    def _map(self, step: Iterated, exits: Exits) -> JsonObject:
        kind = "Distributed map" if step.id in self._distributed else "Map"
        state = map_over(step, kind, step.steps)
        if isinstance(step, Loop):
            state["MaxConcurrency"] = 1
        else:
            limit(state, step)
        state["ItemProcessor"] |= self._scope(step.steps, step)
        states, end = self._ending(step, exits)
        states[step.id] = wired(state, exits.followed_by(end))
        return states

    def _cycle(self, step: Loop, exits: Exits) -> JsonObject:
        """Emit a loop that takes turns: each asks, so that no state is spent after an early end."""
        again, broken = f"Again {step.id}", f"Broken {step.id}"
        states: JsonObject = {}
        turn_exits = iteration_exits = Exits(again, None)
        targets = {"iteration": _entry(step.steps[0]), "end": exits.follower}
        if exits.on_failure is not None:
            # The input has the path of the failed iteration. The turn answers with the loop's.
            turn_exits = Exits(again, again, LOOP_FAILURE)
            iteration_exits = Exits(again, step.id, LOOP_FAILURE)
            targets["failure"] = exits.on_failure
            if exits.failure_path is not None:
                targets["failure"] = broken
                failed = {"ResultPath": exits.failure_path, "Next": exits.on_failure}
                states[broken] = clone("Broken") | failed
            elif step.continue_on_error:  # it ends as if it had not failed
                del targets["failure"]
        # A failed iteration ends the loop, unless the remaining ones are to run anyway.
        iteration_exits = iteration_exits.followed_by(step.id)
        if not step.stops_at_failure:
            iteration_exits = Exits(step.id, step.id)
        return states | {
            step.id: wired(clone("Turn"), turn_exits),
            again: choose(targets, step.id, "$.place.next"),
            **self.chain(step.steps, iteration_exits),
        }

    def _conditional(self, step: Conditional, exits: Exits) -> JsonObject:
        targets = {number: _entry(arm[0]) for number, arm in enumerate(step.arms) if arm}
        states, end = self._ending(step, exits)
        if begins_with_call(step):
            branch = f"Branch {step.id}"
            states[step.id] = ask("branch", exits.followed_by(branch))
            states[branch] = choose(targets, exits.follower)
        else:
            states[step.id] = choose(targets, exits.follower, f"$.branch['{step.id}']")
        for arm in step.arms:
            states |= self.chain(arm, exits.followed_by(end))
        return states

    def _ending(self, step: Loop | MapStep | Conditional, exits: Exits) -> tuple[JsonObject, str]:
        """Return the states after all that *step* holds, and the first of them or the follower."""
        if not is_checked_at_its_end(step) or step.id in self._ended_later:
            return {}, exits.follower
        name = f"Result {step.id}"
        on_failure = None if step.continue_on_error else exits.on_failure
        return {name: ask_alone("result", replace(exits, on_failure=on_failure))}, name


def _items(step: Step, exits: Exits, ended: Step | None) -> JsonObject:
    """Emit the question for the items of *step*, which also ends the block *ended* before it.

    *exits* are those of the chain. A step that may fail has no items if it fails here.
    """
    may_fail = all(each.continue_on_error for each in (step, ended) if each is not None)
    on_failure = None if may_fail else exits.on_failure
    state = ask("items", replace(exits, follower=step.id, on_failure=on_failure))
    if ended is not None:
        state["Parameters"]["Payload"]["ended"] = ended.id
    return {f"Items {step.id}": state}


def _run(step: RunStep, exits: Exits) -> JsonObject:
    prototype = _prototype(step)
    state = wired(clone(prototype), exits)
    if prototype in _JOB_FUNCTIONS:
        del state["Parameters"]["FunctionName"]
        state["Parameters"]["FunctionName.$"] = f"$.arn.{_JOB_FUNCTIONS[prototype]}"
    _set_retries(state, step.retries)
    return state


def _function_of(prototype: str) -> JsonObject:
    """Return the parameter that names the function of a prototype."""
    return {"FunctionName.$": clone(prototype)["Parameters"]["FunctionName.$"]}


def _prototype(step: RunStep) -> str:
    if pool_of(step.uses) is not None:
        return _WORKER_JOB
    return _MACHINE_CALL if machine_of(step.uses) is not None else _ATTEMPT


def _set_retries(state: JsonObject, retries: Retries) -> None:
    """Give the second retrier of *state* the pack's numbers; remove it if there is one attempt."""
    final, again, platform = state["Retry"]
    state["Retry"] = [final, platform]
    if retries.max_attempts > 1:
        state["Retry"].insert(1, again | _retrier(retries))


def _retrier(retries: Retries) -> JsonObject:
    """Return what the pack says of a retrier. The step's function knows its reasons (`on`)."""
    first_s, most_s = retries.first_pause_s, retries.max_backoff_s
    fields: JsonObject = {"IntervalSeconds": first_s, "MaxAttempts": retries.max_attempts - 1}
    if retries.backoff_rate != 1 and first_s != most_s:
        fields["BackoffRate"] = retries.backoff_rate
        if most_s is not None:
            fields["MaxDelaySeconds"] = most_s
    if retries.jitter is not Jitter.NONE:
        fields["JitterStrategy"] = "FULL"
    return fields
