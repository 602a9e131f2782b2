"""Stage 3: what no shape can say. Names are looked up, expressions parsed, parameters validated.

Every problem is returned, in the order of the manifest's lines; nothing is raised. A pack without
problems can be planned for any valid inputs.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic.alias_generators import to_camel

from taskrunner import executors, expressions
from taskrunner.compiler import ceilings, inputs, json_schemas, report
from taskrunner.compiler.schema import as_written
from taskrunner.executors import arguments
from taskrunner.expressions import templates
from taskrunner.expressions.parser import ExpressionError
from taskrunner.model import egress, json_path
from taskrunner.model.artifact import EVIDENCE_BUNDLE
from taskrunner.model.ceilings import NO_CEILINGS, Ceilings
from taskrunner.model.wording import nearest, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taskrunner.compiler.schema import (
        ConditionalShape,
        GateOfPolicy,
        ItemsShape,
        LoopShape,
        MapShape,
        Pack,
        PolicyShape,
        Run,
        StepShape,
    )
    from taskrunner.compiler.source import Source
    from taskrunner.errors import Diagnostic
    from taskrunner.expressions.parser import Expression, Reference
    from taskrunner.model.json_path import Path

_OUTPUT_ROOT = "/output/"
_RUN_FIELDS = ("id", "tenant", "createdAt")
_STEP_FIELDS = ("outputs", "status")
_ROOTS = frozenset({"inputs", "steps", "run", "secrets", "with"})
_EVERYWHERE = frozenset({"inputs", "steps", "run"})
_ITERATED = frozenset({"map", "loop"})
_SECRETS_STAND_ELSEWHERE = (
    "secrets are read in the 'with' of a run step or a policy gate and nowhere else"
)
_FUNCTION_FORM = (
    "write lambda:<name>, a name of 1 to 63 letters, digits, '_' and '-' that begins with a "
    "letter or digit"
)


def problems(pack: Pack, source: Source, allowed: Ceilings = NO_CEILINGS) -> list[Diagnostic]:
    """All problems of *pack* that its shape does not show, *allowed* being the deployment's."""
    all_found = [*_Checker(pack).found(), *ceilings.problems(pack, allowed)]
    found = [(as_written(path, source), message) for path, message in all_found]
    found.sort(key=lambda problem: source.line(problem[0]))
    # A path has the keys of parameters, which are as long as their author likes.
    told = found[: report.MAX_PROBLEMS + 1]
    return [source.diagnostic(path, message) for path, message in told]


@dataclass(frozen=True, slots=True)
class _Needs:
    """What the rules of a policy read that is not known everywhere: steps, and other roots."""

    steps: frozenset[str]
    roots: frozenset[str]


