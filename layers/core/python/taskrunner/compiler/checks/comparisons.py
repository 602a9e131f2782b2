"""Comparisons that can never hold, by the kinds of value that the language says names have."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

from taskrunner.compiler.checks.names import Kind
from taskrunner.compiler.manifest.step_shapes import ApprovalGateShape, MapShape
from taskrunner.expressions.comparisons import Element, Literal, Name, Result
from taskrunner.model import canonical_json
from taskrunner.model.approval import Verdict
from taskrunner.model.json_types import read
from taskrunner.model.run import Reason, RunStatus, StepStatus
from taskrunner.model.wording import closest, kind_of, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.compiler.checks.names import Scope
    from taskrunner.expressions import Reference
    from taskrunner.expressions.comparisons import Comparison, Operand
    from taskrunner.model.json_types import Json

_ORDERED: Final = ("a number", "text")
_EXAMPLES: Final = {
    "a number": "`1`", "a boolean": "`true`", "a list": "`[]`", "an object": "`{}`",
}  # fmt: skip
_MAX_LITERAL_CHARACTERS: Final = 40
# An expression in braces, as a template has it. The braces of another do not stand in it.
_BRACED: Final = re.compile(r"\{\{([^{}]+)\}\}")
# The words that these fields of a step can have, and those of the run.
_STEP_WORDS: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    ("status",): tuple(status.value for status in StepStatus),
    ("statusReason",): tuple(reason.value for reason in Reason),
}
_RUN_WORDS: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    ("outcome",): (RunStatus.SUCCEEDED.value, RunStatus.FAILED.value),
}
# The words that an approval gate's `decision` can be, and an element of a map's `statuses`.
_DECISIONS: Final = tuple(verdict.value for verdict in Verdict)
_ITEM_STATUSES: Final = (
    StepStatus.SUCCEEDED.value,
    StepStatus.FAILED.value,
    StepStatus.SKIPPED.value,
)


class _Side(NamedTuple):
    """A side of a comparison as messages call it, and its kind; *literal* if it is one."""

    text: str
    kind: str
    maybe_null: bool
    literal: Literal | None


def incomparable(comparison: Comparison, scope: Scope) -> str | None:
    """Return why a comparison is never true, whatever the run comes to; None if it may be.

    The comparison of two literals is left to its author, unless one looks like a template.
    """
    if (unfilled := _unfilled(comparison)) is not None:
        return unfilled
    left, right = _side(comparison.left, scope), _side(comparison.right, scope)
    if comparison.is_ordering:
        return _unordered(comparison.sign, [side for side in (left, right) if side is not None])
    if (impossible := _impossible_word(comparison, scope)) is not None:
        return impossible
    if left is None or right is None or left.kind == right.kind:
        return None
    if (left.literal and right.literal) or (left.maybe_null and right.maybe_null):
        return None
    if left.literal is not None:
        left, right = right, left
    if right.literal is None:
        never = f"{left.text} is {left.kind}, which is never equal to {right.text}, {right.kind}"
        return f"{never}: {_as_text(left, right)}"
    if right.kind == "null":
        return None
    value = right.literal.value
    return (
        f"{left.text} is {left.kind}, which is never equal to {right.kind}: "
        f"write {_literal(value, left.kind)}, not {right.text}"
    )


def _unfilled(comparison: Comparison) -> str | None:
    """Return what to write instead of a template in a literal that is compared with another."""
    if not (isinstance(comparison.left, Literal) and isinstance(comparison.right, Literal)):
        return None
    for literal in (comparison.left, comparison.right):
        match = _BRACED.search(literal.value) if isinstance(literal.value, str) else None
        if match is not None:
            return (
                f"{_literal(literal.value, 'text')} is text as it stands, because braces in "
                f"quotes are not filled in; write {match[1].strip()} without quotes and braces"
            )
    return None


def _impossible_word(comparison: Comparison, scope: Scope) -> str | None:
    """Return why a step or the run is never what it is compared with; None if it may be."""
    for name, literal in (
        (comparison.left, comparison.right),
        (comparison.right, comparison.left),
    ):
        if not (isinstance(name, Name | Element) and isinstance(literal, Literal)):
            continue
        words = _words(name, scope)
        if words is None or not isinstance(literal.value, str) or literal.value in words:
            continue
        hint = _right_word(name.reference, literal.value, words)
        text = ".".join(name.reference)
        text = f"an element of {text}" if isinstance(name, Element) else text
        return f"{text} is never {_literal(literal.value, 'text')}; {hint}"
    return None


def _right_word(reference: Reference, wrong: str, words: tuple[str, ...]) -> str:
    """Return what to write instead of *wrong*, for a name that is always one of *words*."""
    by_lower = {word.lower(): word for word in words}
    status = next((word for word in StepStatus if word.lower() == wrong.lower()), None)
    if reference[-1] == "statusReason" and status is not None:
        right = ".".join((*reference[:-1], "status"))
        return f"'{status}' is a status, for {right}; a reason is one of {', '.join(words)}"
    meant = closest(wrong.lower(), by_lower)
    return f"write '{by_lower[meant]}'" if meant else f"it is one of {', '.join(words)}"


def _words(name: Name | Element, scope: Scope) -> tuple[str, ...] | None:
    if isinstance(name, Element):
        return _words_of_elements(name.reference, scope)
    match name.reference:
        case ("steps", step_id, "outputs", "decision"):
            is_gate = isinstance(scope.body(step_id), ApprovalGateShape)
            return _DECISIONS if is_gate else None
        case ("steps", _, *field):
            return _STEP_WORDS.get(tuple(field))
        case ("run", *field):
            return _RUN_WORDS.get(tuple(field))
        case _:
            return None


def _words_of_elements(reference: Reference, scope: Scope) -> tuple[str, ...] | None:
    match reference:
        case ("steps", step_id, "outputs", "statuses"):
            return _ITEM_STATUSES if isinstance(scope.body(step_id), MapShape) else None
        case _:
            return None


def _unordered(sign: str, sides: list[_Side]) -> str | None:
    """Return why there is no order between the known sides of a comparison, or None."""
    names = [side for side in sides if side.literal is None]
    if not names or {side.kind for side in sides} in ({"a number"}, {"text"}):
        return None
    wrong = [side for side in sides if side.kind not in _ORDERED]
    if len(sides) == 1 and not wrong:
        return None
    found = " and ".join(f"{side.text} is {side.kind}" for side in wrong or sides)
    return (
        f"'{sign}' compares two numbers, but {found}; write a number in backticks, and turn text "
        "into one with to_number()"
    )


def _side(operand: Operand, scope: Scope) -> _Side | None:
    match operand:
        case Name(reference):
            kind = scope.kind(reference)
            return None if kind is None else _Side(".".join(reference), *kind, literal=None)
        case Literal(value):
            return _Side(_literal(value, kind_of(value)), *Kind(kind_of(value)), literal=operand)
        case Element():
            return None
        case Result(text, kind_name, maybe_null):
            return _Side(text, kind_name, maybe_null, literal=None)
        case _:
            assert_never(operand)


def _as_text(left: _Side, right: _Side) -> str:
    """Return what to write instead of a comparison of two sides that are not literals."""
    other = right if left.kind == "text" else left
    if "text" not in {left.kind, right.kind} or " " in other.text:
        return "compare values of one kind"
    return f"write to_string({other.text.replace('()', '(...)')})"


def _literal(value: Json, kind: str) -> str:
    """Return *value* as an expression writes it, as a value of *kind*; an example if it is none."""
    text = value if isinstance(value, str) else canonical_json.canonical_text(value)
    if kind == "text":
        return f"'{shortened(text, _MAX_LITERAL_CHARACTERS)}'"
    with suppress(ValueError, RecursionError):
        if kind_of(read(text)) == kind:
            return f"`{shortened(text, _MAX_LITERAL_CHARACTERS)}`"
    return f"{kind} such as {_EXAMPLES[kind]}"
