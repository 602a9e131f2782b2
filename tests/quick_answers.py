"""moto's answers, whose parts are looked for under fewer names.

moto looks for each part that an answer may have under several names, which it finds anew, and for
the value of an attribute by each of the ten types that it may have.
`contract/test_quick_answers.py` compares the answers with those of moto alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from moto.core.serialize import (
    AttributePickerContext,
    BaseJSONSerializer,
    ResponseSerializer,
    XFormedAttributePicker,
)
from moto.core.utils import get_value as value_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_MISSING = object()
_by_moto_get_value = ResponseSerializer.get_value
_by_moto_serialize_structure = BaseJSONSerializer._serialize_type_structure
_members: dict[tuple[str, str], dict[str, list[str]]] = {}
_names: dict[tuple[str, str, str, type], tuple[str, ...]] = {}


@contextmanager
def quick_answers() -> Iterator[None]:
    """Replace moto's looks by quicker ones until the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResponseSerializer, "get_value", get_value)
        patch.setattr(BaseJSONSerializer, "_serialize_type_structure", serialize_structure)
        yield


def get_value(self: Any, value: Any, key: str, shape: Any) -> Any:  # noqa: ANN401 - moto is untyped
    """Return a member of a result under any of the names that it may have in moto."""
    has_structure = getattr(shape, "parent", None) is not None
    if not has_structure or not _is_plain(self._value_picker) or hasattr(value, "Meta"):
        return _by_moto_get_value(self, value, key, shape)
    for name in _possible_names(self, value, key, shape):
        found = value_of(value, name, _MISSING)
        if found is not _MISSING:
            return found
    return None


def _is_plain(picker: Any) -> bool:  # noqa: ANN401 - moto is untyped
    return type(picker) is XFormedAttributePicker and not picker.response_transformers


def _possible_names(self: Any, value: Any, key: str, shape: Any) -> tuple[str, ...]:  # noqa: ANN401 - moto is untyped
    place = (self.service_model.service_name, shape.parent.name, key, type(value))
    if place not in _names:
        context = AttributePickerContext(obj=value, key=key, shape=shape)
        _names[place] = tuple(dict.fromkeys(self._value_picker.get_possible_keys(context)))
    return _names[place]


def serialize_structure(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:  # noqa: ANN401 - moto is untyped
    """Serialize an attribute of an item as the one member that it has, such as `S`."""
    if shape.name != "AttributeValue" or not key or type(value) is not dict or len(value) != 1:
        _serialize_members(self, serialized, value, shape, key)
        return
    [(member, content)] = value.items()
    if content is None or member not in shape.members:
        _by_moto_serialize_structure(self, serialized, value, shape, key)
        return
    wrapper: dict[str, Any] = self.MAP_TYPE()
    self._serialize(wrapper, content, shape.members[member], member)
    self._default_serialize(serialized, wrapper, shape, key)


def _serialize_members(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:  # noqa: ANN401 - moto is untyped
    """Serialize a structure as the members that it has, of which an event of a run may have 40."""
    if type(value) is not dict or shape.is_document_type or not _is_plain(self._value_picker):
        _by_moto_serialize_structure(self, serialized, value, shape, key)
        return
    place = (self.service_model.service_name, shape.name)
    if place not in _members:
        _members[place] = _members_by_name(self, shape)
    present = {member for name in value for member in _members[place].get(name, ())}
    wrapper = self.MAP_TYPE() if key else serialized
    for member, member_shape in shape.members.items():
        if member in present:
            member_shape.parent = shape
            self._serialize_structure_member(wrapper, value, member_shape, member)
    if key:
        self._default_serialize(serialized, wrapper, shape, key)


def _members_by_name(self: Any, shape: Any) -> dict[str, list[str]]:  # noqa: ANN401 - moto is untyped
    """The members that a structure may have under a name in a dictionary of moto."""
    found: dict[str, list[str]] = {}
    for member, member_shape in shape.members.items():
        member_shape.parent = shape
        for name in _possible_names(self, {}, member, member_shape):
            found.setdefault(name, []).append(member)
    return found
