"""The key that signs statements about runs, and the store of what it signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from taskrunner.model.run import Run


class Signed(NamedTuple):
    """A signed statement in the bytes that are stored, and the key that signed it.

    *public_key* is in DER (SubjectPublicKeyInfo), and *key_id* its SHA-256 in hex.
    """

    bundle: bytes
    key_id: str
    public_key: bytes


class Evidence(Protocol):
    """Signed statements."""

    def sign(self, statement: bytes) -> Signed:
        """Sign a statement in its canonical bytes."""
        ...

    def store(self, run: Run, bundle: bytes) -> str:
        """Store a bundle under its own digest, so that it replaces no other; return its path."""
        ...
