"""JMESPath expressions: parsed, read for the names they use, and evaluated within an allowance."""

from __future__ import annotations

from taskrunner.expressions.allowance import Allowance
from taskrunner.expressions.parser import (
    Expression,
    ExpressionError,
    Piece,
    Reference,
    literal_hint,
    parse,
    references,
    render,
    template,
    truth,
)

__all__ = [
    "Allowance",
    "Expression",
    "ExpressionError",
    "Piece",
    "Reference",
    "literal_hint",
    "parse",
    "references",
    "render",
    "template",
    "truth",
]
