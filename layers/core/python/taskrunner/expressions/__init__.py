"""JMESPath expressions and `{{ }}` templates, for the compiler and for running steps alike.

The public surface is what this module exports, and `templates` for parameters with templates in
them. JMESPath's library is used in this package only. A pack differs from plain JMESPath in this:

* a hyphenated name needs no quotes: `steps.my-step`
* the classic mistakes are errors that show the right form: `"text"` for `'text'`, a bare number,
  and `!a.b`, which the library reads as `(!a).b`
* there are functions for text, times and encodings
* the work and the result of an evaluation are bounded by an allowance, which is counted

The modules, in the order in which a text meets them: templates (where the expressions are in a
text), tokens (their quoted parts and names), parser, rules (what JMESPath takes and a pack may
not say), names (what an expression reads), allowance (its evaluation), functions with
text_functions, time_functions and patterns, errors.
"""

from __future__ import annotations

from taskrunner.expressions.allowance import Allowance
from taskrunner.expressions.errors import ExpressionError
from taskrunner.expressions.names import Reference, literal_hint
from taskrunner.expressions.parser import Expression, parse, truth

__all__ = [
    "Allowance",
    "Expression",
    "ExpressionError",
    "Reference",
    "literal_hint",
    "parse",
    "truth",
]
