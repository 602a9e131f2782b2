"""The oracle's own model of gates: their outputs, and the messages to approvers.

It leaves out times: nothing that a generated pack reads depends on `decidedAt`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from taskrunner.expressions import ExpressionError
from tests.machine.generated_declarations import DECISIONS, remarks

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.model.plan import Rule

_EXPRESSION = re.compile(r"\{\{(.*?)\}\}")


def approval_outputs(approval: str) -> dict[str, Any]:
    """Return the outputs of a gate of *approval* that was decided."""
    by = [(verdict, _who(approval, subject)) for subject, verdict in DECISIONS[approval]]
    outputs = {
        "decision": by[-1][0],
        "approvals": [who for verdict, who in by if verdict == "approved"],
    }
    rejected = [who for verdict, who in by if verdict == "rejected"]
    return outputs | ({"rejection": rejected[0]} if rejected else {})


def _who(approval: str, subject: str) -> dict[str, str | None]:
    return {"subject": subject, "name": None, **remarks(approval, subject)}


def broken_rule(rule: Rule, value: Callable[[str], Any]) -> dict[str, Any] | None:
    """Return the failure of *rule*; None if it holds. *value* evaluates an expression."""
    try:
        holds = value(rule.require)
        if holds not in (None, "", [], {}) and holds is not False:
            return None
    except ExpressionError as error:
        return {"id": rule.id, "message": str(error)}
    return {"id": rule.id, "message": rule.message or rule.require}


def filled_message(message: str, value: Callable[[str], Any]) -> str:
    """Return *message* as approvers read it; *value* evaluates an expression."""

    def text(found: re.Match[str]) -> str:
        try:
            read = value(found[1])
        except ExpressionError as error:
            return f"[not available: {error}]"
        if read is None or isinstance(read, str):
            return read or ""
        return json.dumps(read, separators=(",", ":"), sort_keys=True)

    return _EXPRESSION.sub(text, message) or message