class _Checker:
    """One walk over one pack.

    *_visible* has the steps that are certainly before the one that is looked at and may be read
    from it; *_names* the iterators and indexes of the maps and loops around it.
    """

    def __init__(self, pack: Pack) -> None:
        self._spec = pack.spec
        # No list: a policy is looked at for several gates, and is told of once.
        self._found: dict[tuple[Path, str], None] = {}
        self._parsed: dict[str, Expression | ExpressionError] = {}
        self._fine: dict[str, _Needs] = {}  # policies whose rules are right where these are known
        self._inputs_there = {one.name for one in pack.spec.inputs}
        self._secrets = {one.name for one in pack.spec.secrets}
        self._approvals = {one.id for one in pack.spec.approvals}
        self._policy_by_id = {one.id: (n, one) for n, one in enumerate(pack.spec.policies)}
        self._all = dict(_walk(pack.spec.steps, ("spec", "steps")))
        self._visible: dict[str, StepShape] = {}
        self._names: list[str] = []

    def found(self) -> list[tuple[Path, str]]:
        spec = self._spec
        self._unique("inputs", [one.name for one in spec.inputs], "name")
        self._unique("secrets", [one.name for one in spec.secrets], "name")
        self._unique("approvals", [one.id for one in spec.approvals], "id")
        self._unique("policies", [one.id for one in spec.policies], "id")
        self._unique("outputs", [output.name for output in spec.outputs], "name")
        self._unique_steps()
        self._inputs()
        self._egress()
        self._policies()
        self._list(spec.steps, ("spec", "steps"))
        self._outputs()
        return list(self._found)

    def _unique_steps(self) -> None:
        first: dict[str, Path] = {}
        for path, step in self._all.items():
            if (before := first.setdefault(step.id, path)) != path:
                taken = json_path.render(before)
                self._problem((*path, "id"), f"'{step.id}' is taken by {taken}; choose another id")

    def _unique(self, section: str, names: Sequence[str], key: str) -> None:
        first: dict[str, int] = {}
        for index, name in enumerate(names):
            if (before := first.setdefault(name, index)) != index:
                message = f"'{name}' is taken by $.spec.{section}[{before}]; choose another {key}"
                self._problem(("spec", section, index, key), message)

    def _is_enough(self) -> bool:
        """Whether more is found than is told: looking for the nearest right names has its price."""
        return len(self._found) > report.MAX_PROBLEMS

    def _problem(self, path: Path, message: str) -> None:
        self._found[path, message] = None

    def _inputs(self) -> None:
        share = inputs.share_of(self._spec.inputs)
        for index, one in enumerate(self._spec.inputs):
            if self._is_enough():
                break
            path: Path = ("spec", "inputs", index)
            schema = one.json_schema
            broken = None if schema is None else json_schemas.problem(schema, share)
            if broken is not None:
                at, message = broken
                self._problem((*path, "schema", *at), message)
            if one.default is None:
                continue
            if one.required:
                self._problem(
                    (*path, "default"), "a required input has no default; remove one of both"
                )
            usable = one if broken is None else one.model_copy(update={"json_schema": None})
            for at, message in inputs.misfits(usable, one.default, share):
                self._problem((*path, "default", *at), message)

    def _egress(self) -> None:
        for index, entry in enumerate(self._spec.sandbox.egress_allowlist):
            if (broken := egress.problem(entry)) is not None:
                self._problem(("spec", "sandbox", "egressAllowlist", index), broken)

    def _policies(self) -> None:
        for index, policy in enumerate(self._spec.policies):
            path: Path = ("spec", "policies", index)
            if (policy.uses is None) == (policy.rules is None):
                message = f"the policy '{policy.id}' needs exactly one of 'rules' and 'uses'"
                self._problem(path, message)
            if policy.uses is not None and executors.function_name(policy.uses) is None:
                message = f"'{shortened(policy.uses, 80)}' is no function; {_FUNCTION_FORM}"
                self._problem((*path, "uses"), message)
            first: dict[str, int] = {}
            for number, rule in enumerate(policy.rules or ()):
                at: Path = (*path, "rules", number)
                # The names in it are looked up where its gates stand, which may be nowhere.
                for reference in self._expression(rule.require, (*at, "require")):
                    if reference[0] == "secrets":
                        self._problem((*at, "require"), _SECRETS_STAND_ELSEWHERE)
                if (before := first.setdefault(rule.id, number)) != number:
                    taken = json_path.render((*path, "rules", before))
                    message = f"'{rule.id}' is taken by {taken}; choose another id"
                    self._problem((*at, "id"), message)

    def _list(self, steps: Sequence[StepShape], path: Path) -> list[str]:
        """Check *steps*, each of which sees those before it; returns what became visible."""
        seen = []
        for index, step in enumerate(steps):
            seen += self._step(step, (*path, index))
        return seen

    def _step(self, step: StepShape, path: Path) -> list[str]:
        if self._is_enough():
            return []
        if step.when is not None:
            self._names_in(step.when, (*path, "when"))
        if step.run is None:
            for key in ("retries", "timeout_seconds"):
                if getattr(step, key) is not None:
                    self._not_for(step, to_camel(key), path)
        inner = self._body(step, path)
        self._visible[step.id] = step
        return [*inner, step.id]

    def _not_for(self, step: StepShape, key: str, path: Path) -> None:
        kind = kind_of(step)
        cure = {
            "gate.approval": "how long it waits is its approval's expiresAfterSeconds",
            "gate.policy": (
                "its own are gate.policy.retries"
                if key == "retries"
                else "an override waits as long as its approval's expiresAfterSeconds"
            ),
        }.get(kind, "say it of the steps inside")
        self._problem((*path, key), f"a {kind} step has no '{key}'; {cure}")

    def _body(self, step: StepShape, path: Path) -> list[str]:
        """Check what is in *step*; returns the ids in it that may be read behind it."""
        if step.run is not None:
            self._run(step.run, (*path, "run"))
        elif step.parallel is not None:
            at = (*path, "parallel", "steps")
            return self._apart(([child], at, i) for i, child in enumerate(step.parallel.steps))
        elif step.map is not None:
            self._map(step.map, (*path, "map"))
        elif step.loop is not None:
            self._loop(step.loop, (*path, "loop"))
        elif step.conditional is not None:
            return self._conditional(step.conditional, (*path, "conditional"))
        elif step.gate is not None and step.gate.approval is not None:
            self._approval(step.gate.approval.id, (*path, "gate", "approval", "id"))
        elif step.gate is not None and step.gate.policy is not None:
            return self._policy_gate(step.gate.policy, (*path, "gate", "policy"))
        return []

    def _apart(self, lists: Iterable[tuple[Sequence[StepShape], Path, int]]) -> list[str]:
        """Check lists that do not see each other, and may all be read behind the block.

        Each comes with the path of its list and the place there of its first step.
        """
        steps_seen: dict[str, StepShape] = {}
        for steps, path, first in lists:
            seen = []
            for offset, step in enumerate(steps):
                seen += self._step(step, (*path, first + offset))
            # An id that stands twice may have been forgotten already, with its iteration.
            known = {step_id for step_id in seen if step_id in self._visible}
            steps_seen |= {step_id: self._visible.pop(step_id) for step_id in known}
        self._visible |= steps_seen
        return list(steps_seen)

    def _map(self, shape: MapShape, path: Path) -> None:
        self._items(shape.items, (*path, "items"))
        if (shape.step is None) == (shape.steps is None):
            self._problem(path, "a map needs exactly one of 'step' and 'steps'")
            return
        with self._iteration(shape.iterator, shape.index, path):
            if shape.step is not None:
                self._forget(self._step(shape.step, (*path, "step")))
            else:
                self._forget(self._list(shape.steps or (), (*path, "steps")))

    def _loop(self, shape: LoopShape, path: Path) -> None:
        self._items(shape.items, (*path, "items"))
        with self._iteration(shape.iterator, shape.index, path):
            seen = self._list(shape.body, (*path, "body"))
            for key in ("until", "outputs"):
                if (text := getattr(shape, key)) is not None:
                    self._names_in(text, (*path, key))
            self._forget(seen)

    @contextmanager
    def _iteration(self, iterator: str, index: str, path: Path) -> Iterator[None]:
        before = len(self._names)
        for key, name in (("iterator", iterator), ("index", index)):
            if name in _ROOTS or name in self._names:
                what = "is used by a block around this"
                if name in _ROOTS or name in self._names[before:]:
                    what = "is a name already"
                self._problem((*path, key), f"'{name}' {what}; choose another {key}")
            self._names.append(name)
        yield
        del self._names[before:]

    def _forget(self, seen: Iterable[str]) -> None:
        """Nothing outside reads into an iteration."""
        for step_id in set(seen):
            self._visible.pop(step_id, None)

    def _items(self, shape: ItemsShape, path: Path) -> None:
        given = [
            key for key in ("expression", "range", "static") if getattr(shape, key) is not None
        ]
        if len(given) != 1:
            self._problem(path, "items are exactly one of an expression, 'range' and 'static'")
        if shape.expression is not None:
            self._names_in(shape.expression, (*path, "expression"))
        if shape.range is not None and shape.range.step == 0:
            self._problem((*path, "range", "step"), "'step' must not be 0")
        for at, text in templates.texts(shape.static):
            for reference in self._template(text, (*path, "static", *at), with_secrets=False):
                if reference[0] not in {"inputs", "secrets"}:
                    message = "static items read inputs alone; write an expression for the rest"
                    self._problem((*path, "static", *at), message)

    def _conditional(self, shape: ConditionalShape, path: Path) -> list[str]:
        for index, branch in enumerate(shape.branches):
            self._names_in(branch.condition, (*path, "branches", index, "condition"))
        arms = [
            (branch.steps, (*path, "branches", index, "steps"), 0)
            for index, branch in enumerate(shape.branches)
        ]
        return self._apart([*arms, (shape.otherwise, (*path, "else"), 0)])

    def _approval(self, approval_id: str, path: Path) -> None:
        if approval_id not in self._approvals:
            known = self._approvals
            hint = nearest(approval_id, known) if known else "; spec.approvals has none"
            self._problem(path, f"there is no approval '{approval_id}'{hint}")

    def _policy_gate(self, shape: GateOfPolicy, path: Path) -> list[str]:
        for at, text in templates.texts(shape.parameters):
            self._template(text, (*path, "with", *at))
        self._policy_of(shape, path)
        needs = {"requestOverride": "override", "branch": "branch"}
        for action, key in needs.items():
            value = getattr(shape, key)
            if shape.failure_action == action and value is None:
                self._problem(path, f"the failureAction {action} needs '{key}'")
            elif shape.failure_action != action and value is not None:
                message = f"'{key}' is for the failureAction {action} only"
                self._problem((*path, key), message)
        if shape.override is not None:
            self._approval(shape.override.approval, (*path, "override", "approval"))
        return self._apart([(shape.branch or [], (*path, "branch"), 0)])

    def _policy_of(self, shape: GateOfPolicy, path: Path) -> None:
        if (shape.policy is None) == (shape.id is None):
            self._problem(path, "a policy gate names its policy once, by 'policy' or by 'id'")
            return
        key = "id" if shape.policy is None else "policy"
        known = self._policy_by_id
        index, policy = known.get(shape.policy_id or "", (0, None))
        if policy is None:
            hint = nearest(str(shape.policy_id), known) if known else "; spec.policies has none"
            self._problem((*path, key), f"there is no policy '{shape.policy_id}'{hint}")
            return
        if shape.version is not None and shape.version != policy.version:
            message = f"the policy '{policy.id}' has version {policy.version}, not {shape.version}"
            self._problem((*path, "version"), message)
        self._rules_of(policy, index)

    def _rules_of(self, policy: PolicyShape, index: int) -> None:
        """Check the names in the rules of *policy* as seen from the gate that is looked at."""
        needs = self._fine.get(policy.id)
        if needs and needs.steps <= self._visible.keys() and needs.roots <= {*self._names, "with"}:
            return
        before = len(self._found)
        self._names.append("with")  # a rule reads what its gate is given
        for number, rule in enumerate(policy.rules or ()):
            at: Path = ("spec", "policies", index, "rules", number, "require")
            self._names_in(rule.require, at)
        self._names.pop()
        if len(self._found) == before:
            read = [ref for r in policy.rules or () for ref in self._expression(r.require, ())]
            steps = frozenset(ref[1] for ref in read if ref[0] == "steps")
            self._fine[policy.id] = _Needs(steps, frozenset(ref[0] for ref in read) - _EVERYWHERE)

    def _names_in(self, text: str, path: Path) -> None:
        """Check the names that an expression reads."""
        self._look_up(((one, text) for one in self._expression(text, path)), path)

    def _expression(self, text: str, path: Path) -> tuple[Reference, ...]:
        if text not in self._parsed:
            try:
                self._parsed[text] = expressions.parse(text)
            except ExpressionError as error:
                self._parsed[text] = error
        parsed = self._parsed[text]
        if isinstance(parsed, ExpressionError):
            self._problem(path, str(parsed))
            return ()
        return parsed.references

    def _run(self, run: Run, path: Path) -> None:
        for at, text in templates.texts(run.parameters):
            self._template(text, (*path, "with", *at))
        executor = executors.find(run.uses)
        if executor is None:
            self._problem((*path, "uses"), _no_executor(run.uses))
            return
        still_open = [at for at, _ in templates.texts(run.parameters)]
        for at, message in arguments.misfits(executor, run.parameters, still_open):
            self._problem((*path, "with", *at), message)

    def _template(
        self, text: str, path: Path, *, with_secrets: bool = True
    ) -> tuple[Reference, ...]:
        try:
            pieces = expressions.template(text)
        except ExpressionError as error:
            self._problem(path, str(error))
            return ()
        expressed = [piece for piece in pieces if not isinstance(piece, str)]
        read = ((one, piece.text) for piece in expressed for one in piece.references)
        self._look_up(read, path, with_secrets=with_secrets)
        return expressions.references(pieces)

    def _look_up(
        self, read: Iterable[tuple[Reference, str]], path: Path, *, with_secrets: bool = False
    ) -> None:
        """Look names up, each with the expression that reads it: `inputs.x.a` is one with `.b`."""
        told = set()
        for reference, text in read:
            name = reference[: 2 if reference[0] in _ROOTS else 1]
            if name in told or self._is_enough():
                continue
            message = self._unknown(reference, text, with_secrets=with_secrets)
            if message is not None:
                told.add(name)
                self._problem(path, message)

    def _unknown(self, reference: Reference, text: str, *, with_secrets: bool) -> str | None:
        """Why a name can never have a value, with the nearest that can; None when it may."""
        root, *rest = reference
        if root == "secrets":
            return self._unknown_secret(rest) if with_secrets else _SECRETS_STAND_ELSEWHERE
        if root in self._names:
            return None
        if root not in {"inputs", "steps", "run"}:
            literal = expressions.literal_hint(text, root)
            names = ["inputs", "steps", "run", *self._names]
            if with_secrets and self._spec.secrets:
                names.append("secrets")
            return f"'{root}' is no name here{literal or nearest(root, names)}"
        if root == "inputs":
            known = self._inputs_there
            if rest and rest[0] not in known:
                hint = nearest(rest[0], known) if known else "; the pack declares none"
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

    def _unknown_secret(self, names: Sequence[str]) -> str | None:
        declared = self._secrets
        if not names:
            return "name the secret: secrets.<name>"
        if names[0] not in declared:
            hint = nearest(names[0], declared) if declared else "; spec.secrets has none"
            return f"there is no secret '{names[0]}'{hint}"
        if len(names) > 1:
            return f"a secret is text and has no fields; there is secrets.{names[0]}"
        return None

    def _unknown_step(self, names: Sequence[str]) -> str | None:
        if not names:
            return "name the step: steps.<id>.outputs or steps.<id>.status"
        step_id, *rest = names
        step = self._visible.get(step_id)
        if step is None:
            return f"the step '{step_id}' {self._why_not_visible(step_id)}"
        if not rest or rest[0] not in _STEP_FIELDS:
            return f"of a step there is steps.{step_id}.outputs and steps.{step_id}.status"
        if rest[0] == "outputs" and step.gate is not None:
            return f"the gate '{step_id}' has no outputs; there is steps.{step_id}.status"
        return None

    def _why_not_visible(self, step_id: str) -> str:
        path = next((at for at, step in self._all.items() if step.id == step_id), None)
        hint = nearest(step_id, self._visible) if self._visible else ""
        if path is None:
            return f"does not exist{hint}"
        for length in range(len(path) - 1, 0, -1):
            around = self._all.get(path[:length])
            if around is not None and around.id in self._visible and kind_of(around) in _ITERATED:
                outputs = f"steps.{around.id}.outputs"
                return f"is read from its own iteration only; outside there is {outputs}"
        return f"is not certainly earlier than this one{hint}"

    def _outputs(self) -> None:
        for index, output in enumerate(self._spec.outputs):
            path: Path = ("spec", "outputs", index)
            wanted, other = (
                ("path", "expression") if output.type == "file" else ("expression", "path")
            )
            if output.name == EVIDENCE_BUNDLE:
                message = f"the name '{output.name}' is the run's own evidence; choose another"
                self._problem((*path, "name"), message)
            if getattr(output, other) is not None:
                self._problem((*path, other), f"an output of type {output.type} has no '{other}'")
            value = getattr(output, wanted)
            if value is None:
                self._problem(path, f"an output of type {output.type} needs '{wanted}'")
            elif output.type == "object":
                self._names_in(value, (*path, "expression"))
            elif (wrong := _path_problem(value)) is not None:
                self._problem((*path, "path"), wrong)


