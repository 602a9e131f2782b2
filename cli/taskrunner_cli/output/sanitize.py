"""Escapes every character that a terminal might obey, because packs and logs are untrusted text."""

import json
import re
from typing import Final

# Control sequences and commands of a terminal, such as colours and titles (ECMA-48, sections 5.3 to
# 5.6): those with parameters, those with a text up to a terminator, and the others.
_SEQUENCES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\n\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"
)


def sanitize_text(text: str) -> str:
    """Return *text* with control characters as hexadecimal escapes; tabs and line ends stay."""
    return "".join(
        character
        if character in "\t\n\u00a0" or character.isprintable()
        else f"\\x{ord(character):02x}"
        for character in text
    )


def sanitize_json(document: str) -> str:
    """Return the JSON text *document* with JSON's escapes for control characters.

    Python's writer escapes only those below U+0020. This adds the second set of control characters
    (C1), those that change the direction of text, and lone surrogates, which UTF-8 cannot encode.
    """
    return "".join(
        character if character == "\n" or character.isprintable() else json.dumps(character)[1:-1]
        for character in document
    )


def output_lines(output: str) -> list[str]:
    """Return the lines of a program's output, without colours and other commands of a terminal.

    A line that the program wrote over with a carriage return is as it was at last. Characters that
    are left of an incomplete sequence are escaped as `sanitize_text` does.
    """
    lines = _SEQUENCES.sub("", output).removesuffix("\n").split("\n")
    return [sanitize_text(line.rstrip("\r").rpartition("\r")[2]) for line in lines]
