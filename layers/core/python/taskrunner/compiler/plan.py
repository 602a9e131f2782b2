"""Stage 4: a pack and the inputs of one run become a Plan, with whatever inputs decide decided."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import rfc8785

from taskrunner import executors
from taskrunner.compiler import (
    arguments,
    check,
    expressions,
    inputs,
    parameters,
    report,
    schema,
    source,
)
from taskrunner.compiler.expressions import ExpressionError
from taskrunner.model import json_path, plan_document
from taskrunner.model.plan import (
    DEFAULT_TIMEOUT_S,
    Approval,
    ApprovalGate,
    FailurePolicy,
    FileOutput,
    ObjectOutput,
    Output,
    Plan,
    Retries,
    RunStep,
    Sandbox,
    Slo,
    Step,
    Template,
)

if TYPE_CHECKING:
    from taskrunner.compiler.schema import OutputShape, Pack, RetriesShape, StepShape
    from taskrunner.compiler.source import Source
    from taskrunner.errors import Diagnostic
    from taskrunner.model.json_types import JsonMapping, JsonObject


def make(manifest: str, given: JsonMapping) -> Plan:
    """Plan *manifest* for the *given* inputs: stages 1 to 4 in one call.

    Raises:
        InvalidPackError: with all that is wrong with the manifest, or else with the inputs.
    """
    read = source.read(manifest)
    pack = schema.parse(read)
    if found := check.problems(pack, read):
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
        failure = pack.spec.failure
        self._failure = FailurePolicy(_retries(failure.retries), failure.continue_on_error)

    def plan(self) -> Plan:
        spec = self._pack.spec
        steps = tuple(
            self._step(step, ("spec", "steps", index)) for index, step in enumerate(spec.steps)
        )
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
            steps=steps,
            outputs=tuple(_output(output) for output in spec.outputs),
        )

    def _step(self, step: StepShape, path: json_path.Path) -> Step:
        enabled = step.when is None or self._decided(step.when, (*path, "when"))
        own = step.continue_on_error
        continue_on_error = self._failure.continue_on_error if own is None else own
        when = None if step.when is None else expressions.parse(step.when).text
        if step.run is None:
            assert step.gate is not None  # noqa: S101 - the schema stage proved one of both
            gate = step.gate.approval
            declared = next(one for one in self._pack.spec.approvals if one.id == gate.id)
            return ApprovalGate(
                id=step.id,
                name=step.name,
                when=when,
                enabled=enabled,
                continue_on_error=continue_on_error,
                approval_id=gate.id,
                message=gate.message or declared.message,
            )
        return RunStep(
            id=step.id,
            name=step.name,
            when=when,
            enabled=enabled,
            continue_on_error=continue_on_error,
            retries=self._failure.retries if step.retries is None else _retries(step.retries),
            timeout_s=step.timeout_seconds or DEFAULT_TIMEOUT_S,
            uses=step.run.uses,
            parameters=self._parameters(step, (*path, "run", "with"), enabled=enabled),
        )

    def _decided(self, when: str, path: json_path.Path) -> bool:
        try:
            value = expressions.parse(when).evaluate({"inputs": self._inputs})
        except ExpressionError as error:
            self._problem(path, str(error))
            return False
        return expressions.truth(value)

    def _parameters(self, step: StepShape, path: json_path.Path, *, enabled: bool) -> Template:
        assert step.run is not None  # noqa: S101 - tells mypy what the caller saw
        try:
            template = parameters.resolve(step.run.parameters, self._inputs)
        except ExpressionError:
            if enabled:
                self._unresolvable(step.run.parameters, path)
            return Template()
        executor = executors.find(step.run.uses)
        assert executor is not None  # noqa: S101 - the check stage found it
        places = [at for at, _ in parameters.texts(step.run.parameters)]
        still_open = [at for at in places if parameters.pointer(at) in template.open]
        # What a step that is not run would have been given hurts nobody.
        for at, message in (
            arguments.misfits(executor, template.value, still_open) if enabled else ()
        ):
            self._problem((*path, *at), message)
        return template

    def _unresolvable(self, value: JsonObject, path: json_path.Path) -> None:
        for at, text in parameters.texts(value):
            try:
                parameters.resolve(text, self._inputs)
            except ExpressionError as error:
                self._problem((*path, *at), str(error))

    def _problem(self, path: json_path.Path, message: str) -> None:
        written = schema.as_written(path, self._source)
        self._problems.append(self._source.diagnostic(written, message))


def _retries(shape: RetriesShape) -> Retries:
    return Retries(shape.max_attempts, shape.backoff_seconds)


def _output(output: OutputShape) -> Output:
    if output.type == "file":
        return FileOutput(name=output.name, path=output.path or "")
    return ObjectOutput(name=output.name, expression=output.expression or "")
