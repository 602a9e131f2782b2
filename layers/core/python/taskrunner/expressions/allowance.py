"""JMESPath's interpreter within an allowance: the cost of an expression is counted, not timed.

`[@,@]|[@,@]|...` doubles its value with every pipe; `==` and `to_string` walk all of it, and `join`
writes it out. So one step of an allowance is spent on each visited node, each element that is
looked at, and every 32 characters of text. A count gives the same answer on every machine. A clock
would not, and a plan must not depend on how busy its planner was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jmespath import visitor
from jmespath.visitor import Options

from taskrunner.expressions import patterns
from taskrunner.expressions.errors import ExpressionError
from taskrunner.expressions.functions import Functions, equal
from taskrunner.expressions.tokens import ROOT
from taskrunner.model.json_numbers import normal_number
from taskrunner.model.wording import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.expressions.names import Node
    from taskrunner.model.json_types import Json, JsonMapping

MAX_STEPS: Final = 1_000_000
MAX_SIZE: Final = 2 * 1024 * 1024  # characters of JSON, about; twice what a request may bring
# A plan evaluates many expressions while its sender waits.
MAX_PLAN_STEPS: Final = 2_000_000
MAX_PLAN_SIZE: Final = 4 * 1024 * 1024

_CHARACTERS_A_STEP: Final = 32
# These functions look at the members of their arguments and no further, or call back into the
# interpreter, which counts for itself.
_SHALLOW: Final = frozenset(
    {
        "keys", "length", "map", "max_by", "merge", "min_by", "not_null", "reverse", "sort_by",
        "to_array", "type", "values",
    }
)  # fmt: skip
# The result of these may be longer than what they were given.
_WRITERS: Final = frozenset(
    {"base64_encode", "format_time", "join", "lower", "replace", "to_string", "upper", "url_encode"}
)
# The result of these has parts, each of which takes more than the character it was.
_READERS: Final = frozenset({"parse_json", "split"})
# A character takes at most 0.2 ns for each byte of a pattern, and compiling some 20 ns a byte.
_PATTERN_BYTES_A_STEP: Final = 5_000
_COMPILED_BYTES_A_STEP: Final = 50
_SIGNS: Final = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_LONG: Final = (str, list, dict)


class Allowance:
    """The *steps* of work and the *size* of values that are left to a group of expressions."""

    def __init__(self, steps: int = MAX_STEPS, size: int = MAX_SIZE) -> None:
        self._max_steps, self._max_size = steps, size
        self._steps, self._size = steps, size

    def evaluate(self, tree: Node, context: JsonMapping) -> Json:
        """Evaluate the parsed *tree*.

        Raises:
            ExpressionError: it needs more steps than are left, or its value is larger than is left.
        """
        interpreter = _Interpreter(self._steps, context)
        try:
            value = interpreter.visit(tree, context)
            size = interpreter.weigh(value)
        except _UsedUpError:
            message = f"it needs more than the {self._max_steps:,} steps allowed"
            raise ExpressionError(message) from None
        finally:
            self._steps = max(0, interpreter.left)
        self._size -= size
        if self._size < 0:
            raise ExpressionError(
                f"its value is larger than the {self._max_size:,} characters allowed"
            )
        return value


class _UsedUpError(Exception):
    """The steps of an allowance are used up."""


class _Interpreter(visitor.TreeInterpreter):  # type: ignore[misc]  # the library is untyped
    """The library's own interpreter, with a count of the steps that are *left*, and with `$`."""

    def __init__(self, left: int, root: JsonMapping) -> None:
        super().__init__(Options(custom_functions=Functions()))
        self.left = left
        self._root = root
        self._visits: dict[str, Callable[..., Any]] = {}

    def visit(self, node: Node, *args: Json) -> Json:
        self.spend(1)
        kind = node["type"]
        method = self._visits.get(kind)
        if method is None:
            method = self._visits[kind] = getattr(self, f"visit_{kind}")
        return method(node, *args)

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise _UsedUpError

    def weigh(self, value: Json) -> int:
        """Return about how many characters of JSON *value* is; spend a step on every part of it."""
        size = 0
        todo = [value]
        while todo:
            node = todo.pop()
            size += 2
            steps = 1
            if isinstance(node, str):
                size += len(node)
                steps += len(node) // _CHARACTERS_A_STEP
            elif isinstance(node, list):
                steps += len(node)
                todo += node if steps <= self.left else ()
            elif isinstance(node, dict):
                steps += 2 * len(node)
                if steps <= self.left:
                    todo += node
                    todo += node.values()
            elif isinstance(node, visitor._Expression):  # noqa: SLF001 - it has no other name
                raise ExpressionError("only a function that takes an expression with & may get one")
            self.spend(steps)
        return size

    def visit_comparator(self, node: Node, value: Json) -> Json:
        first, second = node["children"]
        left, right = self.visit(first, value), self.visit(second, value)
        if isinstance(left, _LONG) and isinstance(right, type(left)):
            self.weigh(left)
            self.weigh(right)
        kind = node["value"]
        if _is_text_with_number(left, right) and kind not in self._EQUALITY_OPS:
            raise ExpressionError(
                f"'{_SIGNS[kind]}' compares two numbers, but was given {kind_of(left)} and "
                f"{kind_of(right)}; write a number in backticks, and turn text into one with "
                "to_number()"
            )
        if kind in self._EQUALITY_OPS:
            return equal(left, right) is (kind == "eq")
        if _is_ordered(left) and _is_ordered(right):
            return self.COMPARATOR_FUNC[kind](left, right)
        return None

    def visit_field(self, node: Node, value: Json) -> Json:
        return self._root if node["value"] == ROOT else super().visit_field(node, value)

    def visit_flatten(self, node: Node, value: Json) -> Json:
        base = self.visit(node["children"][0], value)
        if isinstance(base, list):
            self.spend(sum(len(item) if isinstance(item, list) else 1 for item in base))
        self.left += 1
        return super().visit_flatten({"children": [{"type": "literal", "value": base}]}, value)

    def visit_slice(self, node: Node, value: Json) -> Json:
        if isinstance(value, list):
            self.spend(len(value))
        return super().visit_slice(node, value)

    def visit_function_expression(self, node: Node, value: Json) -> Json:
        name = node["value"]
        arguments = [self.visit(child, value) for child in node["children"]]
        if name in _SHALLOW:
            self.spend(sum(_length(argument) for argument in arguments))
        else:
            size = sum(self.weigh(argument) for argument in arguments)
            size += _growth(name, arguments)
            if name in _WRITERS and size > MAX_SIZE:
                raise _UsedUpError
            self.spend(size // _CHARACTERS_A_STEP)
            if name == "matches":
                self.spend(_cost_of_pattern(*arguments))
        result = self._functions.call_function(name, arguments)
        if name in _READERS:
            self.weigh(result)
        is_number = isinstance(result, int | float) and not isinstance(result, bool)
        return normal_number(result) if is_number else result


def _growth(name: str, arguments: list[Json]) -> int:
    """Return by how many characters a result may be longer than what the function was given."""
    match name, arguments:
        case "join", [str(glue), list(texts)]:
            return (len(glue) + 2) * len(texts)
        case "replace", [str(text), str(sought), str(replacement)] if sought:
            return text.count(sought) * len(replacement)
        case "url_encode", [str(text)]:
            return 11 * len(text)  # four bytes of UTF-8, with three characters for each
        case (("lower" | "upper" | "base64_encode"), [str(text)]):
            return 5 * len(text)
        case "format_time", [_, str(form)]:
            return 6 * len(form)  # `%s` becomes twelve characters
        case _:
            return 0


def _cost_of_pattern(text: Json, pattern: Json) -> int:
    if not (isinstance(text, str) and isinstance(pattern, str)):
        return 0  # the call will fail
    size_bytes = patterns.compiled(pattern).size_bytes
    in_text = len(text) * size_bytes // _PATTERN_BYTES_A_STEP
    return size_bytes // _COMPILED_BYTES_A_STEP + in_text


def _is_ordered(value: Json) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _is_text_with_number(left: Json, right: Json) -> bool:
    both = _is_ordered(left) and _is_ordered(right)
    return both and isinstance(left, str) != isinstance(right, str)


def _length(value: Json) -> int:
    if isinstance(value, str):
        return len(value) // _CHARACTERS_A_STEP
    return len(value) if isinstance(value, list | dict) else 0
