"""JMESPath: expressions, the names they read, and `{{ }}` templates. Only allowance.py knows more.

Three things are added to it: hyphenated names need no quotes (`steps.my-step`); the two classic
mistakes, `"text"` for `'text'` and a bare number, are told with the right form; and so is `!a.b`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from jmespath import exceptions, functions, parser

from taskrunner.expressions.allowance import Allowance, NoValueError, TooMuchError
from taskrunner.model.json_types import unusable
from taskrunner.model.wording import nearest, shortened

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json, JsonMapping

Reference: TypeAlias = "tuple[str, ...]"
Piece: TypeAlias = "str | Expression"

# What stands in quotes is one token; only outside of quotes is `my-step` a name to be quoted.
# A quote that is never closed takes all the rest, or each escaped one in it would be tried anew.
_TOKENS = re.compile(
    r"""(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`)|(?P<unclosed>["'`](?s:.*))"""
    r"""|(?P<hyphenated>[A-Za-z_]\w*-[\w-]*|(?<=steps\.)\d[\w-]*)|(?P<name>[A-Za-z_]\w*)|(?P<number>-?\d+(?:\.\d+)?)""",
    re.ASCII,
)
MAX_CHARACTERS: Final = 4096
MAX_DEPTH: Final = 64  # far below what Python's own stack allows, so that it is never what decides
_FUNCTIONS: Final[dict[str, Any]] = functions.Functions.FUNCTION_TABLE
_BRACKETS: Final = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_BEFORE_A_VALUE: Final = ("==", "!=", "<=", ">=", "<", ">", "||", "&&", "(", ",")

_TOLD: Final = (
    exceptions.JMESPathError,
    ArithmeticError,
    RecursionError,
    NoValueError,
    TooMuchError,
)
# The library leaves to Python what it does not check: `contains('a', `1`)`, a slice of step 0.
_NOT_EVALUATED: Final = (*_TOLD, TypeError, ValueError)
_UNFIT: Final = "a comparison, function or slice is given a value that is not for it"


class ExpressionError(Exception):
    """The expression does not parse, or cannot be evaluated; the message holds the cure."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression; *references* are the names it reads, such as `('inputs', 'target')`."""

    text: str
    references: tuple[Reference, ...]
    parsed: Any  # jmespath's ParsedResult, which the library leaves untyped

    def evaluate(self, context: JsonMapping, allowance: Allowance | None = None) -> Json:
        """Evaluate against *context*; a missing field is None.

        What it may cost is taken from *allowance*; without one it has an allowance of its own.

        Raises:
            ExpressionError: a function was called with a value of the wrong type, or it takes or
                gives too much.
        """
        try:
            value = (allowance or Allowance()).evaluate(self.parsed.parsed, context)
        except _NOT_EVALUATED as error:
            message = f"{_quoted(self.text)} cannot be evaluated: {_reason(error)}"
            raise ExpressionError(message) from None
        for _, problem in unusable(value):
            raise ExpressionError(f"{_quoted(self.text)} gives no JSON: {problem}")
        return value


def _reason(error: Exception) -> str:
    """Why, without the value that was unfit: that may be large, and may be a secret.

    A secret is looked for in a message before it is kept, and half of one would not be found.
    """
    if isinstance(error, exceptions.JMESPathTypeError):
        wanted = " or ".join(error.expected_types)
        return f"{error.function_name}() takes {wanted}, and is given {error.actual_type}"
    return str(error) if isinstance(error, _TOLD) else _UNFIT


