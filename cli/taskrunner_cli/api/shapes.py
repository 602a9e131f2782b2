"""Checks JSON against the types of `documents`, and keeps whatever has its type.

A service may be newer, older, or another one altogether. An optional member of another type counts
as absent, and an entry of a list that lacks a required member is left out, so that the rest can be
shown. Text may have values that this version does not know, and objects may have further members.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import (
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    TypeVar,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from taskrunner_cli.json_types import JsonValue

_Document = TypeVar("_Document")
_Container = TypeVar("_Container", dict[str, object], list[object])
_NAMES: Final[dict[type, str]] = {
    dict: "an object",
    list: "a list",
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
_MAX_FLOAT: Final = sys.float_info.max


class MisfitError(Exception):
    """A document cannot be used; the message names the member that is missing or wrong."""


@dataclass(frozen=True, slots=True)
class Fit(Generic[_Document]):
    """The usable part of a document, and the reason for each part that was left out."""

    view: _Document
    misfits: tuple[str, ...]


class _Member(NamedTuple):
    """A member of a TypedDict."""

    name: str
    kind: Any
    is_required: bool


def fit(document: JsonValue, kind: type[_Document]) -> Fit[_Document]:
    """Return the part of *document* that has the type *kind*, which is a TypedDict or a list.

    Raises:
        MisfitError: a required member outside of all lists is missing or has another type.

    """
    fitting = _Fitting()
    view = fitting.fit(document, kind, "")
    return Fit(cast("_Document", view), tuple(fitting.misfits))


class _Fitting:
    """One pass over a document, which collects what it leaves out."""

    def __init__(self) -> None:
        self.misfits: list[str] = []

    def fit(self, value: object, kind: Any, path: str) -> object:  # noqa: ANN401 -- a type
        """Return the part of *value* that has the type *kind*."""
        if type(value) is kind or kind is object:  # object: any JSON
            return value
        if get_origin(kind) is Literal:  # a later version may have more words
            return self.fit(value, str, path)
        if is_typeddict(kind):
            return self._object(_typed(value, dict, path), _members(kind), path)
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is list:
            return self._list(_typed(value, list, path), arguments[0], path)
        if origin is dict:
            entries = _typed(value, dict, path)
            members = [_Member(name, arguments[1], is_required=False) for name in entries]
            return self._object(entries, members, path)
        return _scalar(value, kind, path)

    def _object(
        self, value: dict[str, object], members: Sequence[_Member], path: str
    ) -> dict[str, object]:
        view = dict(value)
        for name, kind, is_required in members:
            member_path = f"{path}.{name}" if path else name
            if name not in value:
                if is_required:
                    raise MisfitError(f"{member_path} is missing")
                continue
            try:
                view[name] = self.fit(value[name], kind, member_path)
            except MisfitError as error:
                if is_required:
                    raise
                del view[name]
                if value[name] is not None:  # null says that there is nothing
                    self.misfits.append(str(error))
        return view

    def _list(self, value: list[object], kind: Any, path: str) -> list[object]:  # noqa: ANN401
        view = []
        for position, entry in enumerate(value):
            try:
                view.append(self.fit(entry, kind, f"{path}[{position}]"))
            except MisfitError as error:
                self.misfits.append(str(error))
        return view


@cache
def _members(kind: type) -> tuple[_Member, ...]:
    """Return the members of a TypedDict."""
    required: frozenset[str] = kind.__required_keys__  # type: ignore[attr-defined] # a TypedDict
    hints = get_type_hints(kind)
    return tuple(_Member(name, hint, name in required) for name, hint in hints.items())


def _typed(value: object, kind: type[_Container], path: str) -> _Container:
    if not isinstance(value, kind):
        raise _misfit(path, value, kind)
    return value


def _scalar(value: object, kind: type, path: str) -> object:
    """Return *value* as a *kind* that it may stand for: 2.0 is a whole number, 2 is a number."""
    match value:
        case int() if kind is float and not isinstance(value, bool) and abs(value) <= _MAX_FLOAT:
            return float(value)
        case float() if kind is int and value.is_integer():
            return int(value)
        case _:
            raise _misfit(path, value, kind)


def _misfit(path: str, value: object, kind: type) -> MisfitError:
    given = _NAMES[type(value)]
    return MisfitError(f"{path or 'the answer'} is {given} instead of {_NAMES[kind]}")
