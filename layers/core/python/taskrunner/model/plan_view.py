"""A plan, and its difference to another one, as the API shows them.

Lambda answers with at most 6 MB, in which each quote of a body takes two bytes. So the plan, the
gates and the changes each have their room, and an answer says what did not fit.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from taskrunner.model.wording import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskrunner.model.json_types import Json, JsonMapping, JsonObject
    from taskrunner.model.plan_change import Change, Place, PlanValue

MAX_PLAN_BYTES: Final = 5 * 512 * 1024
MAX_CHANGES: Final = 1000
MAX_CHANGES_BYTES: Final = 512 * 1024
MAX_VALUE_BYTES: Final = 4 * 1024
_SHOWN_CHARACTERS: Final = 1000

# In these members of a plan, null is a value of the author's.
_AUTHORS: Final = frozenset({"inputs", "with", "open", "items"})
# The members of a plan that have steps, and the members of these that may be large.
_STEPS: Final = ("steps", "finally")
_LARGE_OF_STEPS: Final = ("with", "open", "items")


def plan(document: JsonMapping) -> JsonObject:
    """Return a plan document as the API's Plan: without the members that are null.

    The parameters and items of steps are omitted, and then the inputs too, if they are too large.
    """
    shown: JsonObject = _without_null({k: v for k, v in document.items() if k != "planVersion"})
    shown["failurePolicy"] = shown.pop("failure")
    if size_bytes(shown) > MAX_PLAN_BYTES:
        shown |= {name: _without_large(shown[name]) for name in _STEPS if name in shown}
        shown["parametersOmitted"] = True
    if size_bytes(shown) > MAX_PLAN_BYTES:
        del shown["inputs"]
        shown["inputsOmitted"] = True
    return shown


def _without_null(value: Json) -> Json:
    if isinstance(value, dict):
        return {
            key: child if key in _AUTHORS else _without_null(child)
            for key, child in value.items()
            if child is not None
        }
    return [_without_null(child) for child in value] if isinstance(value, list) else value


def _without_large(value: Json) -> Json:
    if isinstance(value, dict):
        return {k: _without_large(v) for k, v in value.items() if k not in _LARGE_OF_STEPS}
    return [_without_large(child) for child in value] if isinstance(value, list) else value


def changes(all_changes: Sequence[Change]) -> JsonObject:
    """Return the API's PlanDiff: the first changes that fit, and how many there are."""
    shown: list[JsonObject] = []
    room = MAX_CHANGES_BYTES
    for change in all_changes[:MAX_CHANGES]:
        view = _change(change)
        room -= size_bytes(view)
        if room < 0:
            break
        shown.append(view)
    diff: JsonObject = {"total": len(all_changes), "changes": shown}
    return diff | {"truncated": True} if len(shown) < len(all_changes) else diff


def _change(change: Change) -> JsonObject:
    view: JsonObject = {"change": change.kind.value, "part": change.part.value}
    if change.id is not None:
        view["id"] = change.id
    if change.field is not None:
        view["field"] = shortened(change.field)
    for name, value in (("old", change.old), ("new", change.new)):
        if value is not None:
            view |= _value(name, value)
    for name, place in (("oldPlace", change.old_place), ("newPlace", change.new_place)):
        if place is not None:
            view[name] = _place(place)
    return view


def _value(name: str, value: PlanValue) -> JsonObject:
    view: JsonObject = {name: value.value}
    if value.is_template:
        view[f"{name}IsTemplate"] = True
    if size_bytes(value.value) > MAX_VALUE_BYTES:
        view |= {name: cut_text(value.value), f"{name}IsCut": True}
    return view


def _place(place: Place) -> JsonObject:
    view: JsonObject = {"list": place.list_pointer, "index": place.number}
    return view if place.parent_id is None else view | {"parentId": place.parent_id}


def cut_text(value: Json) -> str:
    """Return the beginning of a text, or of the JSON text of another value."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shortened(text, _SHOWN_CHARACTERS)


def fitting(values: Iterable[str], room: int) -> list[str]:
    """Return the first of *values* that take at most *room* bytes of JSON together."""
    kept: list[str] = []
    for value in values:
        room -= size_bytes(value) + 1
        if room < 0:
            break
        kept.append(value)
    return kept


def size_bytes(value: Json) -> int:
    """Return the size of *value* in an answer."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode(errors="replace"))
