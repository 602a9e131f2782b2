"""The keys that a manifest may have, read off its shapes: for hints about unknown keys."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from taskrunner.compiler.manifest.shapes import Pack
from taskrunner.model.wording import closest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pydantic.fields import FieldInfo

    from taskrunner.model.json_path import JsonPath


# Keys that an author may know from another place, or from another tool: the key that is meant, as
# the first of these that the place has.
_OTHER_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "steps": ("body",),
    "body": ("steps",),
    "do": ("body", "steps"),
    "if": ("when", "condition"),
    "when": ("condition",),
    "condition": ("when",),
}


def meant_key(wrong: str, known_keys: Collection[str]) -> str | None:
    """Return the key of *known_keys* that is meant by *wrong*; None if that cannot be said."""
    words = (word for word in _OTHER_WORDS.get(wrong, ()) if word in known_keys)
    return next(words, None) or closest(wrong, known_keys)


def keys_at(path: JsonPath) -> frozenset[str]:
    """Return the keys that a mapping at *path* may have; none where a mapping is the author's."""
    model = model_at(path)
    return frozenset() if model is None else _keys_of(model)


def model_at(path: JsonPath) -> type[BaseModel] | None:
    """Return the shape of a mapping at *path*; None where a mapping is the author's."""
    model: type[BaseModel] | None = Pack
    for part in path:
        if model is None:
            break
        if isinstance(part, str):
            model = _models_below(model).get(part)
    return model


@cache
def all_keys() -> frozenset[str]:
    """Return every key of the language, wherever it may stand."""
    models: set[type[BaseModel]] = set()
    todo: list[type[BaseModel]] = [Pack]
    while todo:
        model = todo.pop()
        if model not in models:  # steps hold steps
            models.add(model)
            todo += [inner for inner in _models_below(model).values() if inner is not None]
    return frozenset(key for model in models for key in _keys(model))


@cache
def _keys_of(model: type[BaseModel]) -> frozenset[str]:
    return frozenset(_keys(model))


def _keys(model: type[BaseModel]) -> Iterator[str]:
    return (field.alias or name for name, field in fields_of(model).items())


@cache
def _models_below(model: type[BaseModel]) -> Mapping[str, type[BaseModel] | None]:
    """Return the shape of each key's value, or of the items of a list; None for other values."""
    return {
        field.alias or name: _model_in(field.annotation) for name, field in fields_of(model).items()
    }


def fields_of(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """Return the fields of a shape by their names, also those of shapes that stand after it."""
    model.model_rebuild()
    return model.model_fields


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - typing has no type for it
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)