def parse(text: str) -> Expression:
    """Parse *text*, with or without one pair of braces around it.

    Raises:
        ExpressionError: the text is no JMESPath; the message shows the right form.
    """
    inner = _without_braces(text.strip())
    if not inner:
        raise ExpressionError("the expression is empty")
    if len(inner) > MAX_CHARACTERS:
        message = (
            f"the expression has {len(inner)} characters; at most {MAX_CHARACTERS} are allowed"
        )
        raise ExpressionError(message)
    _refuse_deep_brackets(inner)
    _refuse_bare_numbers(inner)
    _refuse_literals_without_json(inner)
    try:
        parsed = parser.Parser().parse(_quote_hyphenated(inner))
    except exceptions.JMESPathError as error:
        reason = str(error).splitlines()[0].removesuffix(":").removesuffix(", for expression")
        cure = _HALF_BRACED if "{{" in inner else ""
        raise ExpressionError(
            f"{_quoted(inner)} is not a valid expression: {reason}{cure}"
        ) from None
    except RecursionError:
        raise _too_deep() from None
    _refuse_deep_tree(parsed.parsed)
    _refuse_field_of_negation(parsed.parsed, inner)
    _refuse_unknown_functions(parsed.parsed)
    return Expression(inner, _read_names(parsed.parsed), parsed)


def truth(value: Json) -> bool:
    """JMESPath's truth: null, false and everything empty are false; zero is true."""
    return value is not None and value is not False and value not in ("", [], {})


def template(text: str) -> tuple[Piece, ...]:
    """Split *text* into plain text and the expressions in `{{ }}`; plain text alone is one piece.

    Raises:
        ExpressionError: a `{{` is never closed, or what it holds is no expression.
    """
    pieces: list[Piece] = []
    position = 0
    while (start := text.find("{{", position)) >= 0:
        end = _closing(text, start + 2)
        if end < 0:
            raise ExpressionError("'{{' is never closed by '}}'")
        if start > position:
            pieces.append(text[position:start])
        pieces.append(parse(text[start + 2 : end]))
        position = end + 2
    if position < len(text) or not pieces:
        pieces.append(text[position:])
    return tuple(pieces)


def render(
    pieces: tuple[Piece, ...], context: JsonMapping, allowance: Allowance | None = None
) -> Json:
    """Evaluate a template: one whole expression keeps its type, inside text it becomes text.

    All of its expressions share one *allowance*.
    """
    allowance = allowance or Allowance()
    if len(pieces) == 1 and isinstance(pieces[0], Expression):
        return pieces[0].evaluate(context, allowance)
    return "".join(
        p if isinstance(p, str) else _as_text(p.evaluate(context, allowance)) for p in pieces
    )


def references(pieces: tuple[Piece, ...]) -> tuple[Reference, ...]:
    """All names that the expressions of a template read."""
    return tuple(ref for p in pieces if isinstance(p, Expression) for ref in p.references)


