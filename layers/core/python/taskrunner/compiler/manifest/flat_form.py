"""The flat form of a step (`type: run` beside its fields) and the nested form (`run: {...}`).

`to_nested` brings all steps into the nested form, which later stages work with. `written_path`
finds, for a place in the nested form, the place where the author wrote it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.compiler.manifest.keys import all_keys, meant_key
from taskrunner.compiler.manifest.shape_messages import shown
from taskrunner.compiler.manifest.step_shapes import KINDS, StepShape
from taskrunner.compiler.problems import MAX_PROBLEMS, Problem
from taskrunner.model.wording import closest, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.json_path import JsonPath
    from taskrunner.model.json_types import Json, JsonObject

_KIND_KEYS: Final = frozenset(kind.partition(".")[0] for kind in KINDS)
# The keys of a step that are not a kind: in the flat form the kind's own fields stand beside them.
COMMON_KEYS: Final = frozenset(
    key
    for name, field in StepShape.model_fields.items()
    if (key := field.alias or name) not in _KIND_KEYS
)
_STEP_LISTS: Final = ("steps", "body", "branch", "else")


class Nesting:
    """A manifest with its steps in the nested form, and the mistakes that this showed.

    *settled* has the paths of steps whose mistake is reported: the shapes say nothing more there.
    """

    def __init__(self, manifest: JsonObject) -> None:
        self.problems: list[Problem] = []
        self.settled: set[JsonPath] = set()
        self.manifest = self._manifest(manifest)

    def _manifest(self, manifest: JsonObject) -> JsonObject:
        spec = manifest.get("spec")
        if not isinstance(spec, dict):
            return manifest
        return manifest | {"spec": spec | self._lists(spec, ("spec",), ("steps", "finally"))}

    def _lists(self, block: JsonObject, path: JsonPath, names: Sequence[str]) -> JsonObject:
        """Return the lists of steps in *block* that are called *names*, in the nested form."""
        return {
            name: [self._step(step, (*path, name, index)) for index, step in enumerate(block[name])]
            for name in names
            if isinstance(block.get(name), list)
        }

    def _step(self, step: Json, path: JsonPath) -> Json:
        if not isinstance(step, dict):
            return step
        if "type" in step:
            step = self._unflattened(step, path)
            if path in self.settled:
                return step
        kinds = _kinds(step)
        # Looking for the nearest right name takes time, so it ends with enough problems.
        is_full = len(self.problems) > MAX_PROBLEMS
        if not kinds and not is_full and self._misspelt(step, path):
            return step
        if len(kinds) != 1:
            count = "no kind" if not kinds else f"more than one kind ({', '.join(kinds)})"
            message = f"the step has {count}; it needs exactly one of {', '.join(KINDS)}"
            self._settle(path, path, message)
            return step
        keys = kinds[0].split(".")
        block: Json = step
        for depth, key in enumerate(keys, start=1):
            block = _member(block, key)
            if block is None:
                # To pydantic null is as good as absent, but then the step would have no kind.
                message = f"'{key}' must be a mapping, not nothing"
                self._settle(path, (*path, *keys[:depth]), message)
                return step
        if not isinstance(block, dict):
            return step
        nested: Json = self._block(block, kinds[0], (*path, *keys))
        if keys[1:]:  # keep what stands beside the approval or policy, for the shapes to report
            nested = step[keys[0]] | {keys[1]: nested}
        return step | {keys[0]: nested}

    def _misspelt(self, step: JsonObject, path: JsonPath) -> bool:
        """Report the unknown keys of a step without a kind; return whether one was meant as it."""
        known = COMMON_KEYS | all_keys()  # a kind's own field without its kind is not misspelt
        found = False
        for key in (key for key in step if key not in known):
            meant = closest(key, COMMON_KEYS | _KIND_KEYS | set(KINDS))
            found = found or meant in {*_KIND_KEYS, *KINDS}
            if meant in KINDS and "." in meant:
                hint = "; write {}: {{{}: ...}}".format(*meant.split("."))
            else:
                keys = COMMON_KEYS | _KIND_KEYS
                hint = nearest(meant_key(key, keys) or key, keys)
            self._settle(path, (*path, key), f"unknown key '{key}'{hint}")
        return found

    def _settle(self, step_path: JsonPath, path: JsonPath, message: str) -> None:
        self.problems.append(Problem(path, message))
        self.settled.add(step_path)

    def _block(self, block: JsonObject, kind: str, path: JsonPath) -> JsonObject:
        """Return the fields of a kind with the steps in them nested, and items as a mapping."""
        changed = block | self._lists(block, path, _STEP_LISTS)
        if kind == "map" and isinstance(block.get("step"), dict):
            changed["step"] = self._step(block["step"], (*path, "step"))
        if kind in {"map", "loop"} and isinstance(block.get("items"), str):
            changed["items"] = {"expression": block["items"]}
        if kind in {"conditional", "parallel"} and isinstance(block.get("branches"), list):
            changed["branches"] = [
                branch | self._lists(branch, (*path, "branches", index), ("steps",))
                if isinstance(branch, dict)
                else branch
                for index, branch in enumerate(block["branches"])
            ]
        return changed

    def _unflattened(self, step: JsonObject, path: JsonPath) -> JsonObject:
        kind = step["type"]
        common = {key: value for key, value in step.items() if key in COMMON_KEYS}
        fields = {key: value for key, value in step.items() if key not in COMMON_KEYS | {"type"}}
        if not isinstance(kind, str) or kind not in KINDS:
            hint = nearest(kind if isinstance(kind, str) else "", KINDS)
            self._settle(path, (*path, "type"), f"{shown(kind)} is not a kind of step{hint}")
            return common
        keys = kind.split(".")
        if keys[0] in fields:
            message = f"a step is flat or nested: remove 'type' or '{keys[0]}'"
            self._settle(path, (*path, "type"), message)
            return common
        if kind == "gate.approval":
            # In the flat form `id` is the step's, so the approval is named by `approval`.
            fields = {"id" if key == "approval" else key: fields[key] for key in fields}
        return common | _wrapped(fields, keys)


def written_path(path: JsonPath, manifest: Json) -> JsonPath:
    """Return where an author finds *path*, which is a path in the nested form of *manifest*."""
    written: list[str | int] = []
    node, rest = manifest, path
    while rest:
        keys = _flat_keys(node)
        if keys and rest[: len(keys)] == keys:
            rest = rest[len(keys) :]
            if keys == ("gate", "approval"):
                rest = tuple("approval" if part == "id" else part for part in rest)
        if rest == ("expression",) and isinstance(node, str):
            break  # an expression in the place of `{expression: ...}`
        if not rest:
            break
        written.append(rest[0])
        node = _member(node, rest[0])
        rest = rest[1:]
    return tuple(written)


def _flat_keys(node: Json) -> tuple[str, ...]:
    """Return the keys that the nested form of a flat step has and the flat form has not."""
    if not isinstance(node, dict) or node.get("type") not in KINDS or "id" not in node:
        return ()
    keys = tuple(node["type"].split("."))
    return () if keys[0] in node else keys


def _kinds(step: JsonObject) -> list[str]:
    """Return the kinds that *step* names, which should be one."""
    kinds = [key for key in step if key in _KIND_KEYS and key != "gate"]
    gate = step.get("gate")
    if isinstance(gate, dict):
        kinds += [f"gate.{key}" for key in gate if f"gate.{key}" in KINDS]
        if gate and not kinds:
            kinds.append("gate")  # with an unknown key, which the shapes report better
    elif "gate" in step:
        kinds.append("gate")  # of the wrong type, which the shapes report better
    return kinds


def _wrapped(fields: JsonObject, keys: Sequence[str]) -> JsonObject:
    """Return `{keys[0]: {keys[1]: ... fields}}`."""
    for key in reversed(keys):
        fields = {key: fields}
    return fields


def _member(node: Json, part: str | int) -> Json:
    if isinstance(node, dict):
        return node.get(part)
    is_item = isinstance(node, list) and isinstance(part, int) and part < len(node)
    return node[part] if is_item else None
