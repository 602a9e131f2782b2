"""Makes the JSON Schema of packs, pack.v1.json, from the shapes of the compiler.

A schema for editors: it says of every key what it means, and of a mistake what is wrong rather than
that nothing fits. So the form of a step is chosen by `if`, not by trying all of them.
"""

from __future__ import annotations

import ast
import inspect
import json
from typing import TYPE_CHECKING, Any, Final

from taskrunner.compiler.manifest import shapes, step_shapes
from taskrunner.compiler.manifest.flat_form import COMMON_KEYS
from taskrunner.compiler.manifest.shapes import Pack
from taskrunner.compiler.manifest.step_shapes import KINDS

if TYPE_CHECKING:
    from types import ModuleType

Schema = dict[str, Any]

_KIND_KEYS: Final = tuple(dict.fromkeys(kind.partition(".")[0] for kind in KINDS))
_SHAPES: Final = {
    "run": "RunShape",
    "parallel": "ParallelShape",
    "map": "MapShape",
    "loop": "LoopShape",
    "conditional": "ConditionalShape",
    "gate.approval": "ApprovalGateShape",
    "gate.policy": "PolicyGateShape",
}
_PARAMETERS: Final = {"type": ["object", "string"], "pattern": r"^\{\{[\s\S]*\}\}$"}


def text() -> str:
    """Return the schema as its file has it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> Schema:
    """Return the schema of packs."""
    made = Pack.model_json_schema(by_alias=True)
    shapes_by_name: dict[str, Schema] = made.pop("$defs")
    shapes_by_name["Pack"] = made
    _describe(shapes_by_name)
    for shape in shapes_by_name.values():
        if "description" in shape:  # its first paragraph; keys are described themselves
            shape["description"] = shape["description"].partition("\n\n")[0]
    parts = {name: _plain(shape) for name, shape in shapes_by_name.items() if name != "Json"}
    _say_what_validators_check(parts)
    step = parts.pop("StepShape")
    parts |= _steps(step, parts)
    root = parts.pop("Pack")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Task pack",
        **root,
        "$defs": dict(sorted(parts.items())),
    }


def _describe(shapes_by_name: dict[str, Schema]) -> None:
    """Add to each key the text below its field."""
    for module in (shapes, step_shapes):
        for name, texts in _texts(module).items():
            if name not in shapes_by_name:
                continue
            model = getattr(module, name)
            for field, words in texts.items():
                key = model.model_fields[field].alias or field
                shapes_by_name[name]["properties"][key]["description"] = " ".join(words.split())


def _texts(module: ModuleType) -> dict[str, dict[str, str]]:
    """Return the texts below the fields of the classes in *module*."""
    found: dict[str, dict[str, str]] = {}
    for shape in ast.parse(inspect.getsource(module)).body:
        if not isinstance(shape, ast.ClassDef):
            continue
        for field, below in zip(shape.body, shape.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                words = below.value if isinstance(below, ast.Expr) else None
                if isinstance(words, ast.Constant) and isinstance(words.value, str):
                    found.setdefault(shape.name, {})[field.target.id] = words.value
    return found


def _plain(node: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Return *node* without pydantic's titles, and with short forms of what may be null."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {
        key: {name: _plain(child) for name, child in value.items()}
        if key == "properties"
        else value
        if key in {"default", "enum", "required"}
        else _plain(value)
        for key, value in node.items()
        if key != "title" and not (key == "default" and (value is None or value in ({}, [])))
    }
    options = plain.get("anyOf", ())
    if len(options) == 2 and options[1] == {"type": "null"} and "type" in options[0]:
        del plain["anyOf"]
        types = options[0]["type"]
        types = types if isinstance(types, list) else [types]
        plain |= options[0] | {"type": [*types, "null"]}
        if "enum" in plain:
            plain["enum"] = [*plain["enum"], None]
    if plain.get("$ref") == "#/$defs/StepShape":
        plain["$ref"] = "#/$defs/Step"
    return plain


def _say_what_validators_check(parts: dict[str, Schema]) -> None:
    """Add what the shapes check by a function, or the stage before them."""
    for shape in ("RunShape", "PolicyGateShape"):
        _set(parts[shape], "with", _PARAMETERS)
    _set(parts["InputShape"], "schema", {"type": ["object", "boolean"]})
    _set(parts["InputShape"], "default", {})
    static = parts["ItemsShape"]["properties"]["static"]
    static["items"] = {}
    parts["ItemsShape"] |= {"minProperties": 1, "maxProperties": 1}
    for shape in ("MapShape", "LoopShape"):
        items = {"anyOf": [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/ItemsShape"}]}
        _set(parts[shape], "items", items)
    # To the compiler, a kind with nothing in it is a mistake and not a kind left out.
    for key, name in (("approval", "ApprovalGateShape"), ("policy", "PolicyGateShape")):
        _set(parts["GateShape"], key, {"$ref": f"#/$defs/{name}"})
    parts["GateShape"]["oneOf"] = [{"required": ["approval"]}, {"required": ["policy"]}]
    parts["ParallelShape"]["oneOf"] = [{"required": ["steps"]}, {"required": ["branches"]}]
    parts["Metadata"]["additionalProperties"] = True


def _set(shape: Schema, key: str, value: Schema) -> None:
    words = shape["properties"][key].get("description")
    shape["properties"][key] = value | ({"description": words} if words else {})


def _steps(step: Schema, parts: dict[str, Schema]) -> dict[str, Schema]:
    """Return the definitions of a step, of its nested form, and of its flat form by kind."""
    common = {key: value for key, value in step["properties"].items() if key in COMMON_KEYS}
    nested = dict(common)
    for key in _KIND_KEYS:
        name = "GateShape" if key == "gate" else _SHAPES[key]
        words = step["properties"][key]["description"]
        nested[key] = {"$ref": f"#/$defs/{name}", "description": words}
    flat = {f"Flat-{kind}": _flat(kind, common, parts[_SHAPES[kind]]) for kind in KINDS}
    return flat | {
        "Step": {
            "description": step["description"],
            "type": "object",
            "required": ["id"],
            "if": {"required": ["type"]},
            "then": {
                "properties": {"type": {"enum": list(KINDS)}},
                "allOf": [
                    {
                        "if": {"properties": {"type": {"const": kind}}},
                        "then": {"$ref": f"#/$defs/Flat-{kind}"},
                    }
                    for kind in KINDS
                ],
            },
            "else": {"$ref": "#/$defs/NestedStep"},
        },
        "NestedStep": {
            "description": "A step whose kind is a key: `run: {uses: ...}`.",
            "type": "object",
            "properties": nested,
            "required": ["id"],
            "oneOf": [{"required": [key]} for key in _KIND_KEYS],
            "additionalProperties": False,
        },
    }


def _flat(kind: str, common: dict[str, Schema], shape: Schema) -> Schema:
    """Return the flat form of *kind*, in which the keys of every step have precedence."""
    fields, required = dict(shape["properties"]), list(shape.get("required", ()))
    if kind == "gate.approval":  # the step has `id`, so the approval is called that
        fields["approval"] = fields["id"]
        required.append("approval")
    elif kind == "gate.policy":
        required.append("policy")
    named = {"const": kind, "description": f"The kind of the step. {shape['description']}"}
    return {
        "description": shape["description"],
        "type": "object",
        "properties": fields | {"type": named} | common,
        "required": list(dict.fromkeys(["id", "type", *required])),
        **({"oneOf": shape["oneOf"]} if "oneOf" in shape else {}),
        "additionalProperties": False,
    }
