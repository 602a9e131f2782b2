"""Escapes every character that a terminal might obey, because packs and logs are untrusted text."""

import json


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
