"""Compares the project's OpenAPI document with the contract, and lists the contradictions.

It is not enough that ours contains the contract: an additional bound, closed object, required
header or security rule contradicts it. So each kind of object has rules for comparing its fields,
and a list of the fields that ours may add. Fields without a rule must be equal, and must not be
added.

`info.version` is ours, because the contract's is that of a draft. A description starts with the
contract's words and may continue. Keys with `x-` may be added anywhere.
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
    document = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    assert isinstance(document, dict), f"{path} is not an OpenAPI document"
    return document


def pointer(where: str, key: object) -> str:
    """Return the JSON pointer (RFC 6901) of *key* under the pointer *where*."""
    return f"{where}/{str(key).replace('~', '~0').replace('/', '~1')}"


def resolved(document: Json, value: Json) -> Json:
    """Follow *value* while it is a reference, and return what it refers to."""
    while "$ref" in value:
        found: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        value = found
    return value


@dataclass(frozen=True, slots=True)
class _Kind:
    """The rules for the fields of one kind of object.

    A rule is `same`, `prose`, `own`, `contains`, `parameters`, the name of a kind, or `each ` and
    the name of a kind, for a map of names to such objects.
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
    # `security`, `servers` or another body would override the contract's.
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
    # A response header that is always sent promises more and demands nothing.
    "header": _Kind({"schema": "schema", **_PROSE}, frozenset({"description", "required"})),
    "parameter": _Kind({"schema": "schema", **_PROSE}, frozenset({"description", "examples"})),
    # Annotations only: any other keyword would reject values that the contract accepts.
    "schema": _Kind(
        {
            "properties": "each schema",
            "items": "schema",
            "additionalProperties": "schema",
            **_PROSE,
        },
        frozenset({"title", "description", "examples"}),
    ),
    # A further scope demands nothing of a client that has one of the contract's.
    "scheme": _Kind({"flows": "each flow"}),
    "flow": _Kind({"scopes": "each scope"}),
    "components": _Kind(
        {
            "securitySchemes": "each scheme",
            "parameters": "each parameter",
            "responses": "each response",
            "schemas": "each schema",
        },
        frozenset({"headers", "examples", "parameters", "responses", "requestBodies", "schemas"}),
    ),
}


def differences(contract: Json, ours: Json) -> list[str]:
    """Return one line with a JSON pointer for each part of *contract* that *ours* changes."""
    return list(_Comparison(ours).compare("document", contract, ours, "#"))


def _is_same(left: object, right: object) -> bool:
    """Return whether both are the same JSON. In Python alone, 1 equals true."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def _words(text: object) -> str:
    """Return the text without line breaks, which YAML may fold differently."""
    return " ".join(str(text).split())


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One walk over both documents. *document* is ours, for following its references."""

    document: Json

    def compare(self, rule: str, theirs: object, mine: object, where: str) -> Iterator[str]:
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
        required = theirs if isinstance(theirs, list) else [theirs]
        for entry in required:
            if not any(_is_same(entry, candidate) for candidate in mine):
                yield f"{where}: the contract's entry {entry!r} is missing"
        for entry in mine if rule == "parameters" else []:
            is_added = not any(_is_same(entry, known) for known in required)
            if is_added and self._is_required(entry):
                yield f"{where}: requires a parameter that the contract does not have: {entry!r}"

    def _is_required(self, parameter: object) -> bool:
        if not isinstance(parameter, dict):
            return False
        try:
            return bool(resolved(self.document, parameter).get("required"))
        except KeyError:  # a broken reference, which OpenAPI's own validator reports
            return False

    def _objects(self, rule: str, theirs: Json, mine: Json, where: str) -> Iterator[str]:
        is_map = rule.startswith("each ")
        kind = rule.removeprefix("each ")
        for key, value in theirs.items():
            here = pointer(where, key)
            inner = kind if is_map else _KINDS[kind].fields.get(key, "same")
            if key in mine:
                yield from self.compare(inner, value, mine[key], here)
            else:
                yield f"{here}: missing"
        for key in mine.keys() - theirs.keys():
            if is_map:
                yield from self._added_name(kind, key, pointer(where, key))
            elif not (key in _KINDS[kind].may_add or key.startswith("x-")):
                yield f"{pointer(where, key)}: the contract does not have it"
            elif key == "parameters" and kind == "operation":
                yield from self._contained("parameters", [], mine[key], pointer(where, key))

    @staticmethod
    def _added_name(kind: str, name: object, where: str) -> Iterator[str]:
        """Judge an added name in a map. Only another kind of success is refused."""
        if kind == "response" and str(name).startswith("2"):
            yield f"{where}: the contract has no such success"
