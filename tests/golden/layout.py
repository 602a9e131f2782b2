"""JSON in few lines: a value that fits in one line is written in one line."""

from __future__ import annotations

import json
import textwrap
from typing import Any

_WIDTH = 100
_INDENT = "  "


def laid_out(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return *value* as JSON text that ends with a newline, in lines of about 100 characters."""
    return _text(value, "", "") + "\n"


def _text(value: Any, indent: str, before: str) -> str:  # noqa: ANN401 - any JSON
    """Return *value* behind the text *before* of its line; further lines begin with *indent*."""
    one_line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(before) + len(one_line) <= _WIDTH or not value:
        return before + one_line
    if isinstance(value, dict):
        items = [_text(value[key], indent + _INDENT, _key(key)) for key in value]
        return _block(before + "{", items, "}", indent)
    if isinstance(value, list) and all(isinstance(item, int | float) for item in value):
        inner = indent + _INDENT
        lines = textwrap.wrap(one_line[1:-1], _WIDTH - len(inner))
        return "\n".join([before + "[", *(inner + line for line in lines), indent + "]"])
    if isinstance(value, list):
        items = [_text(item, indent + _INDENT, "") for item in value]
        return _block(before + "[", items, "]", indent)
    return before + one_line


def _key(name: str) -> str:
    return json.dumps(name, ensure_ascii=False) + ": "


def _block(opening: str, items: list[str], closing: str, indent: str) -> str:
    inner = f",\n{indent}{_INDENT}".join(items)
    return f"{opening}\n{indent}{_INDENT}{inner}\n{indent}{closing}"
