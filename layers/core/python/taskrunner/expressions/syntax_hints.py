"""The forms that authors know from other languages, and what to write instead of them."""

from __future__ import annotations

import json
import re
from typing import Final

_NO_ARITHMETIC: Final = "; an expression has no arithmetic"
_SIGNS: Final = {
    "=": "; to compare, write ==",
    "and": "; write &&",
    "or": "; write ||",
    "not": "; write !",
    "+": _NO_ARITHMETIC,
    "-": _NO_ARITHMETIC,
    "/": _NO_ARITHMETIC,
    "%": _NO_ARITHMETIC,
}
# Parts without brackets are shown as their author wrote them. No pattern looks at a part twice: a
# hostile expression has 4,096 characters.
_CHOICE: Final = re.compile(r"([^?:()\[\]{}|]+)\?([^?:()\[\]{}|]+):([^?:()\[\]{}|]+)")
_NAMES: Final = r"(?<![\w.$-])([\w.$-]+)"
_MEMBERSHIP: Final = re.compile(rf"{_NAMES}\s+(not\s+)?in\s+([\w.$-]+|\[[^\[\]]*\])", re.ASCII)
_TEXT: Final = re.compile(r"'[^']+'")
_NAME: Final = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)


def hint(unexpected: str, text: str) -> str:
    """Return what to write instead of the *unexpected* token of the expression *text*.

    It begins with a semicolon. It is empty if nothing is known of the mistake.
    """
    if unexpected == "?":
        return _choice(text)
    if unexpected == "in" or (unexpected == "not" and _MEMBERSHIP.search(text)):
        return _membership(text)
    return _SIGNS.get(unexpected) or _field(unexpected, text)


def _choice(text: str) -> str:
    match = _CHOICE.fullmatch(text)
    condition, then, otherwise = (
        ("condition", "a", "b") if match is None else (part.strip() for part in match.groups())
    )
    caveat = f", which takes {otherwise} also when {then} is false, null or empty"
    if _TEXT.fullmatch(then):
        caveat = ""
    return f"; there is no '? :': write {condition} && {then} || {otherwise}{caveat}"


def _membership(text: str) -> str:
    match = _MEMBERSHIP.search(text)
    if match is None:
        return "; write contains(list, value)"
    value, negation, values = match.groups()
    return f"; write {'!' if negation else ''}contains({values}, {value})"


def _field(name: str, text: str) -> str:
    """Return how to read the field *name*, if *text* has it in brackets."""
    match = re.search(rf"{_NAMES}\[\s*(['\"]?){re.escape(name)}\2\s*\]", text)
    if match is None:
        return ""
    field = name if _NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)
    return f"; a field is read with a dot: write {match[1]}.{field}"
