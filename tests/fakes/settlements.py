"""Requests to settle runs, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskrunner.model.run import Run


@dataclass
class MemorySettlements:
    """Requests that nobody fulfils: the tenant, the run id and the error of each, in order."""

    requested: list[tuple[str, str, str]] = field(default_factory=list)

    def request(self, run: Run, error: str) -> None:
        self.requested.append((run.tenant, run.run_id, error))
