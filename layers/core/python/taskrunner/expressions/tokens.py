"""The tokens of an expression, as far as quotes, hyphenated names and bare numbers need them.

Text in quotes is one token, so that nothing in it is taken for a name, a number or a brace. A quote
that is never closed takes the rest of the text: otherwise the search would begin anew at each
escaped quote after it, and take quadratic time.
"""

from __future__ import annotations

import json
import re
from typing import Final

# The name that stands for `$` in a syntax tree. No field is called like this.
ROOT: Final = "\0$"

TOKENS: Final = re.compile(
    r"""(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`)|(?P<unclosed>["'`](?s:.*))"""
    r"""|(?P<hyphenated>[A-Za-z_]\w*-[\w-]*|(?<=steps\.)\d[\w-]*)|(?P<name>[A-Za-z_]\w*)|(?P<number>-?\d+(?:\.\d+)?)"""
    r"""|(?P<root>\$)""",
    re.ASCII,
)

_DIGIT_NAME: Final = re.compile(r"\d+[A-Za-z_][\w-]*", re.ASCII)


def as_jmespath(text: str) -> str:
    """Return *text* as JMESPath takes it: hyphenated names in quotes, and `$` as the name ROOT."""
    return TOKENS.sub(_as_jmespath, text)


def _as_jmespath(token: re.Match[str]) -> str:
    match token.lastgroup:
        case "hyphenated":
            return f'"{token[0]}"'
        case "root":
            return json.dumps(ROOT)
        case _:
            return token[0]


def digit_name(text: str, start: int) -> str | None:
    """Return the name with a digit first that begins at *start* of *text*; None if none does."""
    match = _DIGIT_NAME.match(text, start)
    return None if match is None else match[0]


def without_quoted(text: str) -> str:
    """Return what is left of *text* without its quoted parts, names and numbers."""
    return TOKENS.sub("", text)


def is_whole_expression(text: str) -> bool:
    """Return whether *text* is one pair of `{{ }}` and what it holds, and nothing else."""
    return text.startswith("{{") and closing_braces(text, 2) == len(text) - 2


def without_braces(text: str) -> str:
    """Return the expression inside a pair of `{{ }}` around all of *text*, else *text* itself."""
    if is_whole_expression(text):
        return text[2:-2].strip()
    return text


def closing_braces(text: str, start: int) -> int:
    """Return where the `}}` is that closes an expression which begins at *start*; -1 if nowhere.

    Braces in quotes and those of a multi-select hash close nothing.
    """
    depth = 0
    position = start
    while position < len(text):
        if text[position] in "\"'`":
            quoted = TOKENS.match(text, position)
            if quoted is None or quoted.lastgroup != "quoted":
                return -1
            position = quoted.end()
            continue
        if depth == 0 and text.startswith("}}", position):
            return position
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        position += 1
    return -1
