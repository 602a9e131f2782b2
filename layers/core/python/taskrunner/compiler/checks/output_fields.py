"""The fields of outputs whose form the language fixes: those of gates, maps and loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.compiler.manifest.step_shapes import (
    ApprovalGateShape,
    LoopShape,
    MapShape,
    PolicyGateShape,
)
from taskrunner.model.approval import Verdict
from taskrunner.model.wording import closest, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskrunner.compiler.manifest.step_shapes import StepBody

_FIELDS_BY_AGGREGATION: Final[Mapping[str, tuple[str, ...]]] = {
    "collect": ("results",),
    "none": (),
}
_FIELDS_OF_ONE_VALUE: Final = ("result",)


def unknown_field(step_id: str, body: StepBody, names: Sequence[str]) -> str | None:
    """Return why the outputs of a step never have the field *names*; None if they may.

    Outputs of other kinds depend on an executor, or on the steps of a block.
    """
    known = _fields(body)
    if known is None or not names or names[0] in known[1]:
        return None
    kind, fields = known
    read = f"steps.{step_id}.outputs"
    hint = nearest(names[0], fields)
    if isinstance(body, ApprovalGateShape):
        verdict = closest(names[0], [verdict.value for verdict in Verdict])
        hint = f"; write {read}.decision == '{verdict}'" if verdict else hint
    return f"the outputs of {kind} have no '{names[0]}', as in {read}.{names[0]}{hint}"


def _fields(body: StepBody) -> tuple[str, tuple[str, ...]] | None:
    """Return what messages call a kind of step, and the fields of its outputs; None if unknown."""
    match body:
        case ApprovalGateShape():
            return "an approval gate", ("decision", "approvals", "rejection")
        case PolicyGateShape():
            return "a policy gate", ("passed", "failures")
        case MapShape():
            return "a map", ("results", "statuses")
        case LoopShape():
            fields = _FIELDS_BY_AGGREGATION.get(body.aggregation, _FIELDS_OF_ONE_VALUE)
            return f"a loop with aggregation '{body.aggregation}'", fields
        case _:
            return None
