"""Rules for expressions beyond JMESPath's grammar: each refuses a mistake and shows the right form.

Rules over the text come before parsing, because JMESPath's parser would drop what they look at, or
recurse too deep. Rules over the tree come after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from taskrunner.expressions import patterns
from taskrunner.expressions.errors import ExpressionError, quoted
from taskrunner.expressions.functions import Functions
from taskrunner.expressions.names import Node, children
from taskrunner.expressions.time_functions import check_form
from taskrunner.expressions.tokens import TOKENS, digit_name, without_quoted
from taskrunner.model.json_types import read, unusable
from taskrunner.model.wording import nearest, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_CHARACTERS: Final = 4096
MAX_DEPTH: Final = 64  # far below what Python's stack allows, so that the stack never decides

_FUNCTIONS: Final[dict[str, Any]] = Functions.FUNCTION_TABLE
_NO_FUNCTIONS: Final = {
    "now": "; read run.now",
    "match": "; did you mean 'matches'?",
    "strip": "; did you mean 'trim'?",
    "substring": "; for a part of a list write [0:3], and for a part of a text split() it",
    "len": "; did you mean 'length'?",
    "int": "; did you mean 'to_number'?",
    "str": "; did you mean 'to_string'?",
}
# The checks of a function's last argument, where the expression itself writes it.
_CHECKS_OF_LITERALS: Final[Mapping[str, Callable[[str], object]]] = {
    "matches": patterns.compiled,
    "format_time": check_form,
}
_BRACKETS: Final = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_BEFORE_A_VALUE: Final = ("==", "!=", "<=", ">=", "<", ">", "||", "&&", "(", ",")


def check_text(text: str) -> None:
    """Apply the rules that need no tree.

    Raises:
        ExpressionError: *text* breaks one of them.
    """
    if not text:
        raise ExpressionError("the expression is empty")
    if len(text) > MAX_CHARACTERS:
        message = f"the expression has {len(text)} characters; at most {MAX_CHARACTERS} are allowed"
        raise ExpressionError(message)
    _check_brackets(text)
    _check_bare_numbers(text)
    _check_literals(text)


def check_tree(tree: Node, text: str) -> None:
    """Apply the rules to the parsed *tree* of *text*.

    Raises:
        ExpressionError: it breaks one of them.
    """
    _check_depth(tree)
    _check_negations(tree, text)
    _check_functions(tree)


def too_deep() -> ExpressionError:
    """Return the error for an expression that is nested too deep."""
    return ExpressionError(f"the expression is nested deeper than {MAX_DEPTH} levels")


def _check_brackets(text: str) -> None:
    depth = 0
    for sign in without_quoted(text):
        depth += _BRACKETS.get(sign, 0)
        if depth > MAX_DEPTH:
            raise too_deep()


def _check_bare_numbers(text: str) -> None:
    for token in TOKENS.finditer(text):
        if token.lastgroup != "number":
            continue
        if (name := digit_name(text, token.start())) is not None:
            raise ExpressionError(
                f"{quoted(text)} is not a valid expression: a name that begins with a digit needs "
                f'quotes: write "{name}"'
            )
        before = text[: token.start()].rstrip()
        if not before or before.endswith(_BEFORE_A_VALUE):
            raise ExpressionError(f"a number needs backticks: write `{token[0]}`, not {token[0]}")


def _check_literals(text: str) -> None:
    """Refuse a literal in backticks that is not JSON: the library would read `` `a` `` as text."""
    for token in TOKENS.finditer(text):
        if token.lastgroup != "quoted" or not token[0].startswith("`"):
            continue
        literal = token[0][1:-1].replace("\\`", "`").strip()
        try:
            value = read(literal)
            problem = next((reason for _, reason in unusable(value)), None)
        except RecursionError:
            raise too_deep() from None
        except ValueError:
            raise ExpressionError(
                f"`{shortened(literal, 200)}` is not JSON; for the text write '{literal}'"
            ) from None
        if problem is not None:
            raise ExpressionError(f"`{shortened(literal, 200)}` is not JSON: {problem}")


def _check_depth(tree: Node) -> None:
    level, depth = [tree], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise too_deep()
        level = [child for node in level for child in children(node)]


def _check_negations(node: Node, text: str) -> None:
    """Refuse `!a.b`: the library reads it as `(!a).b`, which is always null."""
    if node["type"] == "subexpression" and node["children"][0]["type"] == "not_expression":
        raise ExpressionError(
            f"in {quoted(text)} the '!' negates only the first name: write !(a.b), not !a.b"
        )
    for child in children(node):
        _check_negations(child, text)


def _check_functions(node: Node) -> None:
    """Refuse a wrong call: the library would find it when it makes the call, in the run."""
    if node["type"] == "function_expression":
        _check_call(node["value"], len(node["children"]))
        _check_literal(node["value"], node["children"])
    for child in children(node):
        _check_functions(child)


def _check_literal(name: str, arguments: list[Node]) -> None:
    """Refuse a pattern or a form that is wrong, where the expression itself holds it."""
    check = _CHECKS_OF_LITERALS.get(name)
    if check is not None and arguments[-1]["type"] == "literal":
        value = arguments[-1]["value"]
        if isinstance(value, str):
            check(value)


def _check_call(name: str, given: int) -> None:
    if name not in _FUNCTIONS:
        hint = _NO_FUNCTIONS.get(name, nearest(name, _FUNCTIONS))
        raise ExpressionError(f"there is no function '{name}'{hint}")
    signature = _FUNCTIONS[name]["signature"]
    is_variadic = bool(signature) and signature[-1].get("variadic", False)
    if given < len(signature) or (given > len(signature) and not is_variadic):
        least = "at least " if is_variadic else ""
        count = f"{len(signature)} argument" + ("" if len(signature) == 1 else "s")
        raise ExpressionError(f"{name}() takes {least}{count}, but was given {given}")
