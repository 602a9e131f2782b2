"""The difference of two plans: what an approver of one must read who has approved the other.

Plans are compared as documents (`plan_document`), because these are what a hash is made of: two
documents without a difference have one hash, and the reverse. Steps are matched by their ids,
wherever they are in the tree. Of several steps that changed their order, as few as possible are
reported as moved.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from taskrunner.model.json_path import pointer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskrunner.model.json_types import Json, JsonMapping, JsonObject

# The members of a step's document that have other steps, and those that make up its parameters.
_NESTED: Final = frozenset({"steps", "branch", "branches", "else"})
_PARAMETERS: Final = frozenset({"with", "open"})
# Lists that a reader understands as a whole: an insertion would change every later index.
_WHOLE: Final = frozenset({"grants", "egressAllowlist"})


class Part(StrEnum):
    """The parts of a plan, in the order in which their changes are listed."""

    PACK = "pack"
    INPUTS = "inputs"
    FAILURE_POLICY = "failurePolicy"
    SANDBOX = "sandbox"
    SLO = "slo"
    SECRETS = "secrets"
    APPROVALS = "approvals"
    POLICIES = "policies"
    STEPS = "steps"
    OUTPUTS = "outputs"


class ChangeKind(StrEnum):
    """The kinds of change."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


class Place(NamedTuple):
    """A place in a plan: a list of the block *parent_id*, or of the plan if None.

    *number* counts its steps or members from 0.
    *list_pointer* is the JSON pointer of the list in the block, such as `/branches/0/steps`.
    """

    parent_id: str | None
    list_pointer: str
    number: int


