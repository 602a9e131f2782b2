"""The fields of outputs whose form the language fixes: those of gates and maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.compiler.manifest.step_shapes import ApprovalGateShape, MapShape, PolicyGateShape
from taskrunner.model.approval import Verdict
from taskrunner.model.wording import closest, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskrunner.compiler.manifest.step_shapes import StepBody

_FIELDS: Final[Mapping[type, tuple[str, ...]]] = {
    ApprovalGateShape: ("decision", "approvals", "rejection"),
    PolicyGateShape: ("passed", "failures"),
    MapShape: ("results", "statuses"),
}
_KINDS: Final[Mapping[type, str]] = {
    ApprovalGateShape: "an approval gate",
    PolicyGateShape: "a policy gate",
    MapShape: "a map",
}


def unknown_field(step_id: str, body: StepBody, names: Sequence[str]) -> str | None:
    """Return why the outputs of a step never have the field *names*; None if they may.

    Outputs of other kinds depend on an executor, or on the steps of a block.
    """
    fields = _FIELDS.get(type(body))
    if fields is None or not names or names[0] in fields:
        return None
    read = f"steps.{step_id}.outputs"
    hint = nearest(names[0], fields)
    if isinstance(body, ApprovalGateShape):
        verdict = closest(names[0], [verdict.value for verdict in Verdict])
        hint = f"; write {read}.decision == '{verdict}'" if verdict else hint
    return (
        f"the outputs of {_KINDS[type(body)]} have no '{names[0]}', as in {read}.{names[0]}{hint}"
    )
