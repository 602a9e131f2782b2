"""The tokens of an expression, as far as quotes, hyphenated names and bare numbers need them.

Text in quotes is one token, so that nothing in it is taken for a name, a number or a brace. A quote
that is never closed takes the rest of the text: otherwise the search would begin anew at each
escaped quote behind it, and take quadratic time.
"""

from __future__ import annotations

import re
from typing import Final

TOKENS: Final = re.compile(
    r"""(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`)|(?P<unclosed>["'`](?s:.*))"""
    r"""|(?P<hyphenated>[A-Za-z_]\w*-[\w-]*|(?<=steps\.)\d[\w-]*)|(?P<name>[A-Za-z_]\w*)|(?P<number>-?\d+(?:\.\d+)?)""",
    re.ASCII,
)


def with_hyphens_quoted(text: str) -> str:
    """Return *text* with quotes around each hyphenated name, as JMESPath wants it."""
    return TOKENS.sub(
        lambda token: f'"{token[0]}"' if token.lastgroup == "hyphenated" else token[0], text
    )


def without_quoted(text: str) -> str:
    """Return what is left of *text* without its quoted parts, names and numbers."""
    return TOKENS.sub("", text)


def without_braces(text: str) -> str:
    """Return the expression inside a pair of `{{ }}` around all of *text*, else *text* itself."""
    if text.startswith("{{") and closing_braces(text, 2) == len(text) - 2:
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
