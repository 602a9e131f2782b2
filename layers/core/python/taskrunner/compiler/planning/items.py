"""The items of maps and loops, as far as planning knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner import expressions
from taskrunner.compiler.manifest.fields import WHOLE_NUMBER
from taskrunner.compiler.manifest.shape_messages import NO_STEP
from taskrunner.model.plan import Items
from taskrunner.model.wording import kind_of

if TYPE_CHECKING:
    from taskrunner.compiler.manifest.step_shapes import ItemsShape, RangeShape
    from taskrunner.compiler.planning.evaluator import InputEvaluator
    from taskrunner.model.json_path import JsonPath

# A few characters make a range of many numbers. Each of them is in the plan, and those of a map are
# in the execution's input too, which has room for about 30,000.
MAX_RANGE_NUMBERS: Final = 100_000


class ItemPlanner:
    """Plans the items of all maps and loops of one pack."""

    def __init__(self, evaluator: InputEvaluator) -> None:
        self._evaluator = evaluator
        self._range_numbers = 0  # in all ranges so far

    def items(self, shape: ItemsShape, max_items: int, path: JsonPath) -> Items:
        """Return the items at *path*; more than *max_items* are a problem when they are known."""
        if shape.range is not None:
            return Items(values=self._range(shape.range, max_items, path))
        before = len(self._evaluator.findings)
        if shape.static is not None:
            values = self._evaluator.resolve(shape.static, (*path, "static")).value
        else:
            expression = expressions.parse(shape.expression or "")
            if not self._evaluator.decides(expression):
                return Items(expression=expression.text)
            values = self._evaluator.evaluate(expression, (*path, "expression"))
        if not isinstance(values, list):
            if len(self._evaluator.findings) == before:
                self._evaluator.add_problem(path, f"items must be a list, not {kind_of(values)}")
            return Items(values=())
        self._check_count(len(values), max_items, path)
        return Items(values=tuple(values[:max_items]))

    def _range(self, shape: RangeShape, max_items: int, path: JsonPath) -> tuple[int, ...] | None:
        """Return the numbers of a range; None when planning does not know them."""
        written = {"start": shape.start, "end": shape.end, "step": shape.step}
        start, end, step = (
            self._evaluator.number(number, WHOLE_NUMBER, (*path, "range", key))
            for key, number in written.items()
        )
        if start is None or end is None or step is None:
            return () if self._evaluator.knows_inputs else None
        if step == 0:
            self._evaluator.add_problem((*path, "range", "step"), NO_STEP)
            return ()
        # The end is one of the items.
        numbers = range(start, end + (1 if step > 0 else -1), step)
        self._check_count(len(numbers), max_items, path)
        numbers = numbers[:max_items]
        self._range_numbers += len(numbers)
        if self._range_numbers > MAX_RANGE_NUMBERS:
            self._evaluator.add_problem(
                path,
                f"the ranges of a pack may have {MAX_RANGE_NUMBERS:,} numbers in all, and with "
                f"this one they have {self._range_numbers:,}",
            )
            return ()
        return tuple(numbers)

    def _check_count(self, count: int, max_items: int, path: JsonPath) -> None:
        if count > max_items:
            message = f"{count} items are more than the {max_items} iterations allowed"
            self._evaluator.add_problem(path, message)
