"""JMESPath's interpreter within an allowance: what an expression may cost is counted, not timed.

`[@,@]|[@,@]|...` doubles what it gives with every pipe, `==` and `to_string` walk all of it, and
`join` writes it out. So each visited node, each element that is looked at, and every 32 characters
of text take one step of an allowance. A count gives the same answer on every machine, which a clock
would not; a plan must not depend on how busy its planner was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jmespath import visitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.model.json_types import Json, JsonMapping

MAX_STEPS: Final = 1_000_000
MAX_SIZE: Final = 2 * 1024 * 1024  # characters of JSON, about; twice what a request may bring
# A plan evaluates many expressions, and whoever sent it waits for all of them.
MAX_PLAN_STEPS: Final = 2_000_000
MAX_PLAN_SIZE: Final = 4 * 1024 * 1024

_CHARACTERS_A_STEP: Final = 32
# These look at their arguments' members and no further, or call back into the interpreter.
_SHALLOW: Final = frozenset(
    {"keys", "length", "map", "max_by", "merge", "min_by", "not_null", "reverse", "sort_by"}
) | {"to_array", "type", "values"}
_LONG: Final = (str, list, dict)


class TooMuchError(Exception):
    """An allowance is used up; the message says which of both."""


class NoValueError(Exception):
    """What an expression gives, or hands to a function, is no JSON; the message says why."""


class Allowance:
    """What is left to a group of expressions: *steps* of work, and *size* of what they give."""

    def __init__(self, steps: int = MAX_STEPS, size: int = MAX_SIZE) -> None:
        self._most_steps, self._most_size = steps, size
        self._steps, self._size = steps, size

    def evaluate(self, tree: Json, context: JsonMapping) -> Json:
        """Evaluate the parsed *tree*.

        Raises:
            TooMuchError: it would take more steps than are left, or give more than is left.
        """
        interpreter = _Interpreter(self._steps)
        try:
            value = interpreter.visit(tree, context)
            size = interpreter.weigh(value)
        except TooMuchError:
            message = f"it takes more than the {self._most_steps:,} steps that are allowed"
            raise TooMuchError(message) from None
        finally:
            self._steps = max(0, interpreter.left)
        self._size -= size
        if self._size < 0:
            raise TooMuchError(f"it gives more than the {self._most_size:,} characters allowed")
        return value


class _Interpreter(visitor.TreeInterpreter):  # type: ignore[misc]  # the library is untyped
    """The library's own, counting *left* down to the end."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left
        self._visits: dict[str, Callable[..., Any]] = {}

    def visit(self, node: Json, *args: Json) -> Json:
        self.left -= 1
        if self.left < 0:
            raise TooMuchError
        kind = node["type"]
        method = self._visits.get(kind)
        if method is None:
            method = self._visits[kind] = getattr(self, f"visit_{kind}")
        return method(node, *args)

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise TooMuchError

    def weigh(self, value: Json) -> int:
        """The characters of *value* as JSON, about; a step is spent on everything in it."""
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
                raise NoValueError("an expression with & is for a function that takes one")
            self.spend(steps)
        return size

    def visit_comparator(self, node: Json, value: Json) -> Json:
        first, second = node["children"]
        left, right = self.visit(first, value), self.visit(second, value)
        if isinstance(left, _LONG) and isinstance(right, type(left)):
            self.weigh(left)
            self.weigh(right)
        kind = node["value"]
        if kind in self._EQUALITY_OPS or (_is_ordered(left) and _is_ordered(right)):
            return self.COMPARATOR_FUNC[kind](left, right)
        return None

    def visit_flatten(self, node: Json, value: Json) -> Json:
        base = self.visit(node["children"][0], value)
        if isinstance(base, list):
            self.spend(sum(len(one) if isinstance(one, list) else 1 for one in base))
        self.left += 1
        return super().visit_flatten({"children": [{"type": "literal", "value": base}]}, value)

    def visit_slice(self, node: Json, value: Json) -> Json:
        if isinstance(value, list):
            self.spend(len(value))
        return super().visit_slice(node, value)

    def visit_function_expression(self, node: Json, value: Json) -> Json:
        name = node["value"]
        arguments = [self.visit(child, value) for child in node["children"]]
        if name in _SHALLOW:
            self.spend(sum(_length(one) for one in arguments))
        else:
            size = sum(self.weigh(one) for one in arguments)
            if name == "join" and isinstance(arguments[0], str):
                size += (len(arguments[0]) + 2) * _length(arguments[1])
            if name in {"join", "to_string"} and size > MAX_SIZE:
                raise TooMuchError
            self.spend(size // _CHARACTERS_A_STEP)
        return self._functions.call_function(name, arguments)


def _is_ordered(value: Json) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _length(value: Json) -> int:
    if isinstance(value, str):
        return len(value) // _CHARACTERS_A_STEP
    return len(value) if isinstance(value, list | dict) else 0
