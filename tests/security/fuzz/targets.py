"""The targets of fuzzing: bytes in, and a plan, a value or an error in an author's words out.

Anything else that a target raises is a bug of the compiler, and so is whatever takes long.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from taskrunner.compiler.driver import compile_pack
from taskrunner.compiler.manifest import source
from taskrunner.errors import InvalidPackError
from taskrunner.expressions import ExpressionError, templates

if TYPE_CHECKING:
    from collections.abc import Callable

CONTEXT: Final[dict[str, Any]] = {
    "inputs": {"a": [3, 1, 2], "t": "text", "o": {"k": [None, True, {"x": 1.5}], "-": ""}, "n": 7},
    "steps": {"one": {"outputs": {"list": [{"x": n, "y": f"{n}"} for n in range(20)]}}},
    "item": ["a", "b"],
    "run": {"id": "run-7"},
}


_PACK: Final = """\
apiVersion: stellaops.io/pack.v1
kind: TaskPack
metadata: {name: a, version: 1.0.0}
spec:
  inputs: %s
  steps: [{id: one, run: {uses: 'builtin:noop', with: {a: '{{ inputs.a }}'}}}]
"""
_ODD: Final = {
    "@nan": math.nan,
    "@infinity": math.inf,
    "@big": 2**53,
    "@lone": "\ud800",
}


def pack(data: bytes) -> None:
    """The text of a manifest, through all stages of the compiler."""
    _compiled(data.decode(errors="replace"), {})


def _compiled(text: str, inputs: dict[str, Any]) -> None:
    """Compile; the problems fit into an answer, and the plan is the same each time."""
    try:
        first = compile_pack(text, inputs).plan_hash
    except InvalidPackError as error:
        problems = [(problem.path, problem.message) for problem in error.diagnostics]
        assert 0 < len(problems) <= 101
        assert all("\n" not in part for problem in problems for part in problem)
        assert all(len(part) <= 1010 for problem in problems for part in problem)
        json.dumps(problems, ensure_ascii=False).encode(errors="replace")
    else:
        assert compile_pack(text, inputs).plan_hash == first


def expression(data: bytes) -> None:
    """A template with its expressions, parsed and evaluated on a fixed context."""
    text = data.decode(errors="replace")
    for written in (text, "{{" + text + "}}"):
        try:
            template = templates.split(written)
            value = template.render(CONTEXT)
        except ExpressionError:
            pass
        else:
            shown = json.dumps(value, allow_nan=False)
            assert json.dumps(template.render(CONTEXT)) == shown


def schema(data: bytes) -> None:
    """The schema of an input and a value for it, as its default and as what a run is given.

    *data* is a YAML mapping of `kind`, the input's type, `schema` and `value`.
    """
    try:
        read = source.read(data.decode(errors="replace")).value
    except InvalidPackError:
        return
    if not isinstance(read, dict):
        return
    value = _as_requested(read.get("value"))
    declared = {"name": "a", "type": read.get("kind"), "schema": read.get("schema")}
    for default in ({}, {"default": read.get("value")}):
        text = _PACK % json.dumps([declared | default], ensure_ascii=False)
        _compiled(text, {"a": value})


def _as_requested(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """*value* with what a request's JSON may have, and YAML not, in the place of its name."""
    if isinstance(value, dict):
        return {str(_as_requested(key)): _as_requested(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_as_requested(child) for child in value]
    return _ODD.get(value, value) if isinstance(value, str) else value


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "pack": pack,
    "expression": expression,
    "schema": schema,
}
