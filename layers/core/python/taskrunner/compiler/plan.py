"""Stage 4: a pack and the inputs of one run become a Plan, with whatever inputs decide decided."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import rfc8785

from taskrunner import executors, expressions
from taskrunner.compiler import check, inputs, report, schema, source
from taskrunner.executors import arguments
from taskrunner.expressions import templates
from taskrunner.expressions.allowance import MAX_PLAN_SIZE, MAX_PLAN_STEPS, Allowance
from taskrunner.expressions.parser import ExpressionError
from taskrunner.model import json_path, plan_document
from taskrunner.model.ceilings import NO_CEILINGS, Ceilings
from taskrunner.model.plan import (
    DEFAULT_TIMEOUT_S,
    MAX_ITERATIONS,
    Aggregation,
    Approval,
    ApprovalGate,
    Branch,
    Conditional,
    FailureAction,
    FailurePolicy,
    FileOutput,
    Items,
    Loop,
    MapStep,
    ObjectOutput,
    Output,
    Parallel,
    Plan,
    Policy,
    PolicyGate,
    Retries,
    Rule,
    RunStep,
    Sandbox,
    Slo,
    Step,
    Template,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskrunner.compiler.schema import (
        BranchShape,
        ConditionalShape,
        GateOfApproval,
        GateOfPolicy,
        ItemsShape,
        LoopShape,
        MapShape,
        OutputShape,
        Pack,
        RetriesShape,
        Run,
        StepShape,
    )
    from taskrunner.compiler.source import Source
    from taskrunner.errors import Diagnostic
    from taskrunner.expressions.parser import Expression
    from taskrunner.model.json_path import Path
    from taskrunner.model.json_types import Json, JsonMapping, JsonObject

# Few characters make many numbers. Each is in the plan, and that of a map in the execution's input,
# which has room for about 30,000.
MAX_NUMBERS: Final = 100_000


def make(manifest: str, given: JsonMapping, ceilings: Ceilings = NO_CEILINGS) -> Plan:
    """Plan *manifest* for the *given* inputs: stages 1 to 4 in one call.

    *ceilings* refuse what asks for more; they change nothing in a plan.

    Raises:
        InvalidPackError: with all that is wrong with the manifest, or else with the inputs.
    """
    read = source.read(manifest)
    pack = schema.parse(read)
    if found := check.problems(pack, read, ceilings):
        raise report.invalid(found)
    values, misfits = inputs.resolve(pack.spec.inputs, given)
    if misfits:
        raise report.invalid(misfits, code="invalid_inputs")
    return _Planner(pack, read, values).plan()


def plan_hash(plan: Plan) -> str:
    """`sha256:` and 64 hex digits over the plan's RFC 8785 form."""
    return digest(plan_document.to_document(plan))


def digest(document: JsonObject) -> str:
    """`sha256:` and 64 hex digits over the RFC 8785 form of any JSON."""
    return "sha256:" + hashlib.sha256(rfc8785.dumps(document)).hexdigest()


