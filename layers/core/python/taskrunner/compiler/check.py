"""Stage 3: what no shape can say. Names are looked up, expressions parsed, parameters validated.

Every problem is returned, in the order of the manifest's lines; nothing is raised. A pack without
problems can be planned for any valid inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner import executors
from taskrunner.compiler import arguments, expressions, inputs, parameters, report
from taskrunner.compiler.expressions import ExpressionError
from taskrunner.compiler.schema import as_written
from taskrunner.model.suggestion import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.compiler.expressions import Reference
    from taskrunner.compiler.schema import Pack, Run, StepShape
    from taskrunner.compiler.source import Source
    from taskrunner.errors import Diagnostic
    from taskrunner.model.json_path import Path

_OUTPUT_ROOT = "/output/"
_RUN_FIELDS = ("id", "tenant", "createdAt")
_STEP_FIELDS = ("outputs", "status")


def problems(pack: Pack, source: Source) -> list[Diagnostic]:
    """All problems of *pack* that its shape does not show."""
    found = [(as_written(path, source), message) for path, message in _Checker(pack).found()]
    found.sort(key=lambda problem: source.line(problem[0]))
    return [source.diagnostic(path, message) for path, message in found]


class _Checker:
    """One walk over one pack; *_earlier* grows with the steps that are certainly before."""

    def __init__(self, pack: Pack) -> None:
        self._spec = pack.spec
        self._found: list[tuple[Path, str]] = []
        self._earlier: dict[str, StepShape] = {}

    def found(self) -> list[tuple[Path, str]]:
        spec = self._spec
        self._unique("inputs", [one.name for one in spec.inputs], "name")
        self._unique("approvals", [one.id for one in spec.approvals], "id")
        self._unique("steps", [step.id for step in spec.steps], "id")
        self._unique("outputs", [output.name for output in spec.outputs], "name")
        self._inputs()
        for index, step in enumerate(spec.steps):
            if len(self._found) > report.MAX_PROBLEMS:
                return self._found  # looking for the nearest right names has its price
            self._step(step, ("spec", "steps", index))
            self._earlier[step.id] = step
        self._outputs()
        return self._found

    def _unique(self, section: str, names: Sequence[str], key: str) -> None:
        first: dict[str, int] = {}
        for index, name in enumerate(names):
            if (before := first.setdefault(name, index)) != index:
                message = f"'{name}' is taken by $.spec.{section}[{before}]; choose another {key}"
                self._problem(("spec", section, index, key), message)

    def _problem(self, path: Path, message: str) -> None:
        self._found.append((path, message))

    def _inputs(self) -> None:
        for index, one in enumerate(self._spec.inputs):
            path: Path = ("spec", "inputs", index)
            schema = one.json_schema
            broken = None if schema is None else inputs.schema_problem(schema)
            if broken is not None:
                self._problem((*path, "schema"), broken)
            if one.default is None:
                continue
            if one.required:
                self._problem(
                    (*path, "default"), "a required input has no default; remove one of both"
                )
            usable = one if broken is None else one.model_copy(update={"json_schema": None})
            for at, message in inputs.misfits(usable, one.default):
                self._problem((*path, "default", *at), message)

    def _step(self, step: StepShape, path: Path) -> None:
        if step.when is not None:
            self._when(step.when, (*path, "when"))
        if step.run is not None:
            self._run(step.run, (*path, "run"))
        if step.gate is not None:
            self._gate(step, path)

    def _when(self, text: str, path: Path) -> None:
        for reference in self._expression(text, path):
            if reference[0] != "inputs" and not self._is_unknown(reference, text, path):
                message = (
                    f"'when' on {'.'.join(reference[:2])} is not supported yet; only on inputs"
                )
                self._problem(path, message)
            elif reference[0] == "inputs":
                self._is_unknown(reference, text, path)

    def _expression(self, text: str, path: Path) -> tuple[Reference, ...]:
        try:
            return expressions.parse(text).references
        except ExpressionError as error:
            self._problem(path, str(error))
            return ()

    def _run(self, run: Run, path: Path) -> None:
        for at, text in parameters.texts(run.parameters):
            self._template(text, (*path, "with", *at))
        executor = executors.find(run.uses)
        if executor is None:
            hint = nearest(run.uses, executors.references())
            self._problem((*path, "uses"), f"there is no executor '{run.uses}'{hint}")
            return
        still_open = [at for at, _ in parameters.texts(run.parameters)]
        for at, message in arguments.misfits(executor, run.parameters, still_open):
            self._problem((*path, "with", *at), message)

    def _template(self, text: str, path: Path) -> None:
        try:
            pieces = expressions.template(text)
        except ExpressionError as error:
            self._problem(path, str(error))
            return
        for piece in pieces:
            if not isinstance(piece, str) and len(self._found) <= report.MAX_PROBLEMS:
                for reference in piece.references:
                    self._is_unknown(reference, piece.text, path)

    def _gate(self, step: StepShape, path: Path) -> None:
        assert step.gate is not None  # noqa: S101 - tells mypy what the caller saw
        gate = (*path, "gate", "approval")
        known = [approval.id for approval in self._spec.approvals]
        if step.gate.approval.id not in known:
            hint = nearest(step.gate.approval.id, known) if known else "; spec.approvals has none"
            self._problem((*gate, "id"), f"there is no approval '{step.gate.approval.id}'{hint}")
        for key, value in (("retries", step.retries), ("timeoutSeconds", step.timeout_seconds)):
            if value is not None:
                cure = "how long it waits is its approval's expiresAfterSeconds"
                message = f"a gate has no '{key}'; {cure}"
                self._problem((*path, key), message)

    def _is_unknown(self, reference: Reference, text: str, path: Path) -> bool:
        message = self._unknown(reference, text)
        if message is not None:
            self._problem(path, message)
        return message is not None

    def _unknown(self, reference: Reference, text: str) -> str | None:
        """Why a name can never have a value, with the nearest that can; None when it may."""
        root, *rest = reference
        if root == "secrets":
            return "secrets are not supported yet"
        if root not in {"inputs", "steps", "run"}:
            literal = expressions.literal_hint(text, root)
            return f"'{root}' is no name here{literal or nearest(root, ['inputs', 'steps', 'run'])}"
        if root == "inputs":
            names = [one.name for one in self._spec.inputs]
            if rest and rest[0] not in names:
                hint = nearest(rest[0], names) if names else "; the pack declares none"
                return f"there is no input '{rest[0]}'{hint}"
            return None
        if root == "run":
            fine = bool(rest) and rest[0] in _RUN_FIELDS
            return (
                None
                if fine
                else f"'{'.'.join(reference)}' is not one of run.{', run.'.join(_RUN_FIELDS)}"
            )
        return self._unknown_step(rest)

    def _unknown_step(self, names: Sequence[str]) -> str | None:
        if not names:
            return "name the step: steps.<id>.outputs or steps.<id>.status"
        step_id, *rest = names
        if step_id not in self._earlier:
            later = any(step.id == step_id for step in self._spec.steps)
            why = "is not certainly earlier than this one" if later else "does not exist"
            hint = nearest(step_id, self._earlier) if self._earlier else ""
            return f"the step '{step_id}' {why}{hint}"
        if not rest or rest[0] not in _STEP_FIELDS:
            return f"of a step there is steps.{step_id}.outputs and steps.{step_id}.status"
        if rest[0] == "outputs" and self._earlier[step_id].gate is not None:
            return f"the gate '{step_id}' has no outputs; there is steps.{step_id}.status"
        return None

    def _outputs(self) -> None:
        for index, output in enumerate(self._spec.outputs):
            path: Path = ("spec", "outputs", index)
            wanted, other = (
                ("path", "expression") if output.type == "file" else ("expression", "path")
            )
            if getattr(output, other) is not None:
                self._problem((*path, other), f"an output of type {output.type} has no '{other}'")
            value = getattr(output, wanted)
            if value is None:
                self._problem(path, f"an output of type {output.type} needs '{wanted}'")
            elif output.type == "object":
                for reference in self._expression(value, (*path, "expression")):
                    self._is_unknown(reference, value, (*path, "expression"))
            elif (wrong := _path_problem(value)) is not None:
                self._problem((*path, "path"), wrong)


def _path_problem(path: str) -> str | None:
    parts = path.removeprefix(_OUTPUT_ROOT).split("/")
    if not path.startswith(_OUTPUT_ROOT) or any(part in {"", ".", ".."} for part in parts):
        return f"'{path[:80]}' is no file under /output; write it like /output/report.json"
    return None
