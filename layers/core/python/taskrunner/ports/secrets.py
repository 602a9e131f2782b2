"""The tenants' secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection


class Secrets(Protocol):
    """Secrets by tenant and name. Packs have the names alone."""

    def values(self, tenant: str, names: Collection[str]) -> dict[str, str]:
        """Return the values of that tenant's secrets, by name.

        Raises:
            SecretError: one is missing, denied, binary, empty or too short to be redacted.
            TryAgainError: the store is busy.
        """
        ...
