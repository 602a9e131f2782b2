"""Errors of expressions, in an author's words: JMESPath's own errors are translated here.

No message holds the value that an evaluation failed on. The value may be large, and may be a
secret: a message is searched for secrets before it is kept, but half a secret would not be found.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from jmespath import exceptions, functions

from taskrunner.expressions import syntax_hints
from taskrunner.expressions.tokens import ROOT
from taskrunner.model.wording import shortened

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json

# The library's own errors are ValueErrors. Others come from Python, for values that the library
# does not check: a slice with step 0, `contains('a', `1`)`.
EVALUATION_ERRORS: Final = (ArithmeticError, RecursionError, TypeError, ValueError)
_UNFIT: Final = "a comparison, function or slice was given a value that it does not accept"
_TYPES: Final = {
    "string": "a string",
    "number": "a number",
    "boolean": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
    "array-number": "an array of numbers",
    "array-string": "an array of strings",
    "expref": "an expression with &",
}
# Types of tokens, as the library names them.
_END: Final = "EOF"
_NUMBER: Final = "NUMBER"
_HALF_BRACED: Final = "; put one pair of {{ }} around the whole expression, or none"
_MAX_TOKEN_CHARACTERS: Final = 40
_MAX_QUOTED_CHARACTERS: Final = 200


class ExpressionError(Exception):
    """An expression that does not parse or cannot be evaluated; the message says how to fix it."""


def quoted(text: str) -> str:
    """Return the expression *text* as a message shows it."""
    return f"'{shortened(text, _MAX_QUOTED_CHARACTERS)}'"


def syntax_error(text: str, error: exceptions.JMESPathError) -> ExpressionError:
    """Translate the *error* of JMESPath's parser over the expression *text*."""
    hint = _HALF_BRACED if "{{" in text else ""
    if re.match(r"not\s", text):
        hint = "; write !(...), not 'not'"
    return ExpressionError(
        f"{quoted(text)} is not a valid expression: {_syntax(error, text)}{hint}"
    )


def evaluation_error(text: str, error: Exception) -> ExpressionError:
    """Translate one of EVALUATION_ERRORS, raised while the expression *text* was evaluated."""
    return ExpressionError(f"{quoted(text)} cannot be evaluated: {_evaluation(error)}")


def _syntax(error: exceptions.JMESPathError, text: str) -> str:
    if isinstance(error, exceptions.LexerError):
        return _unknown_token(str(error.lexer_value), str(error.message), text)
    if isinstance(error, exceptions.IncompleteExpressionError) or error.token_type == _END:
        return "it ends too early"
    token = _shown(error.token_value)
    if "function name" in error.msg:
        return "only the name of a function may stand before '('"
    hint = syntax_hints.hint(token, text)
    if error.token_type == _NUMBER:
        hint = f"; a number needs backticks: write `{token}`"
    return f"unexpected '{token}'{hint}"


def _unknown_token(token: str, reason: str, text: str) -> str:
    if reason.startswith("Unclosed"):
        return f"the quote {token[0]} is never closed"
    if token.startswith('"'):
        return f"{shortened(token, _MAX_TOKEN_CHARACTERS)} holds an invalid escape"
    hint = syntax_hints.hint(token, text)
    return f"unexpected '{shortened(token, _MAX_TOKEN_CHARACTERS)}'{hint}"


def _shown(token: Json) -> str:
    text = token if isinstance(token, str) else json.dumps(token, ensure_ascii=False)
    text = text.replace(ROOT, "$")
    return shortened(text, _MAX_TOKEN_CHARACTERS)


def _evaluation(error: Exception) -> str:
    if isinstance(error, exceptions.JMESPathTypeError):
        accepted = _either([_TYPES.get(name, name) for name in error.expected_types])
        # For a member of an array, the library names the type as Python does.
        actual = functions.TYPES_MAP.get(error.actual_type, error.actual_type)
        return f"{error.function_name}() takes {accepted}, but found {_TYPES.get(actual, actual)}"
    return _UNFIT


def _either(words: list[str]) -> str:
    """Join *words*: `a`, `a or b`, `a, b or c`."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
