"""Messages to approvers, which are templates.

A message never fails its gate. An expression in it that cannot be evaluated leaves a note in its
place: the gate holds anyway, and an approver who sees the note can reject. The other way round, a
text could end a run that all its steps have brought to the gate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.expressions.allowance import Allowance
from taskrunner.expressions.errors import ExpressionError
from taskrunner.expressions.templates import TemplateText, as_text, split

if TYPE_CHECKING:
    from taskrunner.expressions.names import Reference
    from taskrunner.expressions.parser import Expression
    from taskrunner.model.json_types import JsonMapping

# As many as an author may write. It bounds lists of gates and notifications.
MAX_CHARACTERS: Final = 2000
_MAX_NOTE_CHARACTERS: Final = 200


def is_template(message: str | None) -> bool:
    """Return whether *message* has expressions to evaluate."""
    return bool(references(message) or (message and _template(message).expressions))


def references(message: str | None) -> tuple[Reference, ...]:
    """Return the names that *message* reads."""
    return () if message is None else _template(message).references


def filled(message: str, context: JsonMapping) -> str:
    """Return *message* with its expressions evaluated in *context*, cut to MAX_CHARACTERS."""
    return _rendered(message, context, names=None)


def filled_as_far_as_known(message: str, context: JsonMapping) -> str:
    """Return *message* with those expressions evaluated that read names of *context* alone."""
    return _rendered(message, context, names=context)


def _rendered(message: str, context: JsonMapping, names: JsonMapping | None) -> str:
    allowance = Allowance()
    parts = [
        piece if isinstance(piece, str) else _value(piece, context, names, allowance)
        for piece in _template(message).pieces
    ]
    text = "".join(parts)
    if not text.strip():
        return message  # it came to nothing, which says less than the template
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}…"


def _value(
    expression: Expression, context: JsonMapping, names: JsonMapping | None, allowance: Allowance
) -> str:
    if names is not None and any(name[0] not in names for name in expression.references):
        return f"{{{{ {expression.text} }}}}"
    try:
        return as_text(expression.evaluate(context, allowance))
    except ExpressionError as error:
        return f"[not available: {str(error)[:_MAX_NOTE_CHARACTERS]}]"


def _template(message: str) -> TemplateText:
    try:
        return split(message)
    except ExpressionError:  # a plan from before messages were templates
        return TemplateText((message,))
