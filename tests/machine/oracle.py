"""The end that a run of a plan must have, by walking the plan without journal or state machine.

It runs one thing after another, where the product runs some at the same time. So it knows all of a
run in which nothing is stopped by a failure beside it; where a failure stops its siblings, how far
they had come by then is a matter of timing. Their paths are *open*: of those
only the rules that hold for every journal are known. A run in which a step reads an open step is
`Undetermined`.

Only `builtin:noop`, `builtin:fail`, the steps of one worker and calls of two machines are run, and
every approval is decided as `DECISIONS` says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, assert_never

from taskrunner import expressions
from taskrunner.expressions import ExpressionError, templates
from taskrunner.model.plan import (
    MAX_ITERATIONS,
    Aggregation,
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
    walk,
)
from tests.machine.generated_declarations import DECISIONS, FUNCTIONS, POOL, worked
from tests.machine.oracle_gates import approval_outputs, broken_rule, filled_message

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from taskrunner.expressions import Reference

Status = tuple[str, str | None]
SUCCEEDED: Status = ("Succeeded", None)
FAILED: Status = ("Failed", None)
EXECUTOR_ERROR: Status = ("Failed", "executor-error")


class Undetermined(Exception):  # noqa: N818 - not an error
    """A step reads what depends on timing, or the engine differs from Step Functions."""


class Stop(Exception):  # noqa: N818 - not an error
    """A step failed that may not: whoever contains it goes on behind it."""


@dataclass
class Prediction:
    """The known part of a run: each path's status, and the outputs of its run steps and gates.

    *messages* are those of the gates that waited; *reads* names what steps read of gates.
    """

    status: str = "succeeded"
    statuses: dict[str, Status] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    gate_outputs: dict[str, Any] = field(default_factory=dict)
    messages: dict[str, str | None] = field(default_factory=dict)
    reads: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)


def predict(plan: Plan, tenant: str, distributed: Collection[str] = ()) -> Prediction:
    """Return the end of a run of *plan* of *tenant*.

    *distributed* are the ids of its Distributed Maps.

    Raises:
        Undetermined: it depends on timing.
    """
    walker = _Walker(plan, tenant, distributed)
    walker.run()
    return walker.found


@dataclass(frozen=True)
class _Place:
    """The iterations around a step, the names they give, and whether a failure is contained."""

    prefix: str = ""
    names: dict[str, Any] = field(default_factory=dict)
    contained: bool = False

    def turn(self, step: MapStep | Loop, number: int, item: Any) -> _Place:  # noqa: ANN401
        before = {"previous": None} if isinstance(step, Loop) and step.keeps_values else {}
        names = self.names | before | {step.iterator: item, step.index: number}
        return _Place(f"{self.prefix}{step.id}[{number}]::", names, self.contained)


class _Walker:
    def __init__(self, plan: Plan, tenant: str, distributed: Collection[str]) -> None:
        self.plan = plan
        self.tenant = tenant
        self.found = Prediction()
        self.items: dict[str, Sequence[Any]] = {}
        self.turns: dict[str, int] = {}
        # The values of the iterations that have ended, by loop, if the next ones read them.
        self.values: dict[str, list[Any]] = {}
        self.distributed = distributed
        # The step that failed the steps so far, if a failure is not let pass; and whether another
        # failure beside it may have come first.
        self.failure: str | None = None
        self.is_first_unknown = False
        self.before: dict[str, Any] | None = None

    def run(self) -> None:
        for steps in (self.plan.steps, self.plan.final_steps):
            try:
                self.in_order(steps, _Place())
            except Stop:
                self.found.status = "failed"
            if self.before is None:
                self.end_steps()

    def end_steps(self) -> None:
        """Let `finally` read how the steps ended."""
        path = self.failure if self.found.status == "failed" else None
        reason = None if path is None else self.found.statuses[path][1]
        self.before = {
            "outcome": self.found.status,
            "failedStep": path,
            "failureReason": reason,
        }

    # --- lists and failures -------------------------------------------------------------------

    def in_order(self, steps: Sequence[Step], place: _Place) -> None:
        """One after another; behind a failure the rest is skipped."""
        for number, step in enumerate(steps):
            try:
                self.step(step, place)
            except Stop:
                self.skip_rest(steps[number + 1 :], place)
                raise

    def skip_rest(self, steps: Iterable[Step], place: _Place) -> None:
        """Skip the steps that have not started when a failure ends the list."""
        for step in steps:
            self.skip(step, place, "parent-skipped" if place.contained else "run-failed")

    def skip(self, step: Step, place: _Place, reason: str, *, planned: bool = False) -> None:
        """Skip *step* for *reason*, unless planning knew one; if *planned*, it knew of this one."""
        if step.enabled is False:
            reason, planned = "condition-false", True
        self.found.statuses[place.prefix + step.id] = ("Skipped", reason)
        inner = "run-failed" if reason == "run-failed" else "parent-skipped"
        if isinstance(step, MapStep | Loop):
            for turn in () if planned else self.known_turns(step, place):
                for child in step.steps:
                    self.skip(child, turn, inner)
        for number, child in self.numbered(step):
            if self.is_passed_by(step, number):
                self.skip(child, place, "branch-not-taken", planned=True)
            else:
                self.skip(child, place, inner, planned=planned)

    def known_turns(self, step: MapStep | Loop, place: _Place) -> list[_Place]:
        """The iterations that planning knew of."""
        until = isinstance(step, Loop) and step.until is not None
        items = () if until else step.items.values or ()
        return [place.turn(step, number, item) for number, item in enumerate(items)]

    def is_passed_by(self, step: Step, number: int) -> bool:
        """Return whether planning knew that this arm of a conditional is not taken."""
        return isinstance(step, Conditional) and step.taken not in {None, number}

    def numbered(self, step: Step) -> list[tuple[int, Step]]:
        if isinstance(step, MapStep | Loop):
            return []
        arms = step.arms if isinstance(step, Conditional) else (children(step),)
        return [(number, child) for number, arm in enumerate(arms) for child in arm]

    def step(self, step: Step, place: _Place) -> None:
        path = place.prefix + step.id
        if step.when is not None and not self.is_wanted(step, place):
            self.skip(step, place, "condition-false")
            return
        inner = _inside(step, place)
        was_unknown = self.is_first_unknown
        if path not in self.found.statuses:
            try:
                self.body(step, inner)
            except Stop:
                if step.fails_at_its_end:
                    self.found.statuses[path] = EXECUTOR_ERROR
                    self.failure, self.is_first_unknown = path, was_unknown
                self.found.statuses.setdefault(path, FAILED)
            except ExpressionError:
                self.found.statuses[path] = EXECUTOR_ERROR
                self.skip_children(step, inner)
        if self.found.statuses[path][0] == "Failed" and not step.continue_on_error:
            self.failure = self.failure or path
            raise Stop
        self.failure = None

    def is_wanted(self, step: Step, place: _Place) -> bool:
        if step.enabled is not None:
            return step.enabled
        try:
            return expressions.truth(self.value(step.when or "", place))
        except ExpressionError:
            self.found.statuses[place.prefix + step.id] = EXECUTOR_ERROR
            inner = _inside(step, place)
            self.skip_children(step, inner)
            return True

    def skip_children(self, step: Step, place: _Place) -> None:
        """Skip the steps in a block that could not be decided."""
        if isinstance(step, MapStep | Loop):
            for turn in self.known_turns(step, place):
                self.skip_rest(step.steps, turn)
        for number, child in self.numbered(step):
            if isinstance(step, PolicyGate):
                self.skip(child, place, "branch-not-taken")
            elif self.is_passed_by(step, number):
                self.skip(child, place, "branch-not-taken", planned=True)
            else:
                self.skip_rest([child], place)

    # --- kinds --------------------------------------------------------------------------------

    def body(self, step: Step, place: _Place) -> None:
        path = place.prefix + step.id
        match step:
            case RunStep():
                self.found.statuses[path] = self.execute(step, place)
            case ApprovalGate():
                self.found.messages[path] = self.message(step.message, place)
                self.found.statuses[path] = self.decided(step.approval_id)
                self.found.gate_outputs[path] = approval_outputs(step.approval_id)
            case PolicyGate():
                self.policy(step, place)
            case Parallel():
                self.at_once(step, [(lane.steps, place) for lane in step.lanes])
            case MapStep():
                items = self.items_of(step, place)
                turns = [place.turn(step, number, item) for number, item in enumerate(items)]
                self.at_once(step, [(step.steps, turn) for turn in turns])
            case Loop():
                self.loop(step, place)
            case Conditional():
                self.conditional(step, place)
            case _:
                assert_never(step)
        self.found.statuses.setdefault(path, SUCCEEDED)

    def execute(self, step: RunStep, place: _Place) -> Status:
        path = place.prefix + step.id
        self.found.outputs[path] = None
        try:
            read = templates.references(step.parameters)
            parameters = templates.fill(step.parameters, self.context(read, place))
        except ExpressionError:
            return EXECUTOR_ERROR
        if step.uses == "builtin:noop":
            self.found.outputs[path] = parameters
            return SUCCEEDED
        if step.uses == f"worker:{POOL}":
            self.found.outputs[path] = _outputs_of_worker(step, parameters)
            return EXECUTOR_ERROR if self.found.outputs[path] is None else SUCCEEDED
        if step.uses == "states:echo":
            self.found.outputs[path] = parameters | {"attempt": 1}
            return SUCCEEDED
        if step.uses == "states:refuse":
            return EXECUTOR_ERROR
        failures = parameters.get("attempts")
        if failures is None or failures >= step.retries.max_attempts:
            return EXECUTOR_ERROR
        self.found.outputs[path] = {"attempt": failures + 1}
        return SUCCEEDED

    def decided(self, approval: str) -> Status:
        _, verdict = DECISIONS[approval][-1]
        return SUCCEEDED if verdict == "approved" else ("Failed", "approval-rejected")

    def message(self, message: str | None, place: _Place) -> str | None:
        return message and filled_message(message, lambda text: self.value(text, place))

    def policy(self, step: PolicyGate, place: _Place) -> None:
        path = place.prefix + step.id
        failures = self.policy_failures(step, place)
        self.found.gate_outputs[path] = {"passed": not failures, "failures": failures}
        if not failures:
            self.found.statuses[path] = SUCCEEDED
        elif step.failure_action is FailureAction.BRANCH:
            self.in_order(step.branch, place)
            self.found.statuses[path] = ("Succeeded", "policy-failed")
            return
        elif step.failure_action is FailureAction.REQUEST_OVERRIDE:
            approval = self.plan.approval(step.override or "")
            self.found.messages[path] = self.message(approval.message, place)
            self.found.statuses[path] = self.decided(approval.id)
        else:
            is_warned = step.failure_action is FailureAction.WARN
            self.found.statuses[path] = (
                ("Succeeded", "policy-warned") if is_warned else ("Failed", "policy-failed")
            )
        for child in step.branch:
            self.skip(child, place, "branch-not-taken")

    def policy_failures(self, step: PolicyGate, place: _Place) -> list[dict[str, Any]]:
        try:
            read = templates.references(step.parameters)
            parameters = templates.fill(step.parameters, self.context(read, place))
        except ExpressionError as error:
            return [{"id": None, "message": str(error)}]
        here = _Place(place.prefix, place.names | {"with": parameters}, place.contained)
        policy = self.plan.policy(step.policy_id)
        if policy.uses is not None:
            answer = FUNCTIONS[policy.uses.removeprefix("lambda:")]({"with": parameters})
            failures = () if answer["passed"] else answer["failures"]
            return [{"id": None, "message": f} if isinstance(f, str) else f for f in failures]
        broken = (broken_rule(rule, lambda text: self.value(text, here)) for rule in policy.rules)
        return [failure for failure in broken if failure is not None]

    def at_once(
        self, block: Parallel | MapStep, lanes: Sequence[tuple[Sequence[Step], _Place]]
    ) -> None:
        """Every lane runs to its end; where one stops the others, those are open."""
        known: list[set[str]] = []
        stopped: list[int] = []
        failure: str | None = None
        for number, (steps, place) in enumerate(lanes):
            before = set(self.found.statuses)
            try:
                self.in_order(steps, place)
            except Stop:
                stopped.append(number)
                failure = self.failure
            known.append(set(self.found.statuses) - before)
        if not stopped:
            return
        self.failure = failure
        self.is_first_unknown |= len(stopped) > 1
        if block.stops_at_failure:
            for number, paths in enumerate(known):
                if [number] != stopped:
                    self.found.open |= paths
        if block.id in self.distributed:
            raise Undetermined  # moto lets a Distributed Map succeed whose items have failed
        raise Stop

    def loop(self, step: Loop, place: _Place) -> None:
        items = self.items_of(step, place)
        failed = False
        values = self.values.setdefault(place.prefix + step.id, [])
        for number, item in enumerate(items):
            turn = place.turn(step, number, item)
            if step.keeps_values and number:
                turn.names["previous"] = values[-1]
            try:
                self.in_order(step.steps, turn)
            except Stop:
                failed = True
                if step.stops_at_failure:
                    self.never(step, place, number + 1, items)
                    raise
            if step.keeps_values:
                values.append(self.value_of(step, turn))
            is_last = number + 1 == len(items)
            asks = step.until is not None and not is_last
            if asks and expressions.truth(self.value(step.until or "", turn)):
                items = items[: number + 1]
                break
        if not (failed and step.fails_at_its_end):
            self.turns[place.prefix + step.id] = len(items)
        if failed:
            raise Stop

    def value_of(self, step: MapStep | Loop, turn: _Place) -> Any:  # noqa: ANN401 - any JSON
        if step.output is not None:
            return self.value(step.output, turn)
        self.context([("steps", step.steps[-1].id)], turn)  # unless it depends on timing
        return self.outputs(step.steps[-1], turn, turn.prefix)

    def never(self, step: Loop, place: _Place, first: int, items: Sequence[Any]) -> None:
        """The iterations that a failure left out; with `until` nobody knows of them."""
        for number in range(first, 0 if step.until is not None else len(items)):
            self.skip_rest(step.steps, place.turn(step, number, items[number]))

    def items_of(self, step: MapStep | Loop, place: _Place) -> Sequence[Any]:
        items = step.items.values
        if items is None:
            items = self.value(step.items.expression or "", place)
        most = step.max_iterations if isinstance(step, Loop) else MAX_ITERATIONS
        if not isinstance(items, list | tuple) or len(items) > most:
            raise ExpressionError
        self.items[place.prefix + step.id] = items
        return items

    def conditional(self, step: Conditional, place: _Place) -> None:
        taken = step.taken
        if taken is None:
            truths = (
                expressions.truth(self.value(branch.condition, place)) for branch in step.branches
            )
            taken = next((number for number, yes in enumerate(truths) if yes), len(step.branches))
        for number, child in self.numbered(step):
            if number != taken:
                passed = self.is_passed_by(step, number)
                self.skip(child, place, "branch-not-taken", planned=passed)
        self.in_order(step.arm(taken), place)

    # --- values -------------------------------------------------------------------------------

    def value(self, text: str, place: _Place) -> Any:  # noqa: ANN401 - any JSON
        expression = expressions.parse(text)
        return expression.evaluate(self.context(expression.references, place))

    def context(self, references: Iterable[Reference], place: _Place) -> dict[str, Any]:
        steps = {}
        for step_id in {names[1] for names in references if names[0] == "steps"}:
            step = self.plan.step(step_id)
            depth = len(self.plan.iterations(step_id))
            prefix = "".join(f"{part}::" for part in place.prefix.split("::")[:depth])
            below = {prefix + step_id, f"{prefix}{step_id}["}
            inside = {prefix + inner.id for inner in walk((step,))}
            if any(
                p in inside or p.startswith(tuple(f"{i}[" for i in inside | below))
                for p in self.found.open
            ):
                raise Undetermined
            status = self.found.statuses.get(prefix + step_id, ("Pending", None))
            if isinstance(step, ApprovalGate | PolicyGate):
                self.found.reads |= {
                    " ".join(map(str, (step.kind.value, *names[2:4], *status)))
                    for names in references
                    if names[:2] == ("steps", step_id)
                }
            steps[step_id] = {
                "outputs": self.found.gate_outputs.get(prefix + step_id)
                if isinstance(step, ApprovalGate | PolicyGate)
                else self.outputs(step, place, prefix),
                "status": status[0],
                "statusReason": status[1],
            }
        read = {names[1] for names in references if names[0] == "run"}
        if self.is_first_unknown and read & {"failedStep", "failureReason"}:
            raise Undetermined
        run = (self.before or {}) | {"tenant": self.tenant}
        return {"inputs": self.plan.inputs, "steps": steps, "run": run, **place.names}

    def outputs(self, step: Step, place: _Place, prefix: str) -> Any:  # noqa: ANN401 - any JSON
        path = prefix + step.id
        if self.found.statuses.get(path, ("Skipped",))[0] == "Skipped":
            return None
        match step:
            case RunStep():
                return self.found.outputs.get(path)
            case ApprovalGate() | PolicyGate():
                return None  # the outputs of a block do not contain them
            case Parallel() | Conditional():
                ran = {child.id: self.outputs(child, place, prefix) for child in children(step)}
                ran = {child_id: value for child_id, value in ran.items() if value is not None}
                if isinstance(step, Parallel) or not step.union:
                    return ran
                return _merged(ran.values())
            case MapStep() | Loop():
                return self.results(step, place, prefix)
            case _:
                assert_never(step)

    def results(self, step: MapStep | Loop, place: _Place, prefix: str) -> dict[str, Any]:
        path = prefix + step.id
        items = self.items.get(path, ())
        if isinstance(step, Loop) and step.until is not None:
            items = items[: self.turns.get(path, 0)]
        here = _Place(prefix, place.names)
        values = []
        if isinstance(step, Loop) and step.keeps_values:
            values, items = self.values.get(path, []), ()
        for number, item in enumerate(items):
            turn = here.turn(step, number, item)
            if step.output is not None:
                values.append(self.value(step.output, turn))
            else:
                values.append(self.outputs(step.steps[-1], turn, turn.prefix))
        if isinstance(step, MapStep):
            statuses = [self.item_status(step, path, number) for number in range(len(items))]
            return {"results": values, "statuses": statuses}
        if step.aggregation is Aggregation.COLLECT:
            return {"results": values}
        match step.aggregation:
            case Aggregation.MERGE:
                return {"result": _merged(values)}
            case Aggregation.FIRST:
                return {"result": values[0] if values else None}
            case Aggregation.LAST:
                return {"result": values[-1] if values else None}
            case _:
                return {}

    def item_status(self, step: MapStep, path: str, number: int) -> str:
        outcomes = [
            self.found.statuses.get(f"{path}[{number}]::{child.id}", ("Skipped", "parent-skipped"))
            for child in step.steps
        ]
        ends = [status for status, _ in outcomes]
        fatal = [
            end == "Failed" and not child.continue_on_error
            for child, end in zip(step.steps, ends, strict=True)
        ]
        if any(fatal):
            return "Failed"
        is_cut_short = not {("Skipped", "parent-skipped"), ("Skipped", "run-failed")}.isdisjoint(
            outcomes
        )
        if set(ends) == {"Skipped"}:
            return "Skipped"
        return "Failed" if is_cut_short else "Succeeded"


def _inside(step: Step, place: _Place) -> _Place:
    contained = place.contained or step.continue_on_error or not step.stops_at_failure
    return _Place(place.prefix, place.names, contained)


def _outputs_of_worker(step: RunStep, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the outputs of the first attempt that succeeds, or None."""
    if not isinstance(parameters["script"], str):
        return None
    attempts = range(1, step.retries.max_attempts + 1)
    return next(filter(None, (worked(parameters, number) for number in attempts)), None)


def _merged(values: Iterable[Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for value in values:
        merged |= value if isinstance(value, dict) else {}
    return merged
