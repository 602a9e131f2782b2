"""Functions of the pack language that work on text, beside those of JMESPath.

jmespath-community 1.1.3 has some of them, but installs itself as `jmespath`, over the package that
botocore imports. So these are our own, over the library's registry.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from jmespath import functions

from taskrunner.expressions import patterns
from taskrunner.expressions.errors import ExpressionError
from taskrunner.model.json_types import normal, read, too_deep, unusable

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json

_TEXT: Final[Any] = {"types": ["string"]}
# Unicode's White_Space property. Python's own set also has control characters.
_WHITE_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


class TextFunctions(functions.Functions):  # type: ignore[misc]  # the library is untyped
    """split, replace, lower, upper, trim, matches, and the encodings of text."""

    @functions.signature(_TEXT, _TEXT)  # type: ignore[untyped-decorator]
    def _func_split(self, text: str, separator: str) -> list[str]:
        _check_not_empty("split", separator, "separator")
        return text.split(separator)

    @functions.signature(_TEXT, _TEXT, _TEXT)  # type: ignore[untyped-decorator]
    def _func_replace(self, text: str, sought: str, replacement: str) -> str:
        _check_not_empty("replace", sought, "text to replace")
        return text.replace(sought, replacement)

    @functions.signature(_TEXT)  # type: ignore[untyped-decorator]
    def _func_lower(self, text: str) -> str:
        return text.lower()

    @functions.signature(_TEXT)  # type: ignore[untyped-decorator]
    def _func_upper(self, text: str) -> str:
        return text.upper()

    @functions.signature(_TEXT)  # type: ignore[untyped-decorator]
    def _func_trim(self, text: str) -> str:
        return text.strip(_WHITE_SPACE)

    @functions.signature(_TEXT, _TEXT)  # type: ignore[untyped-decorator]
    def _func_matches(self, text: str, pattern: str) -> bool:
        """Return whether *pattern* matches anywhere in *text*, as a `pattern` of a schema does."""
        return patterns.compiled(pattern).matches(text)

    @functions.signature(_TEXT)  # type: ignore[untyped-decorator]
    def _func_url_encode(self, text: str) -> str:
        """Percent-encode all but the unreserved characters of RFC 3986."""
        return quote(text, safe="")

    @functions.signature(_TEXT)  # type: ignore[untyped-decorator]
    def _func_base64_encode(self, text: str) -> str:
        """Encode the UTF-8 of *text* in the standard alphabet (RFC 4648, section 4)."""
        return base64.b64encode(text.encode()).decode()

    @functions.signature(_TEXT)  # type: ignore[untyped-decorator]
    def _func_base64_decode(self, text: str) -> str:
        try:
            return base64.b64decode(text, validate=True).decode()
        except UnicodeDecodeError:
            problem = "base64_decode() was given data that is not text in UTF-8"
        except (binascii.Error, ValueError):
            problem = (
                "base64_decode() was given a text that is not base64 (RFC 4648, section 4, with "
                "padding and without line breaks)"
            )
        raise ExpressionError(problem)

    @functions.signature(_TEXT)  # type: ignore[untyped-decorator]
    def _func_parse_json(self, text: str) -> Json:
        """Return the value that *text* writes in JSON (RFC 8259), with unique members."""
        try:
            value = read(text)
            problem = too_deep(value) or next((reason for _, reason in unusable(value)), None)
        except RecursionError:
            problem = "it is nested too deep"
        except ValueError:
            problem = "its syntax is wrong, or an object has a member twice"
        if problem is not None:
            raise ExpressionError(f"parse_json() was given a text that is not JSON: {problem}")
        return normal(value)


def _check_not_empty(function: str, text: str, role: str) -> None:
    if not text:
        raise ExpressionError(f"{function}() needs a {role} that is not empty")
