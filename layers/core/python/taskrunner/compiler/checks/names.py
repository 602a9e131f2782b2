"""The names that an expression may read at one place of a pack, and the messages for all others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner import expressions
from taskrunner.compiler.checks.order import why_not_earlier
from taskrunner.compiler.checks.output_fields import unknown_field
from taskrunner.compiler.manifest.step_shapes import LoopShape, MapShape, body_path, walk
from taskrunner.model.plan import PREVIOUS
from taskrunner.model.wording import closest, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from taskrunner.compiler.manifest.repair import Repaired
    from taskrunner.compiler.manifest.shapes import Spec
    from taskrunner.compiler.manifest.step_shapes import StepBody, StepShape
    from taskrunner.expressions import Reference
    from taskrunner.model.json_path import JsonPath

_RUN_FIELDS: Final = ("id", "tenant", "createdAt", "createdBy", "now")
# The names by which `finally` reads the end of the steps before it. No step may have failed.
_FINAL_RUN_FIELDS: Final = ("outcome", "failedStep", "failureReason")
_STEP_FIELDS: Final = ("outputs", "status", "statusReason", "error")
_EVERYWHERE: Final = ("inputs", "steps", "run")
# No iterator may be called like one of these.
_RESERVED: Final = frozenset({*_EVERYWHERE, "secrets", "with"})
# The kinds of value that inputs of these types have.
_KINDS: Final[Mapping[str, str]] = {
    "string": "text", "integer": "a number", "number": "a number", "boolean": "a boolean",
    "array": "a list", "object": "an object",
}  # fmt: skip
NOT_IN_VALUES: Final = (
    "run.now is the time when a step is reached, and the value of an iteration has none; let a "
    "step of the iteration return it"
)
ONLY_IN_WITH: Final = "a secret can be read only in the 'with' of a run step or a policy gate"


_OUTSIDE_LOOPS: Final = (
    f"'{PREVIOUS}' is the value of a loop's iteration before, and this place is in no loop; read "
    "it in a loop's body, 'until' or 'outputs'"
)


class Kind(NamedTuple):
    """The kind of a value, in the words of messages, and whether it may be null instead."""

    name: str
    maybe_null: bool = False


# It stands for the value of the iteration before, which is of any kind.
_VALUE_BEFORE: Final = Kind("the value of the iteration before", maybe_null=True)


class Scope:
    """The declarations of a pack, and what is visible from the place that is checked.

    *visible* has the steps that are certainly earlier, by id.
    """

    def __init__(self, spec: Spec, repaired: Repaired) -> None:
        self.steps: Mapping[JsonPath, StepShape] = {
            **dict(walk(spec.steps, ("spec", "steps"))),
            **dict(walk(spec.final_steps, ("spec", "finally"))),
        }
        self.visible: dict[str, StepShape] = {}
        self._inputs = {shape.name: shape for shape in spec.inputs}
        self._secrets = {shape.name for shape in spec.secrets}
        self._local: dict[str, Kind | None] = {}
        self._is_final = False
        self._place: JsonPath = ()
        self._repaired = repaired

    def unsure(self, section: str) -> bool:
        """Return whether *section* may lack a name since a mistake in it was repaired."""
        return self._repaired.unsure(section)

    def show(self, step: StepShape) -> None:
        """Make *step* visible to what follows."""
        self.visible[step.id] = step

    def body(self, step_id: str) -> StepBody | None:
        """Return the fields of the kind of an earlier step; None if there is none of that id."""
        step = self.visible.get(step_id)
        return None if step is None else step.body

    @property
    def is_final(self) -> bool:
        """Whether the place is in `finally`."""
        return self._is_final

    @contextmanager
    def final_steps(self) -> Iterator[None]:
        """Be in `finally` for a while."""
        self._is_final = True
        yield
        self._is_final = False

    @contextmanager
    def at_step(self, path: JsonPath) -> Iterator[None]:
        """Be in the step at *path* for a while."""
        before = self._place
        self._place = path
        yield
        self._place = before

    def hide(self, step_ids: Iterable[str]) -> dict[str, StepShape]:
        """Make steps invisible, and return those that were visible."""
        # An id that is used twice may have been hidden already, with its iteration.
        hidden = {step_id for step_id in step_ids if step_id in self.visible}
        return {step_id: self.visible.pop(step_id) for step_id in hidden}

    @contextmanager
    def local_names(self, names: Mapping[str, Kind | None]) -> Iterator[None]:
        """Add *names* for a while: iterators and indexes, and `with` for the rules of a policy.

        Each comes with its kind, or None. It hides the name of a block around this one.
        """
        before = self._local
        self._local = {**before, **names}
        yield
        self._local = before

    @contextmanager
    def loop_names(self, names: Mapping[str, Kind | None]) -> Iterator[None]:
        """Add *names* and `previous` for a while; an iterator of that name keeps its meaning."""
        previous = {} if PREVIOUS in self._local else {PREVIOUS: _VALUE_BEFORE}
        with self.local_names({**previous, **names}):
            yield

    def local_kinds(self, names: Iterable[str]) -> frozenset[tuple[str, Kind | None]]:
        """Return the local names of *names*, each with its kind."""
        return frozenset((name, self._local[name]) for name in names if name in self._local)

    def holds(self, names: frozenset[tuple[str, Kind | None]], step_ids: Iterable[str]) -> bool:
        """Return whether all local *names* and all steps are visible here."""
        return names <= self._local.items() and set(step_ids) <= self.visible.keys()

    def iterator_problem(
        self, kind: str, name: str, siblings: Sequence[str], *, is_written: bool
    ) -> str | None:
        """Return why *name* cannot be a new iterator or index (*kind*) here, or None.

        Only a name that is written must not hide another one. A default name may.
        """
        if name in _RESERVED or name in siblings:
            return f"'{name}' is already a name; choose another {kind}"
        if is_written and name in self._local and self._local[name] is not _VALUE_BEFORE:
            return f"'{name}' is used by a block around this one; choose another {kind}"
        return None

    def unknown(self, reference: Reference, text: str, *, with_secrets: bool) -> str | None:
        """Return why *reference*, read by the expression *text*, can never have a value, or None.

        The message has the nearest name that can.
        """
        root, *rest = reference
        if root == "secrets":
            return self._unknown_secret(rest) if with_secrets else ONLY_IN_WITH
        if root in self._local:
            return None
        match root:
            case "inputs":
                return self._unknown_input(rest)
            case "run":
                return self._unknown_run_field(rest)
            case "steps":
                return self._unknown_step(rest)
            case _:
                return self._unknown_root(root, text, with_secrets=with_secrets)

    def is_known_at_run_time(self, reference: Reference) -> bool:
        """Return whether *reference* is a name here that only a run gives a value."""
        return reference[0] in {"steps", "run", "secrets", *self._local}

    def misplaced(self, names: Reference) -> str | None:
        """Return why *names*, which an expression reads from items, are a mistake; else None.

        JMESPath reads them as fields of each item, and these are null where nobody wrote them.
        """
        head, *rest = names
        place = f"inside these brackets '{head}' is a field of each item"
        field = f"for a field '{head}' of each item write @.{head}"
        # Packs had a field `previous` in items before loops had a name for it.
        is_previous = self._local.get(head) is _VALUE_BEFORE
        if not is_previous and head in {*_EVERYWHERE, "secrets", *self._local}:
            return f"{place}: write $.{'.'.join(names)}; {field}"
        meant = closest(head, _EVERYWHERE)
        if meant is None or not rest or self.unknown((meant, *rest), "", with_secrets=False):
            return None
        right = ".".join((meant, *rest))
        return f"{place}: did you mean $.{right}? {field}"

    def kind(self, reference: Reference) -> Kind | None:
        """Return the kind of value that *reference* has in every run; None if it is not known."""
        match reference:
            case (name,) if name in self._local:
                kind = self._local[name]
                return None if kind is _VALUE_BEFORE else kind
            case ("inputs", name) if not self.unsure("inputs") and name in self._inputs:
                declared = self._inputs[name]
                is_given = declared.required or declared.default is not None
                return Kind(_KINDS[declared.type], maybe_null=not is_given)
            case ("run", field) if field in _RUN_FIELDS or field == "outcome":
                return Kind("text")
            case ("run", field) if field in _FINAL_RUN_FIELDS:
                return Kind("text", maybe_null=True)
            case ("steps", _, "status") | ("secrets", _):
                return Kind("text")
            case ("steps", _, "statusReason" | "error"):
                return Kind("text", maybe_null=True)
            case ("steps", _, "outputs"):
                return Kind("an object", maybe_null=True)
            case _:
                return None

    def _unknown_root(self, root: str, text: str, *, with_secrets: bool) -> str:
        if root == PREVIOUS:
            return _OUTSIDE_LOOPS
        names = [*_EVERYWHERE, *self._local]
        if with_secrets and self._secrets:
            names.append("secrets")
        hint = expressions.literal_hint(text, root) or nearest(root, names)
        return f"'{root}' is not a name here{hint}"

    def _unknown_input(self, names: Sequence[str]) -> str | None:
        if not names or names[0] in self._inputs or self.unsure("inputs"):
            return None
        hint = nearest(names[0], self._inputs) if self._inputs else "; the pack declares none"
        return f"there is no input '{names[0]}'{hint}"

    def _unknown_secret(self, names: Sequence[str]) -> str | None:
        if not names:
            return "name the secret: secrets.<name>"
        if names[0] not in self._secrets and not self.unsure("secrets"):
            hint = nearest(names[0], self._secrets) if self._secrets else "; spec.secrets has none"
            return f"there is no secret '{names[0]}'{hint}"
        if len(names) > 1:
            return f"a secret is text without fields; read secrets.{names[0]}"
        return None

    def _unknown_run_field(self, names: Sequence[str]) -> str | None:
        fields = (*_RUN_FIELDS, *_FINAL_RUN_FIELDS) if self._is_final else _RUN_FIELDS
        if names and names[0] in fields:
            return None
        read = ".".join(("run", *names))
        if names and names[0] in _FINAL_RUN_FIELDS:
            return f"'{read}' can be read only in spec.finally, which runs after the steps"
        available = ", ".join(f"run.{field}" for field in fields)
        return f"'{read}' cannot be read; available: {available}"

    def _unknown_step(self, names: Sequence[str]) -> str | None:
        if not names:
            return "name the step: steps.<id>.outputs or steps.<id>.status"
        step_id, *rest = names
        step = self.visible.get(step_id)
        if step is None and self.unsure("steps") and not self._is_step(step_id):
            return None
        if step is None:
            return f"the step '{step_id}' {self._why_invisible(step_id)}"
        if not rest or rest[0] not in _STEP_FIELDS:
            fields = ", ".join(f"steps.{step_id}.{field}" for field in _STEP_FIELDS)
            wrong = f"'{'.'.join(('steps', step_id, *rest))}' cannot be read"
            return f"{wrong}; available: {fields}"
        message = unknown_field(step_id, step.body, rest[1:]) if rest[0] == "outputs" else None
        return None if message is None or self._has_mistakes(step) else message

    def _has_mistakes(self, step: StepShape) -> bool:
        """Return whether a field of the step's kind was repaired, such as an `aggregation`."""
        path = next((path for path, known in self.steps.items() if known is step), ())
        return self._repaired.hides(body_path(step, path))

    def _is_step(self, step_id: str) -> bool:
        return any(step.id == step_id for step in self.steps.values())

    def _why_invisible(self, step_id: str) -> str:
        path = next((path for path, step in self.steps.items() if step.id == step_id), None)
        hint = nearest(step_id, self.visible) if self.visible else ""
        if path is None:
            return f"does not exist{hint}"
        for length in range(len(path) - 1, 0, -1):
            block = self.steps.get(path[:length])
            if block is None or block.id not in self.visible:
                continue
            if isinstance(block.body, MapShape | LoopShape):
                outputs = f"steps.{block.id}.outputs"
                return f"can be read only inside its own iteration; outside, read {outputs}"
        why = why_not_earlier(path, self._place, self.steps) if self._place else None
        return why or f"does not always end before this one starts{hint}"


def looked_up(reference: Reference) -> Reference:
    """Return the part of *reference* that decides whether it exists: `inputs.x` of `inputs.x.y`."""
    return reference[: 2 if reference[0] in _RESERVED else 1]
