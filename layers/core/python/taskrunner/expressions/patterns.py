"""Patterns (regular expressions) whose time is linear in the text.

The engine is that of JSON Schema, so that `matches()` and the `pattern` of an input's schema mean
the same. It is imported at the first pattern: few packs have one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from taskrunner.expressions.errors import ExpressionError, quoted

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

    from taskrunner.model.json_types import JsonObject

    JsonSchema: TypeAlias = JsonObject | bool

MAX_BYTES: Final = 1024 * 1024  # of one compiled pattern
_MIN_BYTES: Final = 1024
_MAX_CHARACTERS: Final = 4096
_CACHED: Final = 256


class Pattern(NamedTuple):
    """A compiled pattern, and its size once compiled, rounded up to a power of two."""

    validator: Draft202012Validator
    size_bytes: int

    def matches(self, text: str) -> bool:
        """Return whether the pattern matches anywhere in *text*."""
        return self.validator.is_valid(text)


@lru_cache(_CACHED)
def compiled(pattern: str) -> Pattern:
    """Compile *pattern*.

    Raises:
        ExpressionError: it is not a pattern, or becomes larger than MAX_BYTES.
    """
    if len(pattern) > _MAX_CHARACTERS:
        raise ExpressionError(f"a pattern has at most {_MAX_CHARACTERS:,} characters")
    size_bytes = compiled_bytes(pattern)
    try:
        return Pattern(validator({"pattern": pattern}, size_bytes), size_bytes)
    except ValueError:
        raise ExpressionError(
            f"{quoted(pattern)} is not a supported pattern; a pattern has no look-around and no "
            "back references, and compiles to at most 1 MiB"
        ) from None


def compiled_bytes(pattern: str) -> int:
    """Return the size of *pattern* once compiled, rounded up to a power of two.

    It is MAX_BYTES for a pattern that is larger, and for a text that is not a pattern.
    """
    size_bytes = _MIN_BYTES
    while size_bytes < MAX_BYTES:
        try:
            validator({"pattern": pattern}, size_bytes)
        except ValueError:
            size_bytes *= 2
        else:
            break
    return size_bytes


def validator(schema: JsonSchema, pattern_bytes: int) -> Draft202012Validator:
    """Return the validator of *schema*, each of whose patterns compiles to *pattern_bytes* at most.

    While it searches a text, a pattern may remember as much again.

    Raises:
        ValueError: *schema* is not valid, or a pattern is larger.
    """
    import jsonschema_rs  # noqa: PLC0415 - see the module

    return jsonschema_rs.Draft202012Validator(
        schema,
        pattern_options=jsonschema_rs.RegexOptions(
            size_limit=pattern_bytes, dfa_size_limit=pattern_bytes
        ),
        offline=True,
    )
