"""The sections of a pack: unique names, inputs, sandbox, policies, steps and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.compiler.checks import artifacts as artifact_checks
from taskrunner.compiler.checks import ceilings as ceiling_checks
from taskrunner.compiler.checks.expressions import ExpressionChecks
from taskrunner.compiler.checks.messages import MessageChecks
from taskrunner.compiler.checks.names import Scope
from taskrunner.compiler.checks.numbers import NumberChecks
from taskrunner.compiler.checks.policies import PolicyChecks
from taskrunner.compiler.checks.steps import StepChecks
from taskrunner.compiler.inputs import json_schemas, values
from taskrunner.compiler.manifest.repair import NOTHING_REPAIRED
from taskrunner.compiler.problems import Findings
from taskrunner.model import egress, json_path
from taskrunner.model.artifact import EVIDENCE_BUNDLE
from taskrunner.model.ceilings import NO_CEILINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskrunner.compiler.manifest.repair import Repaired
    from taskrunner.compiler.manifest.shapes import InputShape, OutputShape, Pack
    from taskrunner.compiler.manifest.step_shapes import StepShape
    from taskrunner.model.ceilings import Ceilings
    from taskrunner.model.json_path import JsonPath

_OUTPUT_ROOT: Final = "/output/"


def problems(
    pack: Pack, ceilings: Ceilings = NO_CEILINGS, repaired: Repaired = NOTHING_REPAIRED
) -> Findings:
    """Return all problems of *pack* that its shape does not show.

    *ceilings* are the deployment's. The consequences of a mistake that was *repaired* are left out.
    With more problems than are reported, the search may end early.
    """
    spec, findings = pack.spec, Findings(repaired.hides)
    scope = Scope(spec, repaired)
    expressions = ExpressionChecks(scope, findings)
    policies = PolicyChecks(spec.policies, scope, expressions, findings)
    approvals = [approval.id for approval in spec.approvals]
    messages = MessageChecks(spec.approvals, scope, expressions, findings)
    numbers = NumberChecks(scope, expressions, findings)
    steps = StepChecks(scope, expressions, policies, messages, findings)

    _unique("inputs", "name", [shape.name for shape in spec.inputs], findings)
    _unique("secrets", "name", [shape.name for shape in spec.secrets], findings)
    _unique("approvals", "id", approvals, findings)
    _unique("policies", "id", [shape.id for shape in spec.policies], findings)
    _unique("outputs", "name", [shape.name for shape in spec.outputs], findings)
    _unique_steps(scope.steps, findings)
    _inputs(spec.inputs, findings)
    _egress(spec.sandbox.egress_allowlist, findings)
    policies.declarations()
    messages.declarations()
    numbers.retries(spec.failure.retries, ("spec", "failure", "retries"))
    steps.steps(spec.steps, ("spec", "steps"))
    with scope.final_steps():
        steps.steps(spec.final_steps, ("spec", "finally"))
    _outputs(spec.outputs, expressions, findings)
    if not scope.unsure("steps"):
        for problem in artifact_checks.problems(scope.steps, spec.outputs):
            findings.add(*problem)
    for problem in ceiling_checks.problems(spec.sandbox, ceilings):
        findings.add(*problem)
    return findings


def _unique(section: str, key: str, names: Sequence[str], findings: Findings) -> None:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if (before := first.setdefault(name, index)) != index:
            message = f"'{name}' is taken by $.spec.{section}[{before}]; choose another {key}"
            findings.add(("spec", section, index, key), message)


def _unique_steps(steps: Mapping[JsonPath, StepShape], findings: Findings) -> None:
    first: dict[str, JsonPath] = {}
    for path, step in steps.items():
        if (before := first.setdefault(step.id, path)) != path:
            taken = json_path.render(before)
            message = f"'{step.id}' is taken by {taken}; choose another id"
            findings.add((*path, "id"), message)


def _inputs(declared: Sequence[InputShape], findings: Findings) -> None:
    allowance = values.schema_allowance(declared)
    for index, shape in enumerate(declared):
        if findings.is_full:
            break
        path: JsonPath = ("spec", "inputs", index)
        schema, broken = shape.json_schema, None
        if schema is not None and (broken := json_schemas.problem(schema, allowance)) is not None:
            findings.add((*path, "schema", *broken.path), broken.message)
        if shape.default is None:
            continue
        if shape.required:
            findings.add((*path, "default"), "a required input has no default; remove either one")
        usable = shape if broken is None else shape.model_copy(update={"json_schema": None})
        for subpath, message in values.misfits(usable, shape.default, allowance):
            findings.add((*path, "default", *subpath), message)


def _egress(entries: Sequence[str], findings: Findings) -> None:
    for index, entry in enumerate(entries):
        if (message := egress.problem(entry)) is not None:
            findings.add(("spec", "sandbox", "egressAllowlist", index), message)


def _outputs(
    outputs: Sequence[OutputShape], expressions: ExpressionChecks, findings: Findings
) -> None:
    for index, output in enumerate(outputs):
        path: JsonPath = ("spec", "outputs", index)
        if output.name == EVIDENCE_BUNDLE:
            message = f"the name '{output.name}' is reserved for the run's evidence; choose another"
            findings.add((*path, "name"), message)
        fields = {"path": output.path, "expression": output.expression}
        needed = "path" if output.type == "file" else "expression"
        for key, value in fields.items():
            if key == needed and value is None:
                findings.add(path, f"an output of type {output.type} needs '{key}'")
            elif key != needed and value is not None:
                message = f"an output of type {output.type} has no '{key}'; remove it"
                findings.add((*path, key), message)
        if output.type == "object":
            expressions.expression(output.expression, (*path, "expression"))
        elif output.path is not None and not _is_under_output(output.path):
            message = f"'{output.path[:80]}' is not a file under {_OUTPUT_ROOT[:-1]}"
            findings.add((*path, "path"), f"{message}; write it like {_OUTPUT_ROOT}report.json")


def _is_under_output(path: str) -> bool:
    parts = path.removeprefix(_OUTPUT_ROOT).split("/")
    return path.startswith(_OUTPUT_ROOT) and not any(part in {"", ".", ".."} for part in parts)
