"""The canonical form of JSON and its digest, by RFC 8785 (JSON Canonicalization Scheme).

Every hash of a document in this service is this one: planHash, definitionHash, inputsDigest and
the digest of a request. A hash of bytes that are stored or sent as they are is not. Every limit on
the size of a value counts this form too, so that a value has one size everywhere.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

import rfc8785

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json

# Beyond it, integers are not JSON numbers.
_LARGEST_INTEGER: Final = 2**53 - 1
_FIRST_SURROGATE: Final = "\ud800"
_TEXT: Final = frozenset({str})
_SORTED: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")
)


def canonical_bytes(document: Json) -> bytes:
    """Return the canonical form of *document*, the same for every equal document.

    Where Python's own encoder writes the same bytes, it does, because it is ten times as fast as
    rfc8785, which took a quarter of the time of planning.

    Raises:
        rfc8785.CanonicalizationError: it has none.

    """
    if _is_plain(document):
        text = _SORTED.encode(document)
        # Python sorts by code points, and RFC 8785 by UTF-16 code units: the same in this case. It
        # refuses lone surrogates, too.
        if text.isascii() or max(text) < _FIRST_SURROGATE:
            return text.encode()
    try:
        return rfc8785.dumps(document)
    except UnicodeEncodeError as error:  # raised for a key only
        raise rfc8785.CanonicalizationError("a key contains a lone surrogate") from error


def _is_plain(document: Json) -> bool:
    """Return whether Python and RFC 8785 write every key and value of *document* alike.

    They do not agree on floating-point numbers, nor on types that are derived from JSON's own.
    """
    pending = [document]
    while pending:
        value = pending.pop()
        kind = type(value)
        if kind is dict:
            if not _TEXT.issuperset(map(type, value)):
                return False
            pending.extend(value.values())
        elif kind is list:
            pending.extend(value)
        elif kind is int:
            if not -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER:
                return False
        elif not (kind is str or value is None or kind is bool):
            return False
    return True


def canonical_text(document: Json) -> str:
    """Return the canonical form of *document* as text."""
    return canonical_bytes(document).decode()


def size_bytes(document: Json) -> int:
    """Return the length of the canonical form of *document*."""
    return len(canonical_bytes(document))


def digest(document: Json) -> str:
    """Return `sha256:` and the 64 hexadecimal digits of the canonical form's SHA-256."""
    return "sha256:" + hashlib.sha256(canonical_bytes(document)).hexdigest()
