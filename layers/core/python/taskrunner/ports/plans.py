"""Plans and manifests by tenant and content hash: written once; each step reads its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan


class Plans(Protocol):
    """The plans of all runs."""

    def put(self, tenant: str, plan_hash: str, document: JsonObject, longest_s: int) -> None:
        """Store a plan document. The same hash is the same document, so it is stored once.

        It is kept for as long as a run of it, which takes at most *longest_s* seconds.
        """
        ...

    def put_manifest(self, tenant: str, digest: str, text: str, longest_s: int) -> None:
        """Store the text of a manifest under its digest, for as long as a plan."""
        ...

    def manifest(self, tenant: str, digest: str) -> str:
        """Return the manifest of that digest.

        Raises:
            NotFoundError: as for `get`.
        """
        ...

    def get(self, tenant: str, plan_hash: str) -> Plan:
        """Return the plan of that hash.

        Raises:
            NotFoundError: retention has deleted it, and with it the run: what the table still has
                of that run is about to be deleted too.
        """
        ...

    def document(self, tenant: str, plan_hash: str) -> JsonObject:
        """Return the same plan as the document that was stored.

        Raises:
            NotFoundError: as for `get`.
        """
        ...
