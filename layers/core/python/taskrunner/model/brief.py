"""The brief of a run: what approvers are shown of it in the list of open approvals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskrunner.model.json_types import Json, JsonObject
    from taskrunner.model.plan import Plan

# A page has up to 100 approvals, and Lambda answers with at most 6 MB.
_MAX_INPUT_BYTES: Final = 16 * 1024
_MAX_SECRET_BYTES: Final = 4 * 1024


def brief_of(plan: Plan) -> JsonObject | None:
    """Return the inputs of *plan* and the names of its secrets, or None if it has no approval.

    Inputs that do not fit are omitted, the later ones first, and counted in `inputsOmitted`. A plan
    has no secret's value.
    """
    if not plan.approvals:
        return None
    inputs = dict(_fitting(plan.inputs.items(), _MAX_INPUT_BYTES))
    secrets = [name for name, _ in _fitting(((n, None) for n in plan.secrets), _MAX_SECRET_BYTES)]
    brief: JsonObject = {"inputs": inputs}
    if secrets:
        brief["secrets"] = secrets
    if omitted := len(plan.inputs) - len(inputs):
        brief["inputsOmitted"] = omitted
    return brief


def _fitting(members: Iterable[tuple[str, Json]], room: int) -> Iterable[tuple[str, Json]]:
    """Yield *members*, each as long as it fits into the rest of *room* bytes of JSON."""
    for name, value in members:
        size = len(json.dumps({name: value}, ensure_ascii=False).encode(errors="replace"))
        if size <= room:
            room -= size
            yield name, value
