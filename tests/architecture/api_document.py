"""Compares the project's OpenAPI document with the contract: what is missing, what contradicts.

Containment alone would not do: a bound, a closed object, a required header or another security
rule takes something away from the contract by adding to it. So each kind of object says how its
fields are compared, and which fields may stand there that the contract has not. Whatever no rule
names must be equal, and may not be added.

What is ours alone: `info.version`, since the contract's is that of a draft. A description starts
with the contract's words and may go on. Keys with `x-` may stand anywhere.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "functions" / "describe_api" / "openapi.yaml"
CONTRACT = ROOT.parent / "shared" / "contract" / "taskrunner-openapi.yaml"

Json = dict[str, Any]


def read(path: Path) -> Json:
    """Read an OpenAPI document in YAML."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(document, dict), f"{path} is no OpenAPI document"
    return document


def pointer(where: str, key: object) -> str:
    """Return the JSON pointer (RFC 6901) of *key* under the pointer *where*."""
    return f"{where}/{str(key).replace('~', '~0').replace('/', '~1')}"


def resolved(document: Json, value: Json) -> Json:
    """Follow the reference that *value* is, or return *value* when it is none."""
    while "$ref" in value:
        found: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        value = found
    return value


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the fields of one kind of object are compared.

    A rule is `same`, `prose`, `own`, `contains`, `parameters`, the name of a kind, or that name
    after `each ` for a map of names to objects of the kind.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    may_add: frozenset[str] = frozenset()


_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_PROSE = {"description": "prose"}
_KINDS = {
    "document": _Kind(
        {
            "info": "info",
            "servers": "contains",
            "tags": "contains",
            "paths": "each path",
            "components": "components",
        },
        frozenset({"externalDocs"}),
    ),
    "info": _Kind({"version": "own", **_PROSE}, frozenset({"summary", "contact", "license"})),
    "path": _Kind(dict.fromkeys(_METHODS, "operation"), frozenset(_METHODS)),
    # `security`, `servers` or a body of its own would override what the contract says of it.
    "operation": _Kind(
        {
            "tags": "contains",
            "parameters": "parameters",
            "requestBody": "request",
            "responses": "each response",
            **_PROSE,
        },
        frozenset({"description", "externalDocs", "parameters"}),
    ),
    "request": _Kind({"content": "each media", **_PROSE}, frozenset({"description"})),
    "response": _Kind(
        {"headers": "each header", "content": "each media", **_PROSE},
        frozenset({"headers", "content"}),
    ),
    "media": _Kind({"schema": "schema", "examples": "each example"}, frozenset({"examples"})),
    "example": _Kind(),
    # A header of a response that is always sent is a promise more, not a demand.
    "header": _Kind({"schema": "schema", **_PROSE}, frozenset({"description", "required"})),
    "parameter": _Kind({"schema": "schema", **_PROSE}, frozenset({"description", "examples"})),
    # Annotations only: any other keyword of JSON Schema refuses values that the contract takes.
    "schema": _Kind(
        {
            "properties": "each schema",
            "items": "schema",
            "additionalProperties": "schema",
            **_PROSE,
        },
        frozenset({"title", "description", "examples"}),
    ),
    "components": _Kind(
        {
            "parameters": "each parameter",
            "responses": "each response",
            "schemas": "each schema",
        },
        frozenset({"headers", "examples", "parameters", "responses", "requestBodies", "schemas"}),
    ),
}


def differences(contract: Json, ours: Json) -> list[str]:
    """Return one line, with a JSON pointer, for each thing of *contract* that *ours* changes."""
    return list(_Comparison(ours).compared("document", contract, ours, "#"))


def _is_same(left: object, right: object) -> bool:
    """Whether both are the same JSON; Python takes 1 for true."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def _words(text: object) -> str:
    """The text without its line breaks, which YAML's folding moves."""
    return " ".join(str(text).split())


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One walk over both documents; it knows ours as a whole to follow its references."""

    document: Json

    def compared(self, rule: str, theirs: object, mine: object, where: str) -> Iterator[str]:
        """Compare one value of the contract with ours under *rule*."""
        if rule == "own":
            return
        if rule == "prose":
            if not _words(mine).startswith(_words(theirs)):
                yield f"{where}: the text does not start with the contract's"
        elif rule in ("contains", "parameters") and isinstance(mine, list):
            yield from self._contained(rule, theirs, mine, where)
        elif rule != "same" and isinstance(theirs, dict) and isinstance(mine, dict):
            yield from self._objects(rule, theirs, mine, where)
        elif not _is_same(theirs, mine):
            yield f"{where}: {mine!r} instead of the contract's {theirs!r}"

    def _contained(self, rule: str, theirs: object, mine: list[Any], where: str) -> Iterator[str]:
        wanted = theirs if isinstance(theirs, list) else [theirs]
        for entry in wanted:
            if not any(_is_same(entry, candidate) for candidate in mine):
                yield f"{where}: the contract's entry {entry!r} is missing"
        for entry in mine if rule == "parameters" else []:
            is_added = not any(_is_same(entry, known) for known in wanted)
            if is_added and self._is_required(entry):
                yield f"{where}: requires a parameter that the contract has not: {entry!r}"

    def _is_required(self, parameter: object) -> bool:
        if not isinstance(parameter, dict):
            return False
        try:
            return bool(resolved(self.document, parameter).get("required"))
        except KeyError:  # it refers to nothing, which OpenAPI's own validator tells
            return False

    def _objects(self, rule: str, theirs: Json, mine: Json, where: str) -> Iterator[str]:
        named = rule.startswith("each ")
        kind = rule.removeprefix("each ")
        for key, value in theirs.items():
            here = pointer(where, key)
            inner = kind if named else _KINDS[kind].fields.get(key, "same")
            if key in mine:
                yield from self.compared(inner, value, mine[key], here)
            else:
                yield f"{here}: missing"
        for key in mine.keys() - theirs.keys():
            if named:
                yield from self._named(kind, key, pointer(where, key))
            elif not (key in _KINDS[kind].may_add or key.startswith("x-")):
                yield f"{pointer(where, key)}: the contract says nothing of it"
            elif key == "parameters" and kind == "operation":
                yield from self._contained("parameters", [], mine[key], pointer(where, key))

    @staticmethod
    def _named(kind: str, name: object, where: str) -> Iterator[str]:
        """Judge a name more in a map: all are welcome but another kind of success."""
        if kind == "response" and str(name).startswith("2"):
            yield f"{where}: the contract knows no such success"