def _no_executor(reference: str) -> str:
    if reference.startswith(executors.LAMBDA):
        return (
            f"'{reference}' names no function; after lambda: stand 1 to 63 letters, digits, "
            "'-' and '_', the first a letter or a digit"
        )
    known = [*executors.references(), f"{executors.LAMBDA}<name>"]
    return f"there is no executor '{reference}'{nearest(reference, known)}"


def kind_of(step: StepShape) -> str:
    """The kind of *step*, as its author writes it; the schema stage proved that it has one."""
    if step.gate is not None:
        return "gate.policy" if step.gate.policy is not None else "gate.approval"
    kinds = ("run", "parallel", "map", "loop", "conditional")
    return next(kind for kind in kinds if getattr(step, kind) is not None)


def _walk(steps: Sequence[StepShape], path: Path) -> Iterator[tuple[Path, StepShape]]:
    """All of *steps* with everything in them, each with its path."""
    for index, step in enumerate(steps):
        yield from _walk_step(step, (*path, index))


def _walk_step(step: StepShape, path: Path) -> Iterator[tuple[Path, StepShape]]:
    yield path, step
    if step.parallel is not None:
        yield from _walk(step.parallel.steps, (*path, "parallel", "steps"))
    if step.map is not None and step.map.step is not None:
        yield from _walk_step(step.map.step, (*path, "map", "step"))
    if step.map is not None:
        yield from _walk(step.map.steps or (), (*path, "map", "steps"))
    if step.loop is not None:
        yield from _walk(step.loop.body, (*path, "loop", "body"))
    if step.conditional is not None:
        for index, branch in enumerate(step.conditional.branches):
            at = (*path, "conditional", "branches", index, "steps")
            yield from _walk(branch.steps, at)
        yield from _walk(step.conditional.otherwise, (*path, "conditional", "else"))
    if step.gate is not None and step.gate.policy is not None:
        yield from _walk(step.gate.policy.branch or (), (*path, "gate", "policy", "branch"))


def _path_problem(path: str) -> str | None:
    parts = path.removeprefix(_OUTPUT_ROOT).split("/")
    if not path.startswith(_OUTPUT_ROOT) or any(part in {"", ".", ".."} for part in parts):
        return f"'{path[:80]}' is no file under /output; write it like /output/report.json"
    return None
