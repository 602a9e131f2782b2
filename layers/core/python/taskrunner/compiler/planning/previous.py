"""The loops of which an iteration reads the value of the one before, as `previous`.

A run records the values of their iterations. So the plan says which loops they are, and by the
pack's structure alone, because their machines differ from those of other loops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from taskrunner import expressions
from taskrunner.compiler.manifest.step_shapes import (
    ApprovalGateShape,
    ConditionalShape,
    LoopShape,
    MapShape,
    ParallelShape,
    PolicyGateShape,
    RunShape,
    walk,
)
from taskrunner.expressions import templates
from taskrunner.model.plan import PREVIOUS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskrunner.compiler.manifest.shapes import Spec
    from taskrunner.compiler.manifest.step_shapes import StepBody, StepShape
    from taskrunner.expressions import Reference
    from taskrunner.model.json_path import JsonPath
    from taskrunner.model.json_types import Json


def value_keepers(spec: Spec) -> frozenset[str]:
    """Return the ids of the loops in which `previous` is read, each by the innermost around it."""
    steps = [
        *walk(spec.steps, ("spec", "steps")),
        *walk(spec.final_steps, ("spec", "finally")),
    ]
    if not any(isinstance(step.body, LoopShape) for _, step in steps):
        return frozenset()
    return frozenset(_Readers(spec).loops(steps))


class _Readers:
    """Looks for the readers of `previous` in one pack."""

    def __init__(self, spec: Spec) -> None:
        # Looked at once each, because many gates may share one.
        self._messages = {
            approval.id: _in_template(approval.message) for approval in spec.approvals
        }
        self._policies = {
            policy.id: any(_in_expression(rule.require) for rule in policy.rules or ())
            for policy in spec.policies
        }
        # The loop that `previous` means inside the step at a path; None where it is something else.
        self._meant_inside: dict[JsonPath, str | None] = {(): None}
        self._hidden: set[JsonPath] = set()  # blocks in which it is an iterator

    def loops(self, steps: Iterable[tuple[JsonPath, StepShape]]) -> Iterator[str]:
        """Yield the loops that are read; *steps* come with their paths, blocks before children."""
        for path, step in steps:
            block = self._block_around(path)
            around = self._meant_inside[block]
            inside = step.id if isinstance(step.body, LoopShape) else around
            if block in self._hidden or _is_iterator(step.body):
                self._hidden.add(path)
                inside = None
            self._meant_inside[path] = inside
            if around is not None and self._reads(step):
                yield around
            if inside is not None and _reads_inside(step.body):
                yield inside

    def _block_around(self, path: JsonPath) -> JsonPath:
        lengths = range(len(path) - 1, 0, -1)
        return next((path[:n] for n in lengths if path[:n] in self._meant_inside), ())

    def _reads(self, step: StepShape) -> bool:
        """Return whether *step* reads `previous` where it stands."""
        if _in_expression(step.when):
            return True
        match body := step.body:
            case RunShape():
                return _in_templates(body.parameters)
            case ApprovalGateShape():
                own = body.message
                return self._messages[body.id] if own is None else _in_template(own)
            case PolicyGateShape():
                override = body.override
                asks = override is not None and self._messages[override.approval]
                return asks or self._policies[body.policy_id] or _in_templates(body.parameters)
            case ConditionalShape():
                return any(_in_expression(branch.condition) for branch in body.branches)
            case MapShape() | LoopShape():
                return _in_expression(body.items.expression)
            case ParallelShape():
                return False
            case _:
                assert_never(body)


def _is_iterator(body: StepBody) -> bool:
    return isinstance(body, MapShape | LoopShape) and PREVIOUS in {body.iterator, body.index}


def _reads_inside(body: StepBody) -> bool:
    """Return whether a map or loop reads `previous` itself in its iterations."""
    match body:
        case MapShape():
            return _in_expression(body.outputs)
        case LoopShape():
            return _in_expression(body.outputs) or _in_expression(body.until)
        case _:
            return False


def _in_expression(text: str | None) -> bool:
    return text is not None and _may_read(text) and _is_among(expressions.parse(text).references)


def _in_template(text: str | None) -> bool:
    return text is not None and _may_read(text) and _is_among(templates.split(text).references)


def _in_templates(value: Json) -> bool:
    return any(_in_template(text) for _, text in templates.texts(value))


def _is_among(references: Iterable[Reference]) -> bool:
    return any(reference[0] == PREVIOUS for reference in references)


def _may_read(text: str) -> bool:
    """Return whether it is worth parsing *text*: a name in quotes may have escapes."""
    return PREVIOUS in text or "\\u" in text
