"""The key that signs statements about runs, and the store of what it signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from taskrunner.model.run import Run


class Signed(NamedTuple):
    """A signed statement in the bytes that are stored, and the id of the key that signed it."""

    bundle: bytes
    key_id: str


class Evidence(Protocol):
    """Signed statements."""

    def sign(self, statement: bytes) -> Signed:
        """Sign a statement in its canonical bytes."""
        ...

    def store(self, run: Run, bundle: bytes) -> str:
        """Store a bundle under its own digest, so that it replaces no other; return its path."""
        ...
