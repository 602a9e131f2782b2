"""The canonical form of JSON and its digest, by RFC 8785 (JSON Canonicalization Scheme).

Every hash of a document in this service is this one: planHash, definitionHash, inputsDigest and
the digest of a request. A hash of bytes that are stored or sent as they are is not.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import rfc8785

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json


def canonical_bytes(document: Json) -> bytes:
    """Return the canonical form of *document*, the same for every equal document."""
    return rfc8785.dumps(document)


def digest(document: Json) -> str:
    """Return `sha256:` and the 64 hexadecimal digits of the canonical form's SHA-256."""
    return "sha256:" + hashlib.sha256(canonical_bytes(document)).hexdigest()
