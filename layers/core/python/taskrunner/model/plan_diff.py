"""The difference of two plans: what an approver of one must read who has approved the other.

Plans are compared as documents (`plan_document`), because these are what a hash is made of: two
documents without a difference have one hash, and the reverse. Steps are matched by their ids,
wherever they are in the tree. As few as possible of the steps that changed their order are
reported as moved.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from taskrunner.model.json_path import pointer
from taskrunner.model.plan_change import Change, ChangeKind, Part
from taskrunner.model.plan_elements import MISSING, Text, elements, shown, without_null

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskrunner.model.json_types import JsonMapping, JsonObject
    from taskrunner.model.plan_elements import Element, Node

# Lists that a reader understands as a whole: an insertion would change every later index.
_WHOLE: Final = frozenset({"grants", "egressAllowlist"})


def diff(old: JsonMapping, new: JsonMapping) -> list[Change]:
    """Return the changes from the plan document *old* to *new*, in the order of `Part`.

    Within a part the order is that of the new plan, with what was removed at the end.
    """
    changes: list[Change] = []
    for part in Part:
        if part is Part.INPUTS:
            changes += _inputs(old["inputs"], new["inputs"])
        elif part in {Part.SECRETS, Part.APPROVALS, Part.POLICIES, Part.STEPS, Part.OUTPUTS}:
            changes += _members(part, elements(part, old), elements(part, new))
        else:
            name = "failure" if part is Part.FAILURE_POLICY else part.value
            changes += _fields(part, None, without_null(old[name]), without_null(new[name]))
    return changes


def _inputs(old: JsonMapping, new: JsonMapping) -> Iterator[Change]:
    """An input that has no value is null in a plan, which is a value as any other."""
    for name in [*sorted(new), *sorted(old.keys() - new.keys())]:
        yield from _changed(Part.INPUTS, name, "", old.get(name, MISSING), new.get(name, MISSING))


def _members(
    part: Part, old: Mapping[str, Element], new: Mapping[str, Element]
) -> Iterator[Change]:
    moved = _moved(old, new)
    for element_id, element in new.items():
        before = old.get(element_id)
        if before is None:
            yield Change(
                kind=ChangeKind.ADDED,
                part=part,
                id=element_id,
                new=shown(element.fields),
                new_place=element.place,
            )
            continue
        if element_id in moved:
            yield Change(
                kind=ChangeKind.MOVED,
                part=part,
                id=element_id,
                old_place=before.place,
                new_place=element.place,
            )
        yield from _fields(part, element_id, before.fields, element.fields)
    for element_id, element in old.items():
        if element_id not in new:
            yield Change(
                kind=ChangeKind.REMOVED,
                part=part,
                id=element_id,
                old=shown(element.fields),
                old_place=element.place,
            )


def _moved(old: Mapping[str, Element], new: Mapping[str, Element]) -> set[str]:
    """Return the ids of the elements that are in another list now, or in another order."""
    moved: set[str] = set()
    stayed: dict[tuple[str | None, str], list[str]] = {}
    for element_id, element in old.items():
        if element_id not in new:
            continue
        if new[element_id].place[:2] == element.place[:2]:
            stayed.setdefault(element.place[:2], []).append(element_id)
        else:
            moved.add(element_id)
    for ids in stayed.values():
        moved |= set(ids) - _in_order(ids, [new[element_id].place.number for element_id in ids])
    return moved


def _in_order(ids: Sequence[str], new_indexes: Sequence[int]) -> set[str]:
    """Return the most of *ids*, which are in their old order, that are in the same order now.

    It is the first of several longest sequences by the alphabet, so that the reverse comparison
    chooses the same one.
    """
    tails: list[int] = []
    by_length: dict[int, list[int]] = {}
    for number in reversed(range(len(ids))):
        length = bisect_left(tails, -new_indexes[number])
        tails[length : length + 1] = [-new_indexes[number]]
        by_length.setdefault(length, []).append(number)
    chosen: set[str] = set()
    last = -1
    for length in reversed(range(len(tails))):
        last = min(
            (
                number
                for number in by_length[length]
                if last < 0 or (number > last and new_indexes[number] > new_indexes[last])
            ),
            key=ids.__getitem__,
        )
        chosen.add(ids[last])
    return chosen


def _fields(
    part: Part, element_id: str | None, old: JsonObject, new: JsonObject
) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name, MISSING), new.get(name, MISSING)
        if name in _WHOLE and before != after:
            yield _change(part, element_id, pointer([name]), before, after)
        elif name not in _WHOLE:
            yield from _changed(part, element_id, pointer([name]), before, after)


def _changed(
    part: Part, element_id: str | None, field: str, old: Node, new: Node
) -> Iterator[Change]:
    """Yield the smallest parts of a value that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            inner = field + pointer([name])
            before, after = old.get(name, MISSING), new.get(name, MISSING)
            yield from _changed(part, element_id, inner, before, after)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else MISSING
            after = new[index] if index < len(new) else MISSING
            yield from _changed(part, element_id, f"{field}/{index}", before, after)
    elif not _are_equal(old, new):
        yield _change(part, element_id, field, old, new)


def _are_equal(old: Node, new: Node) -> bool:
    """Return whether two values, not both objects or both lists, have one canonical form."""
    if isinstance(old, bool | Text) or isinstance(new, bool | Text):
        return type(old) is type(new) and bool(old == new)
    return bool(old == new)


def _change(part: Part, element_id: str | None, field: str, old: Node, new: Node) -> Change:
    kind = ChangeKind.CHANGED
    if not field:
        kind = ChangeKind.ADDED if old is MISSING else kind
        kind = ChangeKind.REMOVED if new is MISSING else kind
    return Change(
        kind=kind,
        part=part,
        id=element_id,
        field=field or None,
        old=None if old is MISSING else shown(old),
        new=None if new is MISSING else shown(new),
    )
