"""moto's answers, whose parts are looked for under fewer names.

moto looks for each part of an answer under several names, which it finds anew, and for the value of
an attribute by each of the ten types that it may have.
`contract/test_quick_moto.py` compares the answers with those of moto alone.
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
_names: dict[tuple[str, str, str, type], tuple[str, ...]] = {}


@contextmanager
def quick_answers() -> Iterator[None]:
    """Replace the two looks by quicker ones until the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResponseSerializer, "get_value", get_value)
        patch.setattr(BaseJSONSerializer, "_serialize_type_structure", serialize_structure)
        yield


def get_value(self: Any, value: Any, key: str, shape: Any) -> Any:  # noqa: ANN401 - moto is untyped
    """Return a member of a result under any of the names that it may have in moto."""
    picker, structure = self._value_picker, getattr(shape, "parent", None)
    is_plain = type(picker) is XFormedAttributePicker and not picker.response_transformers
    if not is_plain or structure is None or hasattr(value, "Meta"):
        return _by_moto_get_value(self, value, key, shape)
    place = (self.service_model.service_name, structure.name, key, type(value))
    if place not in _names:
        context = AttributePickerContext(obj=value, key=key, shape=shape)
        _names[place] = tuple(dict.fromkeys(picker.get_possible_keys(context)))
    for name in _names[place]:
        found = value_of(value, name, _MISSING)
        if found is not _MISSING:
            return found
    return None


def serialize_structure(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:  # noqa: ANN401 - moto is untyped
    """Serialize an attribute of an item as the one member that it has, such as `S`."""
    if shape.name != "AttributeValue" or not key or type(value) is not dict or len(value) != 1:
        _by_moto_serialize_structure(self, serialized, value, shape, key)
        return
    [(member, content)] = value.items()
    if content is None or member not in shape.members:
        _by_moto_serialize_structure(self, serialized, value, shape, key)
        return
    wrapper: dict[str, Any] = self.MAP_TYPE()
    self._serialize(wrapper, content, shape.members[member], member)
    self._default_serialize(serialized, wrapper, shape, key)
