"""Secrets in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskrunner.errors import SecretError
from taskrunner.model.redaction import usable

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass
class MemorySecrets:
    """Secrets by tenant and name. *asked* has the names that were looked up."""

    stored: dict[tuple[str, str], str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def values(self, tenant: str, names: Collection[str]) -> dict[str, str]:
        self.asked += [(tenant, name) for name in names]
        for name in names:
            if (tenant, name) not in self.stored:
                raise SecretError(f"there is no secret '{name}'")
        return {name: usable(name, self.stored[tenant, name]) for name in names}