class _Planner:
    """Resolves one pack; what fails on these very inputs is collected, as everywhere."""

    def __init__(self, pack: Pack, read: Source, values: JsonObject) -> None:
        self._pack = pack
        self._source = read
        self._inputs = values
        self._problems: list[Diagnostic] = []
        self._allowance = Allowance(MAX_PLAN_STEPS, MAX_PLAN_SIZE)
        self._approvals = {one.id: one for one in pack.spec.approvals}
        self._numbers = 0  # in the ranges so far
        self._is_live = True  # what is certainly not run need not fit
        failure = pack.spec.failure
        self._failure = FailurePolicy(_retries(failure.retries), failure.continue_on_error)

    def plan(self) -> Plan:
        spec = self._pack.spec
        steps = self._list(spec.steps, ("spec", "steps"))
        if self._problems:
            raise report.invalid(self._problems, code="invalid_inputs")
        return Plan(
            pack_name=self._pack.metadata.name,
            pack_version=self._pack.metadata.version,
            inputs=self._inputs,
            failure=self._failure,
            sandbox=Sandbox(
                mode=spec.sandbox.mode,
                egress_allowlist=tuple(spec.sandbox.egress_allowlist),
                cpu_limit_millicores=spec.sandbox.cpu_limit_millicores,
                memory_limit_mib=spec.sandbox.memory_limit_mib,
                quota_s=spec.sandbox.quota_seconds,
            ),
            slo=Slo(
                run_p95_s=spec.slo.run_p95_seconds,
                approval_p95_s=spec.slo.approval_p95_seconds,
                max_queue_depth=spec.slo.max_queue_depth,
            ),
            approvals=tuple(
                Approval(
                    id=approval.id,
                    grants=tuple(approval.grants),
                    min_approvals=approval.min_approvals,
                    distinct_from_requester=approval.distinct_from_requester,
                    expires_after_s=approval.expires_after_seconds,
                    message=approval.message,
                )
                for approval in spec.approvals
            ),
            policies=tuple(
                Policy(
                    id=policy.id,
                    version=policy.version,
                    rules=tuple(
                        Rule(id=r.id, require=expressions.parse(r.require).text, message=r.message)
                        for r in policy.rules or ()
                    ),
                    uses=policy.uses,
                )
                for policy in spec.policies
            ),
            secrets=tuple(secret.name for secret in spec.secrets),
            steps=steps,
            outputs=tuple(_output(output) for output in spec.outputs),
        )

    def _list(self, steps: Sequence[StepShape], path: Path) -> tuple[Step, ...]:
        return tuple(self._step(step, (*path, index)) for index, step in enumerate(steps))

    def _step(self, step: StepShape, path: Path) -> Step:
        own = step.continue_on_error
        enabled = step.when is None or self._truth(step.when, (*path, "when"))
        common: JsonObject = {
            "id": step.id,
            "name": step.name,
            "when": _text(step.when),
            "enabled": enabled,
            "continue_on_error": self._failure.continue_on_error if own is None else own,
        }
        with self._certainly(enabled is not False):
            return self._of_kind(step, path, common)

    @contextmanager
    def _certainly(self, is_live: bool) -> Iterator[None]:  # noqa: FBT001 - the only thing to say
        """What is planned inside is not judged unless it may be run."""
        before = self._is_live
        self._is_live = before and is_live
        yield
        self._is_live = before

    def _of_kind(self, step: StepShape, path: Path, common: JsonObject) -> Step:
        if step.parallel is not None:
            return Parallel(
                **common,
                steps=self._list(step.parallel.steps, (*path, "parallel", "steps")),
                max_parallel=step.parallel.max_parallel,
            )
        if step.map is not None:
            return self._map(step.map, (*path, "map"), common)
        if step.loop is not None:
            return self._loop(step.loop, (*path, "loop"), common)
        if step.conditional is not None:
            return self._conditional(step.conditional, (*path, "conditional"), common)
        if step.gate is not None and step.gate.policy is not None:
            return self._policy(step.gate.policy, (*path, "gate", "policy"), common)
        if step.gate is not None and step.gate.approval is not None:
            return self._approval(step.gate.approval, common)
        return self._run(step, (*path, "run"), common)

    def _run(self, step: StepShape, path: Path, common: JsonObject) -> RunStep:
        assert step.run is not None  # noqa: S101 - the schema stage proved one of all kinds
        return RunStep(
            **common,
            retries=self._failure.retries if step.retries is None else _retries(step.retries),
            timeout_s=step.timeout_seconds or DEFAULT_TIMEOUT_S,
            uses=step.run.uses,
            parameters=self._parameters(step.run, (*path, "with")),
        )

    def _approval(self, shape: GateOfApproval, common: JsonObject) -> ApprovalGate:
        declared = self._approvals[shape.id]
        return ApprovalGate(
            **common, approval_id=shape.id, message=shape.message or declared.message
        )

    def _policy(self, shape: GateOfPolicy, path: Path, common: JsonObject) -> PolicyGate:
        return PolicyGate(
            **common,
            policy_id=shape.policy_id or "",
            parameters=self._resolved(shape.parameters, (*path, "with")),
            failure_action=FailureAction(shape.failure_action),
            retries=Retries(shape.retries.count + 1, shape.retries.backoff_seconds),
            override=None if shape.override is None else shape.override.approval,
            branch=self._list(shape.branch or (), (*path, "branch")),
        )

    def _map(self, shape: MapShape, path: Path, common: JsonObject) -> MapStep:
        inside: tuple[Step, ...]
        if shape.step is not None:
            inside = (self._step(shape.step, (*path, "step")),)
        else:
            inside = self._list(shape.steps or (), (*path, "steps"))
        return MapStep(
            **common,
            items=self._items(shape.items, MAX_ITERATIONS, (*path, "items")),
            iterator=shape.iterator,
            index=shape.index,
            steps=inside,
            max_parallel=shape.max_parallel,
        )

    def _loop(self, shape: LoopShape, path: Path, common: JsonObject) -> Loop:
        return Loop(
            **common,
            items=self._items(shape.items, shape.max_iterations, (*path, "items")),
            iterator=shape.iterator,
            index=shape.index,
            steps=self._list(shape.body, (*path, "body")),
            max_iterations=shape.max_iterations,
            until=_text(shape.until),
            aggregation=Aggregation(shape.aggregation),
            output=_text(shape.outputs),
        )

    def _items(self, shape: ItemsShape, most: int, path: Path) -> Items:
        """The items as far as they are known; too many are refused here, where they are."""
        before = len(self._problems)
        if shape.range is not None:
            step = shape.range.step
            # The end is one of the items.
            numbers = range(shape.range.start, shape.range.end + (1 if step > 0 else -1), step)
            self._check_count(len(numbers), most, path)
            numbers = numbers[:most]
            self._numbers += len(numbers)
            if self._numbers > MAX_NUMBERS:
                message = f"the ranges of a pack have at most {MAX_NUMBERS:,} numbers in all"
                self._problem(path, f"{message}, and with this one {self._numbers:,}")
                numbers = range(0)
            return Items(values=tuple(numbers))
        if shape.static is not None:
            values = self._resolved(shape.static, (*path, "static")).value
        else:
            expression = expressions.parse(shape.expression or "")
            if not _reads_inputs_alone(expression):
                return Items(expression=expression.text)
            values = self._evaluated(expression, (*path, "expression"))
        if not isinstance(values, list):
            if len(self._problems) == before:
                self._problem(path, f"items must be a list, and this is {_kind(values)}")
            return Items(values=())
        self._check_count(len(values), most, path)
        return Items(values=tuple(values[:most]))

    def _check_count(self, count: int, most: int, path: Path) -> None:
        if count > most:
            self._problem(path, f"{count} items are more than the {most} iterations allowed")

    def _conditional(self, shape: ConditionalShape, path: Path, common: JsonObject) -> Conditional:
        taken = self._taken(shape.branches, path)
        branches = []
        for index, branch in enumerate(shape.branches):
            with self._certainly(taken in {None, index}):
                steps = self._list(branch.steps, (*path, "branches", index, "steps"))
            condition = expressions.parse(branch.condition).text
            branches.append(Branch(condition=condition, steps=steps))
        with self._certainly(taken in {None, len(branches)}):
            otherwise = self._list(shape.otherwise, (*path, "else"))
        return Conditional(
            **common,
            branches=tuple(branches),
            otherwise=otherwise,
            taken=taken,
            union=shape.output_union,
        )

    def _taken(self, branches: Sequence[BranchShape], path: Path) -> int | None:
        """The branch that inputs alone decide for; None when any condition reads more."""
        parsed = [expressions.parse(branch.condition) for branch in branches]
        if not all(map(_reads_inputs_alone, parsed)):
            return None
        for index, expression in enumerate(parsed):
            at = (*path, "branches", index, "condition")
            if expressions.truth(self._evaluated(expression, at)):
                return index
        return len(branches)

    def _truth(self, text: str, path: Path) -> bool | None:
        expression = expressions.parse(text)
        if not _reads_inputs_alone(expression):
            return None
        return expressions.truth(self._evaluated(expression, path))

    def _evaluated(self, expression: Expression, path: Path) -> Json:
        try:
            return expression.evaluate({"inputs": self._inputs}, self._allowance)
        except ExpressionError as error:
            self._problem(path, str(error))
            return None

    def _resolved(self, value: Json, path: Path) -> Template:
        try:
            return templates.resolve(value, self._inputs, self._allowance)
        except ExpressionError:
            self._unresolvable(value, path)
            return Template()

    def _unresolvable(self, value: Json, path: Path) -> None:
        for at, text in templates.texts(value):
            try:
                templates.resolve(text, self._inputs, self._allowance)
            except ExpressionError as error:
                self._problem((*path, *at), str(error))

    def _parameters(self, run: Run, path: Path) -> Template:
        before = len(self._problems)
        template = self._resolved(run.parameters, path)
        if not self._is_live or len(self._problems) > before:
            return template
        executor = executors.find(run.uses)
        assert executor is not None  # noqa: S101 - the check stage found it
        places = [at for at, _ in templates.texts(run.parameters)]
        still_open = [at for at in places if templates.pointer(at) in template.open]
        for at, message in arguments.misfits(executor, template.value, still_open):
            self._problem((*path, *at), message)
        return template

    def _problem(self, path: json_path.Path, message: str) -> None:
        # A path has the keys of parameters, which are as long as their author likes.
        if not self._is_live or len(self._problems) > report.MAX_PROBLEMS:
            return
        written = schema.as_written(path, self._source)
        self._problems.append(self._source.diagnostic(written, message))


def _reads_inputs_alone(expression: Expression) -> bool:
    return all(reference[0] == "inputs" for reference in expression.references)


def _text(text: str | None) -> str | None:
    """An expression as it is kept: without the braces that may be around it."""
    return None if text is None else expressions.parse(text).text


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    names = {bool: "a boolean", str: "text", dict: "an object"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), "a number")


def _retries(shape: RetriesShape) -> Retries:
    return Retries(shape.max_attempts, shape.backoff_seconds)


def _output(output: OutputShape) -> Output:
    if output.type == "file":
        return FileOutput(name=output.name, path=output.path or "")
    return ObjectOutput(name=output.name, expression=output.expression or "")