class PlanValue(NamedTuple):
    """A value of a plan. *is_template* is whether the run fills in some of its texts."""

    value: Json
    is_template: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change from an old plan to a new one.

    *id* names the step, input, approval, policy, secret or output; other parts have none. *field*
    is a JSON pointer in it, and None for the whole. *old* or *new* is None where the plan has no
    such value. Steps and members of lists that were added, removed or moved have their places.
    """

    kind: ChangeKind
    part: Part
    id: str | None = None
    field: str | None = None
    old: PlanValue | None = None
    new: PlanValue | None = None
    old_place: Place | None = None
    new_place: Place | None = None


def diff(old: JsonMapping, new: JsonMapping) -> list[Change]:
    """Return the changes from the plan document *old* to *new*, in the order of `Part`.

    Within a part the order is that of the new plan, with what was removed at the end.
    """
    changes: list[Change] = []
    for part in Part:
        if part is Part.INPUTS:
            changes += _inputs(old["inputs"], new["inputs"])
        elif part in {Part.SECRETS, Part.APPROVALS, Part.POLICIES, Part.STEPS, Part.OUTPUTS}:
            changes += _members(part, _elements(part, old), _elements(part, new))
        else:
            name = "failure" if part is Part.FAILURE_POLICY else part.value
            changes += _fields(part, None, _without_null(old[name]), _without_null(new[name]))
    return changes


class _Text(NamedTuple):
    """The text of a template, in a value of parameters."""

    template: str


class _Missing:
    """The value of a member or an element that there is not."""


_MISSING: Final = _Missing()
# JSON with a _Text for each of its templates, or _MISSING. JSON is Any, because it is recursive.
_Node: TypeAlias = Any


class _Element(NamedTuple):
    """A step, approval, policy, secret or output, without the steps in it."""

    place: Place
    fields: JsonObject


def _elements(part: Part, plan: JsonMapping) -> Mapping[str, _Element]:
    """Return the elements of *part* by id, in the order of the plan."""
    if part is Part.STEPS:
        return dict(_steps(plan["steps"], None, "/steps"))
    listed: list[JsonObject] = list(plan.get(part.value, ()))
    if part is Part.SECRETS:
        listed = [{"name": name} for name in plan.get("secrets", ())]
    key = "name" if part in {Part.SECRETS, Part.OUTPUTS} else "id"
    return {
        element[key]: _Element(
            Place(None, f"/{part.value}", index),
            {name: value for name, value in _without_null(element).items() if name != key},
        )
        for index, element in enumerate(listed)
    }


def _steps(
    steps: Sequence[JsonObject], parent_id: str | None, list_pointer: str
) -> Iterator[tuple[str, _Element]]:
    """Yield *steps* and all steps in them, each before its children."""
    for index, step in enumerate(steps):
        yield step["id"], _Element(Place(parent_id, list_pointer, index), _own_fields(step))
        for name in ("steps", "branch", "else"):
            yield from _steps(step.get(name, ()), step["id"], f"/{name}")
        for number, branch in enumerate(step.get("branches", ())):
            yield from _steps(branch["steps"], step["id"], f"/branches/{number}/steps")


def _own_fields(step: JsonObject) -> JsonObject:
    fields = {
        name: value
        for name, value in step.items()
        if value is not None and name not in {"id", *_NESTED, *_PARAMETERS}
    }
    if "open" in step:
        fields["with"] = _parameters(step["with"], step["open"], ())
    if "branches" in step:
        fields["branches"] = [{"condition": branch["condition"]} for branch in step["branches"]]
    return fields


def _parameters(value: Json, still_open: JsonMapping, path: tuple[str | int, ...]) -> Json:
    """Return *value* with the templates that *still_open* has for places in it."""
    if not still_open:
        return value
    if (text := still_open.get(pointer(path))) is not None:
        return _Text(text)
    if isinstance(value, dict):
        return {k: _parameters(child, still_open, (*path, k)) for k, child in value.items()}
    if isinstance(value, list):
        return [_parameters(child, still_open, (*path, i)) for i, child in enumerate(value)]
    return value


def _inputs(old: JsonMapping, new: JsonMapping) -> Iterator[Change]:
    """An input that has no value is null in a plan, which is a value as any other."""
    for name in [*sorted(new), *sorted(old.keys() - new.keys())]:
        yield from _changed(Part.INPUTS, name, "", old.get(name, _MISSING), new.get(name, _MISSING))


def _members(
    part: Part, old: Mapping[str, _Element], new: Mapping[str, _Element]
) -> Iterator[Change]:
    moved = _moved(old, new)
    for element_id, element in new.items():
        before = old.get(element_id)
        if before is None:
            yield Change(
                kind=ChangeKind.ADDED,
                part=part,
                id=element_id,
                new=_shown(element.fields),
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
                old=_shown(element.fields),
                old_place=element.place,
            )


def _moved(old: Mapping[str, _Element], new: Mapping[str, _Element]) -> set[str]:
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

    Of several longest sequences it is the first by the alphabet, so that the reverse comparison
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
        before, after = old.get(name, _MISSING), new.get(name, _MISSING)
        if name in _WHOLE and before != after:
            yield _change(part, element_id, pointer([name]), before, after)
        elif name not in _WHOLE:
            yield from _changed(part, element_id, pointer([name]), before, after)


def _changed(
    part: Part, element_id: str | None, field: str, old: _Node, new: _Node
) -> Iterator[Change]:
    """Yield the smallest parts of a value that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            inner = field + pointer([name])
            before, after = old.get(name, _MISSING), new.get(name, _MISSING)
            yield from _changed(part, element_id, inner, before, after)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else _MISSING
            after = new[index] if index < len(new) else _MISSING
            yield from _changed(part, element_id, f"{field}/{index}", before, after)
    elif not _are_equal(old, new):
        yield _change(part, element_id, field, old, new)


def _are_equal(old: _Node, new: _Node) -> bool:
    """Whether two values, not both objects or both lists, have one canonical form."""
    if isinstance(old, bool | _Text) or isinstance(new, bool | _Text):
        return type(old) is type(new) and bool(old == new)
    return bool(old == new)


def _change(part: Part, element_id: str | None, field: str, old: _Node, new: _Node) -> Change:
    kind = ChangeKind.CHANGED
    if not field:
        kind = ChangeKind.ADDED if old is _MISSING else kind
        kind = ChangeKind.REMOVED if new is _MISSING else kind
    return Change(
        kind=kind,
        part=part,
        id=element_id,
        field=field or None,
        old=None if old is _MISSING else _shown(old),
        new=None if new is _MISSING else _shown(new),
    )


def _shown(value: _Node) -> PlanValue:
    """Return *value* with the texts of its templates."""
    found: list[_Text] = []

    def shown(node: _Node) -> Json:
        if isinstance(node, _Text):
            found.append(node)
            return node.template
        if isinstance(node, dict):
            return {key: shown(child) for key, child in node.items()}
        if isinstance(node, list):
            return [shown(child) for child in node]
        return node

    shown_value = shown(value)
    return PlanValue(shown_value, bool(found))


def _without_null(value: Json) -> Json:
    """Return *value* without the members that are null, which in these parts means absent."""
    if isinstance(value, dict):
        return {key: _without_null(child) for key, child in value.items() if child is not None}
    if isinstance(value, list):
        return [_without_null(child) for child in value]
    return value