def _as_text(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _without_braces(text: str) -> str:
    if text.startswith("{{") and _closing(text, 2) == len(text) - 2:
        return text[2:-2].strip()
    return text


def _closing(text: str, position: int) -> int:
    """Where the `}}` stands that closes an expression: none in quotes or a multi-select hash."""
    depth = 0
    while position < len(text):
        if text[position] in "\"'`":
            quoted = _TOKENS.match(text, position)
            if quoted is None or quoted.lastgroup != "quoted":
                return -1
            position = quoted.end()
            continue
        if depth == 0 and text.startswith("}}", position):
            return position
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        position += 1
    return -1


def _quote_hyphenated(text: str) -> str:
    return _TOKENS.sub(
        lambda token: f'"{token[0]}"' if token.lastgroup == "hyphenated" else token[0], text
    )


_HALF_BRACED: Final = "; put one pair of {{ }} around the whole expression, or none"


def _quoted(text: str) -> str:
    return f"'{shortened(text, 200)}'"


def _too_deep() -> ExpressionError:
    return ExpressionError(f"the expression is nested deeper than {MAX_DEPTH} levels")


def _refuse_deep_brackets(text: str) -> None:
    depth = 0
    for sign in _TOKENS.sub("", text):
        depth += _BRACKETS.get(sign, 0)
        if depth > MAX_DEPTH:
            raise _too_deep()


def _refuse_deep_tree(tree: Json) -> None:
    level, depth = [tree], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        level = [child for node in level for child in node["children"] if isinstance(child, dict)]


def _refuse_literals_without_json(text: str) -> None:
    """The library still takes `` `text` `` for `'text'`, and numbers that JSON does not have."""
    for token in _TOKENS.finditer(text):
        if token.lastgroup == "quoted" and token[0].startswith("`"):
            inner = token[0][1:-1].replace("\\`", "`").strip()
            try:
                problem = next((why for _, why in unusable(json.loads(inner))), None)
            except RecursionError:
                raise _too_deep() from None
            except ValueError:
                raise ExpressionError(
                    f"`{shortened(inner, 200)}` is no JSON; for the text write '{inner}'"
                ) from None
            if problem is not None:
                raise ExpressionError(f"`{shortened(inner, 200)}` is no JSON: {problem}")


def _refuse_bare_numbers(text: str) -> None:
    for token in _TOKENS.finditer(text):
        if token.lastgroup != "number":
            continue
        before = text[: token.start()].rstrip()
        if not before or before.endswith(_BEFORE_A_VALUE):
            raise ExpressionError(f"a number needs backticks: write `{token[0]}`, not {token[0]}")


def _refuse_field_of_negation(node: Json, text: str) -> None:
    """`!a.b` is `(!a).b` to the reference library, hence always null, and never what was meant."""
    children = [child for child in node["children"] if isinstance(child, dict)]
    if node["type"] == "subexpression" and children[0]["type"] == "not_expression":
        raise ExpressionError(
            f"in {_quoted(text)} the '!' takes the first name only: write !(a.b), not !a.b"
        )
    for child in children:
        _refuse_field_of_negation(child, text)


def _refuse_unknown_functions(node: Json) -> None:
    """The library tells only when it comes to call one, which may be in the middle of a run."""
    if node["type"] == "function_expression":
        name, given = node["value"], len(node["children"])
        if name not in _FUNCTIONS:
            raise ExpressionError(f"there is no function '{name}'{nearest(name, _FUNCTIONS)}")
        signature = _FUNCTIONS[name]["signature"]
        is_variadic = bool(signature) and signature[-1].get("variadic", False)
        if given < len(signature) or (given > len(signature) and not is_variadic):
            least = "at least " if is_variadic else ""
            message = f"{name}() takes {least}{len(signature)} argument(s), not {given}"
            raise ExpressionError(message)
    for child in node["children"]:
        if isinstance(child, dict):
            _refuse_unknown_functions(child)


def literal_hint(text: str, name: str) -> str:
    """The cure when *name* in *text* was meant as a value: JMESPath reads it as a field."""
    if name in {"true", "false", "null"}:
        return f"; for the value write `{name}` in backticks"
    if re.search(rf"(?<![.\w]){re.escape(json.dumps(name, ensure_ascii=False))}", text):
        return f"; for the text write '{name}' in single quotes"
    return ""


def _read_names(tree: Json) -> tuple[Reference, ...]:
    """The rooted names that an AST reads, each once, in order; `('@',)` is the root itself."""
    reads: dict[Reference, None] = {}
    _read(_locate(tree, (), reads), reads)
    return tuple(reads)


def _read(location: Reference | None, reads: dict[Reference, None]) -> None:
    if location is not None:
        reads[location or ("@",)] = None


def _locate(node: Json, base: Reference | None, reads: dict[Reference, None]) -> Reference | None:
    """Where the value of *node* stands, seen from the root, when it is evaluated at *base*.

    None means a computed value or an element of a projection, which has no name. Every location
    that something is done with goes into *reads*.
    """
    kind, children = node["type"], node["children"]
    if kind == "field":
        return None if base is None else (*base, node["value"])
    if kind in {"current", "identity"}:
        return base
    if kind in {"subexpression", "index_expression", "pipe"}:
        for child in children:
            base = _locate(child, base, reads)
        return base
    if kind in {"index", "slice"}:
        _read(base, reads)
        return None
    first_at = base
    if kind in {"projection", "value_projection", "filter_projection", "flatten"}:
        base = None  # only the first child is evaluated here, the others on each element
    elif kind == "expref":
        first_at = base = None
    for number, child in enumerate(child for child in children if isinstance(child, dict)):
        _read(_locate(child, first_at if number == 0 else base, reads), reads)
    return None


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
