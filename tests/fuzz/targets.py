"""What is fuzzed: bytes in, and either a plan, a value or an error in an author's words out.

Anything else that a target raises is a bug of the compiler, and so is whatever takes long.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from taskrunner.compiler import expressions
from taskrunner.compiler.compiled import compile_pack
from taskrunner.compiler.expressions import ExpressionError
from taskrunner.errors import InvalidPackError

if TYPE_CHECKING:
    from collections.abc import Callable

CONTEXT: Final[dict[str, Any]] = {
    "inputs": {"a": [3, 1, 2], "t": "text", "o": {"k": [None, True, {"x": 1.5}], "-": ""}, "n": 7},
    "steps": {"one": {"outputs": {"list": [{"x": n, "y": f"{n}"} for n in range(20)]}}},
    "item": ["a", "b"],
    "run": {"id": "run-7"},
}


def pack(data: bytes) -> None:
    """The text of a manifest, through all stages of the compiler."""
    text = data.decode(errors="replace")
    try:
        first = compile_pack(text, {}).plan_hash
    except InvalidPackError as error:
        told = [(one.path, one.message) for one in error.diagnostics]
        assert 0 < len(told) <= 101
        assert all("\n" not in part for one in told for part in one)
        json.dumps(told, ensure_ascii=False).encode(errors="replace")
    else:
        assert compile_pack(text, {}).plan_hash == first


def expression(data: bytes) -> None:
    """A template with its expressions, parsed and evaluated on a fixed context."""
    text = data.decode(errors="replace")
    for one in (text, "{{" + text + "}}"):
        try:
            pieces = expressions.template(one)
            expressions.references(pieces)
            value = expressions.render(pieces, CONTEXT)
        except ExpressionError:
            pass
        else:
            shown = json.dumps(value, allow_nan=False)
            assert json.dumps(expressions.render(pieces, CONTEXT)) == shown


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {"pack": pack, "expression": expression}
