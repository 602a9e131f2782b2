"""Repairs of a manifest that has mistakes, so that later stages can look for further ones.

The value at each mistake is removed, or replaced where the language needs one. Nothing that was
made up here is planned: a manifest with a mistake is refused. Findings of later stages at a
repaired path are not reported, since they follow from the mistake that is.
"""

from __future__ import annotations

from dataclasses import field
from itertools import count
from typing import TYPE_CHECKING, Final

from taskrunner.compiler.manifest.keys import fields_of, model_at
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskrunner.model.json_path import JsonPath
    from taskrunner.model.json_types import Json, JsonObject

_SECTIONS: Final = ("inputs", "secrets", "approvals", "policies", "outputs")
_STEP_LISTS: Final = frozenset({"steps", "body", "branch", "else", "finally"})
_RUN: Final = {"uses": "builtin:noop"}
_PLACEHOLDERS: Final[dict[str, Json]] = {
    "apiVersion": "stellaops.io/pack.v1",
    "kind": "TaskPack",
    "version": "1.0.0",
    "type": "object",
    "uses": "builtin:noop",
    "items": {"static": []},
    "condition": "`true`",
    "require": "`true`",
    "end": 0,
    "maxAttempts": 1,
}


@dataclass(frozen=True, slots=True)
class Repaired:
    """A *manifest* in the nested form, and the *paths* of what was repaired in it."""

    manifest: JsonObject
    paths: frozenset[JsonPath] = frozenset()
    _parents: frozenset[JsonPath] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Collect the parents once: a manifest may have thousands of mistakes."""
        object.__setattr__(self, "_parents", frozenset(path[:-1] for path in self.paths))

    def hides(self, path: JsonPath) -> bool:
        """Return whether a problem at *path* follows from a mistake that is reported."""
        # A rule over several keys is reported at their parent.
        if path in self._parents:
            return True
        return any(path[:length] in self.paths for length in range(len(path) + 1))

    def with_mistakes(self, paths: Iterable[JsonPath]) -> Repaired:
        """Return the same, where the values at *paths* have mistakes too."""
        return Repaired(self.manifest, self.paths.union(_entry(path) for path in paths))

    def unsure(self, section: str) -> bool:
        """Return whether names of *section*, or ids of `steps`, may be missing after repairs."""
        return any(_names(path) == section for path in self.paths)


NOTHING_REPAIRED: Final = Repaired({})


def repair(repaired: Repaired, mistakes: Iterable[JsonPath]) -> Repaired:
    """Return *repaired* with the values at the paths of *mistakes* repaired too.

    Where the repaired value is wrong again, such as an item that is one of a few words, the value
    around it is repaired.
    """
    manifest = _copy(repaired.manifest)
    entries = {_entry(path) for path in mistakes}
    paths = {path[:-1] if path in repaired.paths else path for path in entries}
    numbers = count(len(repaired.paths) + 1)
    for path in sorted(paths, key=lambda path: (len(path), str(path))):
        _repair_at(manifest, path, numbers)
    return Repaired(manifest, repaired.paths | paths)


def step_path(path: JsonPath) -> JsonPath:
    """Return the path of the innermost step around *path*; *path* itself outside of steps."""
    for length in range(len(path), 1, -1):
        if _is_step(path[:length]):
            return path[:length]
    return path


def _entry(path: JsonPath) -> JsonPath:
    """Return the path to repair for a mistake at *path*: a whole entry where its parts depend."""
    if path[:1] == ("spec",) and len(path) > 3 and path[1] in {"inputs", "outputs"}:  # noqa: PLR2004
        return path if path[3] == "name" else path[:3]
    if path[:2] == ("spec", "policies") and path[-1:] == ("uses",):
        return path[:3]
    return path


def _is_step(path: JsonPath) -> bool:
    if path[-1:] == ("step",):
        return True
    return len(path) > 1 and isinstance(path[-1], int) and path[-2] in _STEP_LISTS


def _names(path: JsonPath) -> str | None:
    """Return the section whose names a repair at *path* may have taken away."""
    if path in {(), ("spec",)}:
        return None
    if path[:1] == ("spec",) and path[1] in _SECTIONS:
        is_name = len(path) <= 3 or path[3:] in {("name",), ("id",)}  # noqa: PLR2004
        return str(path[1]) if is_name else None
    is_id = path[-1] == "id" and _is_step(path[:-1])
    return "steps" if is_id or _is_step(path) or path[-1] in {*_STEP_LISTS, "branches"} else None


def _repair_at(manifest: JsonObject, path: JsonPath, numbers: count[int]) -> None:
    if not path:
        return  # a mistake of the whole pack has no value to replace
    parent = _value_at(manifest, path[:-1])
    key = path[-1]
    if isinstance(parent, dict):
        model = model_at(path[:-1])
        fields = {} if model is None else fields_of(model)
        field = next((f for name, f in fields.items() if (f.alias or name) == key), None)
        if field is None or not field.is_required():
            parent.pop(key, None)
        else:
            parent[key] = _placeholder(path, parent.get(key), numbers)
    elif isinstance(parent, list) and isinstance(key, int) and key < len(parent):
        parent[key] = _placeholder(path, parent[key], numbers)


def _value_at(node: Json, path: JsonPath) -> Json:
    """Return the value at *path*; None when it went with a repair around it."""
    for part in path:
        is_item = isinstance(node, list) and isinstance(part, int) and part < len(node)
        node = node[part] if is_item or (isinstance(node, dict) and part in node) else None
    return node


def _placeholder(path: JsonPath, value: Json, numbers: count[int]) -> Json:
    """Return a valid value for *path*, in place of *value*."""
    key, name = path[-1], f"placeholder-{next(numbers)}"
    if _is_step(path):
        written = value.get("id") if isinstance(value, dict) else None
        return {"id": written if isinstance(written, str) else name, "run": dict(_RUN)}
    if key in _STEP_LISTS:
        return [{"id": name, "run": dict(_RUN)}]
    if key == "branches":
        return [_branch(path, name)]
    if isinstance(key, int):
        return _item(path, value, name)
    if key == "metadata":
        return {"name": "placeholder", "version": "1.0.0"}
    if key == "spec":
        return {"steps": [{"id": name, "run": dict(_RUN)}]}
    return _copy(_PLACEHOLDERS.get(key, name))


def _copy(node: Json) -> Json:
    """Return a copy of a JSON document, in a fifth of the time that copy.deepcopy takes."""
    if isinstance(node, dict):
        return {key: _copy(child) for key, child in node.items()}
    return [_copy(child) for child in node] if isinstance(node, list) else node


def _item(path: JsonPath, value: Json, name: str) -> Json:
    written = value.get("name", value.get("id")) if isinstance(value, dict) else None
    name = written if isinstance(written, str) else name
    match path[-2]:
        case "inputs":
            return {"name": name, "type": "object"}
        case "outputs":
            return {"name": name, "type": "object", "expression": "`1`"}
        case "secrets":
            return {"name": name}
        case "approvals":
            return {"id": name}
        case "policies":
            return {"id": name, "version": "1", "rules": [{"id": "r", "require": "`true`"}]}
        case "rules":
            return {"id": name, "require": "`true`"}
        case "branches":
            return _branch(path[:-1], name)
        case "egressAllowlist":
            return "placeholder.invalid"
        case _:
            return name if isinstance(value, str) else None


def _branch(branches_path: JsonPath, step_id: str) -> Json:
    """Return a branch for the list at *branches_path*, that of a conditional or of a parallel."""
    branch: JsonObject = {"steps": [{"id": step_id, "run": dict(_RUN)}]}
    is_lane = branches_path[-2:-1] == ("parallel",)
    return branch if is_lane else branch | {"condition": "`true`"}
