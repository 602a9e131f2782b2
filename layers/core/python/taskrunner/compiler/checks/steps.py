"""The steps of a pack, one after another: what each may say, and which earlier steps it sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from taskrunner import executors
from taskrunner.compiler.checks.names import Kind
from taskrunner.compiler.checks.numbers import NumberChecks
from taskrunner.compiler.checks.policies import FUNCTION_FORM
from taskrunner.compiler.manifest.step_shapes import (
    ApprovalGateShape,
    ConditionalShape,
    LoopShape,
    MapShape,
    ParallelShape,
    PolicyGateShape,
    RunShape,
    body_path,
)
from taskrunner.executors import arguments
from taskrunner.expressions import templates
from taskrunner.model.job import pool_of
from taskrunner.model.machine_call import machine_of
from taskrunner.model.plan import longest_timeout_s
from taskrunner.model.wording import kind_of, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskrunner.compiler.checks.expressions import ExpressionChecks
    from taskrunner.compiler.checks.messages import MessageChecks
    from taskrunner.compiler.checks.names import Scope
    from taskrunner.compiler.checks.policies import PolicyChecks
    from taskrunner.compiler.manifest.step_shapes import ItemsShape, StepShape
    from taskrunner.compiler.problems import Findings
    from taskrunner.model.json_path import JsonPath

_WAITS_FOR_NOBODY: Final = "waits for nobody, so it has no gate.approval and no requestOverride"
_POOL_FORM: Final = (
    "write worker: and a name of 1 to 63 lower-case letters, digits and hyphens, like worker:linux"
)
_MACHINE_FORM: Final = (
    "write states:<name>, with a name of 1 to 63 letters, digits, '_' and '-' that begins with a "
    "letter or digit"
)
_NOT_FOR_MACHINES: Final = (
    "a state machine gets no secrets, because Step Functions keeps and shows the input of "
    "executions; let the machine read the secret itself"
)
_NOT_FOR_LABELS: Final = (
    "labels choose the worker before it gets any secret, so they read none; write the label, or "
    "read an input"
)
_AS_LONG_AS: Final = "as long as its approval's expiresAfterSeconds"


class StepChecks:
    """One walk over the steps of one pack."""

    def __init__(
        self,
        scope: Scope,
        expressions: ExpressionChecks,
        policies: PolicyChecks,
        messages: MessageChecks,
        findings: Findings,
    ) -> None:
        self._scope = scope
        self._expressions = expressions
        self._policies = policies
        self._messages = messages
        self._numbers = NumberChecks(scope, expressions, findings)
        self._findings = findings

    def steps(self, steps: Sequence[StepShape], path: JsonPath) -> list[str]:
        """Check *steps*, each of which sees those before it.

        Returns the ids that have become visible to what follows.
        """
        return [
            step_id
            for index, step in enumerate(steps)
            for step_id in self._step(step, (*path, index))
        ]

    def _step(self, step: StepShape, path: JsonPath) -> list[str]:
        if self._findings.is_full:
            return []
        with self._scope.at_step(path):
            return self._step_here(step, path)

    def _step_here(self, step: StepShape, path: JsonPath) -> list[str]:
        self._expressions.expression(step.when, (*path, "when"))
        if isinstance(step.body, RunShape):
            self._timeout(step.timeout_seconds, step.body.uses, (*path, "timeoutSeconds"))
            if step.retries is not None:
                self._numbers.retries(step.retries, (*path, "retries"))
        else:
            if step.retries is not None:
                self._only_for_run(step, "retries", path)
            if step.timeout_seconds is not None:
                self._only_for_run(step, "timeoutSeconds", path)
        inner = self._body(step, body_path(step, path))
        self._scope.show(step)
        return [*inner, step.id]

    def _timeout(self, written: int | str | None, uses: str, path: JsonPath) -> None:
        self._numbers.number(written, path)
        most_s = longest_timeout_s(uses)
        if isinstance(written, int) and written > most_s:
            message = f"'{path[-1]}' must be at most {most_s}, not {written}"
            self._findings.add(path, message)

    def _only_for_run(self, step: StepShape, key: str, path: JsonPath) -> None:
        match step.body:
            case ApprovalGateShape():
                hint = f"the gate waits {_AS_LONG_AS}"
            case PolicyGateShape() if key == "retries":
                hint = "set gate.policy.retries instead"
            case PolicyGateShape():
                hint = f"an override waits {_AS_LONG_AS}"
            case _:
                hint = "set it on the steps inside"
        self._findings.add((*path, key), f"a {step.body.kind} step has no '{key}'; {hint}")

    def _body(self, step: StepShape, path: JsonPath) -> list[str]:
        """Check the fields of a kind; return the ids inside that what follows may read."""
        match body := step.body:
            case RunShape():
                self._run(body, path)
                return []
            case ApprovalGateShape():
                if self._scope.is_final:
                    self._findings.add(path, f"finally {_WAITS_FOR_NOBODY}; put the gate in steps")
                self._approval(body.id, (*path, "id"))
                self._messages.own(body.message, path)
                if body.message is None:
                    self._messages.of_approval(body.id)
                return []
            case PolicyGateShape():
                return self._policy_gate(body, path)
            case ParallelShape():
                self._numbers.number(body.max_parallel, (*path, "maxParallel"))
                return self._parallel(body, path)
            case ConditionalShape():
                return self._conditional(body, path)
            case MapShape():
                self._map(body, path)
                return []
            case LoopShape():
                self._loop(body, path)
                return []
            case _:
                assert_never(body)

    def _separately(self, lists: Iterable[tuple[Sequence[StepShape], JsonPath, int]]) -> list[str]:
        """Check lists that do not see each other; what follows the block may read all of them.

        Each list comes with the path of the manifest's list and the index there of its first step.
        """
        seen: dict[str, StepShape] = {}
        for steps, path, first in lists:
            step_ids = [
                step_id
                for offset, step in enumerate(steps)
                for step_id in self._step(step, (*path, first + offset))
            ]
            seen |= self._scope.hide(step_ids)
        self._scope.visible |= seen
        return list(seen)

    def _run(self, run: RunShape, path: JsonPath) -> None:
        self._expressions.parameters(run.parameters, (*path, "with"))
        if machine_of(run.uses) is not None:
            self._without_secrets(run, (), _NOT_FOR_MACHINES, path)
        elif pool_of(run.uses) is not None:
            self._without_secrets(run, ("labels",), _NOT_FOR_LABELS, path)
        executor = executors.find(run.uses)
        if executor is None:
            self._findings.add((*path, "uses"), _no_executor(run.uses))
            return
        still_open = [subpath for subpath, _ in templates.texts(run.parameters)]
        for subpath, message in arguments.misfits(executor, run.parameters, still_open):
            self._findings.add((*path, "with", *subpath), message)

    def _without_secrets(
        self, run: RunShape, below: JsonPath, message: str, path: JsonPath
    ) -> None:
        for subpath in self._expressions.secret_places(run.parameters):
            if subpath[: len(below)] == below:
                self._findings.add((*path, "with", *subpath), message)

    def _approval(self, approval_id: str, path: JsonPath) -> None:
        known = self._messages.approval_ids
        if approval_id not in known and not self._scope.unsure("approvals"):
            hint = nearest(approval_id, known) if known else "; spec.approvals has none"
            self._findings.add(path, f"there is no approval '{approval_id}'{hint}")

    def _policy_gate(self, gate: PolicyGateShape, path: JsonPath) -> list[str]:
        self._expressions.parameters(gate.parameters, (*path, "with"))
        self._policies.gate(gate, path)
        self._numbers.policy_retries(gate.retries, (*path, "retries"))
        for action, key, value in (
            ("requestOverride", "override", gate.override),
            ("branch", "branch", gate.branch),
        ):
            if gate.failure_action == action and value is None:
                self._findings.add(path, f"the failureAction {action} needs '{key}'")
            elif gate.failure_action != action and value is not None:
                message = f"'{key}' needs failureAction: {action}; set it, or remove '{key}'"
                self._findings.add((*path, key), message)
        if self._scope.is_final and gate.failure_action == "requestOverride":
            message = f"finally {_WAITS_FOR_NOBODY}; use abort, warn or branch"
            self._findings.add((*path, "failureAction"), message)
        if gate.override is not None:
            self._approval(gate.override.approval, (*path, "override", "approval"))
            self._messages.of_approval(gate.override.approval)
        return self._separately([(gate.branch or [], (*path, "branch"), 0)])

    def _parallel(self, shape: ParallelShape, path: JsonPath) -> list[str]:
        if (shape.steps is None) == (shape.branches is None):
            self._findings.add(path, "a parallel needs exactly one of 'steps' and 'branches'")
        numbers: dict[str, int] = {}
        for index, lane in enumerate(shape.branches or ()):
            if lane.name is not None and (before := numbers.setdefault(lane.name, index)) != index:
                message = f"'{lane.name}' is the name of branch {before} too; choose another name"
                self._findings.add((*path, "branches", index, "name"), message)
        single = [
            ((step,), (*path, "steps"), index) for index, step in enumerate(shape.steps or ())
        ]
        several = [
            (lane.steps, (*path, "branches", index, "steps"), 0)
            for index, lane in enumerate(shape.branches or ())
        ]
        return self._separately([*single, *several])

    def _conditional(self, conditional: ConditionalShape, path: JsonPath) -> list[str]:
        for index, branch in enumerate(conditional.branches):
            self._expressions.expression(branch.condition, (*path, "branches", index, "condition"))
        arms = [
            (branch.steps, (*path, "branches", index, "steps"), 0)
            for index, branch in enumerate(conditional.branches)
        ]
        return self._separately([*arms, (conditional.otherwise, (*path, "else"), 0)])

    def _map(self, shape: MapShape, path: JsonPath) -> None:
        self._items(shape.items, (*path, "items"))
        self._numbers.number(shape.max_parallel, (*path, "maxParallel"))
        if (shape.step is None) == (shape.steps is None):
            self._findings.add(path, "a map needs exactly one of 'step' and 'steps'")
            return
        self._iterators(shape, path)
        with self._scope.local_names(_local_names(shape)):
            if shape.step is not None:
                seen = self._step(shape.step, (*path, "step"))
            else:
                seen = self.steps(shape.steps or (), (*path, "steps"))
            self._expressions.iteration_value(shape.outputs, (*path, "outputs"))
        self._scope.hide(seen)  # nothing outside reads into an iteration

    def _loop(self, shape: LoopShape, path: JsonPath) -> None:
        self._items(shape.items, (*path, "items"))
        self._numbers.number(shape.max_iterations, (*path, "maxIterations"))
        self._iterators(shape, path)
        with self._scope.loop_names(_local_names(shape)):
            seen = self.steps(shape.body, (*path, "body"))
            self._expressions.expression(shape.until, (*path, "until"))
            self._expressions.iteration_value(shape.outputs, (*path, "outputs"))
        self._scope.hide(seen)  # as above

    def _iterators(self, shape: MapShape | LoopShape, path: JsonPath) -> None:
        names = {"iterator": shape.iterator, "index": shape.index}
        siblings: tuple[str, ...] = ()
        for key, name in names.items():
            is_written = key in shape.model_fields_set
            problem = self._scope.iterator_problem(key, name, siblings, is_written=is_written)
            if problem is not None:
                self._findings.add((*path, key), problem)
            siblings = (shape.iterator,)

    def _items(self, items: ItemsShape, path: JsonPath) -> None:
        forms = (items.expression, items.range, items.static)
        if sum(form is not None for form in forms) != 1:
            message = "items must be exactly one of an expression, 'range' and 'static'"
            self._findings.add(path, message)
        self._expressions.expression(items.expression, (*path, "expression"))
        if items.range is not None:
            self._numbers.range(items.range, (*path, "range"))
        for subpath, text in templates.texts(items.static):
            place: JsonPath = (*path, "static", *subpath)
            names = self._expressions.template(text, place, with_secrets=False)
            if any(name[0] not in {"inputs", "secrets"} for name in names):
                message = "static items can read inputs only; use an expression for anything else"
                self._findings.add(place, message)


def _local_names(shape: MapShape | LoopShape) -> dict[str, Kind | None]:
    """Return the names in a map or loop, with their kinds."""
    return {shape.iterator: _kind_of_items(shape.items), shape.index: Kind("a number")}


def _kind_of_items(items: ItemsShape) -> Kind | None:
    """Return the kind of all items, where the manifest shows it."""
    if items.range is not None:
        return Kind("a number")
    if not items.static or next(iter(templates.texts(items.static)), None) is not None:
        return None
    kinds = {kind_of(item) for item in items.static}
    return Kind(kinds.pop()) if len(kinds) == 1 and None not in items.static else None


def _no_executor(reference: str) -> str:
    if reference.startswith(executors.LAMBDA):
        return f"'{reference}' is not a function; {FUNCTION_FORM}"
    if reference.startswith(executors.WORKER):
        return f"'{reference}' is not a pool; {_POOL_FORM}"
    if reference.startswith(executors.STATES):
        return f"'{reference}' is not a state machine; {_MACHINE_FORM}"
    kinds = f"{executors.LAMBDA}<name>", f"{executors.STATES}<name>", f"{executors.WORKER}<pool>"
    known = [*executors.references(), *kinds]
    same_name = f"builtin:{reference.lower()}"
    hint = nearest(same_name if same_name in known else reference, known)
    return f"there is no executor '{reference}'{hint}"
