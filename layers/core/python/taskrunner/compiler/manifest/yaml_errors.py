"""Syntax errors of YAML in an author's words, instead of the parser's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from taskrunner.expressions.tokens import closing_braces
from taskrunner.model.wording import shortened

if TYPE_CHECKING:
    import yaml

_MAX_SHOWN: Final = 200
_ENDS_OF_VALUES: Final = ("", "#", ",", "]", "}")
_LINE_BREAK: Final = re.compile(r"\r\n|\n|\r")

# libyaml's texts, and words for them that an author knows. Other texts are shown as they are.
_PLACES: Final = {
    "while scanning for the next token": "",
    "while parsing a block mapping": "in a mapping",
    "while parsing a block collection": "in a list",
    "while parsing a flow mapping": "in a mapping in braces",
    "while parsing a flow sequence": "in a list in brackets",
    "while parsing a block node": "",
    "while parsing a flow node": "",
    "while scanning an alias": "in an alias",
    "while scanning an anchor": "in an anchor",
    "while scanning a simple key": "",
    "while scanning a quoted scalar": "in a quoted text",
    "while scanning a tag": "",
    "while parsing a quoted scalar": "in a quoted text",
}
_PROBLEMS: Final = {
    "found character that cannot start any token": (
        "a value cannot begin with this character; indent with spaces, not tabs, and quote text "
        "that begins with a sign like @ or %"
    ),
    "mapping values are not allowed in this context": (
        "a ':' is not expected here; quote text that contains one, and check the indentation"
    ),
    "could not find expected ':'": "a ':' is missing after a key",
    "did not find expected key": "a key is expected here; check the indentation",
    "did not find expected '-' indicator": "a '-' is expected here; check the indentation",
    "did not find expected ',' or ']'": "a ',' or ']' is missing",
    "did not find expected ',' or '}'": "a ',' or '}' is missing",
    "did not find expected node content": "a value is expected here",
    "did not find expected alphabetic or numeric character": (
        "a name is expected here; quote text that begins with * or &"
    ),
    "did not find expected whitespace or line break": (
        "an unquoted '!' begins a YAML tag; put quotes around an expression that begins with '!'"
    ),
    "found unexpected end of stream": "the quote is never closed",
    "found unknown escape character": "an escape is unknown; write \\\\ for a backslash",
}
# Signs that an expression has behind its '!', and a tag that is meant as one has not.
_SIGNS_OF_EXPRESSIONS: Final = frozenset(".([{'\"`@|&")
_DOTTED_NAME: Final = re.compile(r"[\w-]+(\.[\w-]+)+")
_OPERATORS: Final = ("==", "!=", "<", ">", ")")


def reason(error: yaml.MarkedYAMLError) -> str:
    """Return what is wrong, and how to fix it where that can be said."""
    place = _PLACES.get(error.context or "", error.context)
    problem = _PROBLEMS.get(error.problem or "", error.problem)
    return ", ".join(part for part in (place, problem) if part)


def refused_tag(tag: str, value: str) -> str:
    """Return why *tag*, which stands before the text *value*, is refused.

    `!inputs.x` is meant as an expression. Without its '!' it would say the opposite.
    """
    is_local = tag.startswith("!") and not tag.startswith("!!")
    if is_local and (
        not value or value.startswith(_OPERATORS) or _SIGNS_OF_EXPRESSIONS.intersection(tag)
    ):
        # In an expression, '!' negates no more than the first name behind it.
        negation = f"!({tag[1:]})" if _DOTTED_NAME.fullmatch(tag, 1) else tag
        meant = quoted(shortened(f"{negation} {value}".strip(), _MAX_SHOWN))
        return f"an unquoted '!' begins a YAML tag; put quotes around the expression: {meant}"
    return f"the tag {tag} is not allowed; write the value without it"


def idle_tag(value: str) -> str:
    """Return why a '!' alone is refused before *value*, which is text without it too.

    `! inputs.x` is meant as an expression. Before `12` a '!' makes text of a number.
    """
    negated = f"!{value}" if value.startswith("(") else f"!({value})"
    meant = quoted(shortened(negated, _MAX_SHOWN))
    return (
        f"an unquoted '!' begins a YAML tag and is lost; put quotes around the expression: {meant}"
    )


def refused_key(manifest: str, event: yaml.Event) -> str:
    """Return why a list or a mapping, which begins with *event*, cannot be a key.

    `{{ inputs.x }}` without quotes is one: a mapping that is the key of a mapping.
    """
    assert event.start_mark is not None  # noqa: S101 - every event of a text has one
    lines = _LINE_BREAK.split(manifest)
    line_text, column = lines[event.start_mark.line], event.start_mark.column - 1
    before, rest = line_text[:column], line_text[column:]
    if not rest.startswith("{{"):
        return "a key must be text, not a list or a mapping"
    end = closing_braces(rest, len("{{"))
    template = rest[: end + len("}}")] if end > 0 else "{{ ... }}"
    if before.rstrip().endswith("!"):
        template = f"{{{{ !({template[2:-2].strip()}) }}}}"
    if end > 0 and rest[end + len("}}") :].lstrip()[:1] not in _ENDS_OF_VALUES:
        template += "..."
    example = quoted(shortened(template, _MAX_SHOWN))
    return f"an unquoted '{{{{' begins a YAML mapping; put quotes around the value: {example}"


def quoted(text: str) -> str:
    """Return *text*, one line of it, as YAML writes it in quotes."""
    if '"' in text or "\\" in text:
        return "'" + text.replace("'", "''") + "'"
    return f'"{text}"'


def line(error: yaml.MarkedYAMLError) -> int | None:
    """Return the line of the error, counted from 1; None when the parser does not say."""
    mark = error.problem_mark or error.context_mark
    return None if mark is None else mark.line + 1
