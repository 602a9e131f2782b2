"""The fields of outputs whose form the language fixes: those of gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.compiler.manifest.step_shapes import (
    ApprovalGateShape,
    PolicyGateShape,
)
from taskrunner.model.approval import Verdict
from taskrunner.model.wording import closest, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.compiler.manifest.step_shapes import StepBody


def unknown_field(step_id: str, body: StepBody, names: Sequence[str]) -> str | None:
    """Return why the outputs of a step never have the field *names*; None if they may.

    A field that other outputs lack is null.
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
        case _:
            return None
