"""Bundles and environments in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskrunner.executors.work import ExecutorFailure
from tests.fakes.atomic import atomic
from tests.fakes.executor_world import MemoryBundles, MemoryEnvironments

if TYPE_CHECKING:
    from taskrunner.executors.work import Bundle, Revision
    from taskrunner.model.run import Run
    from tests.fakes.runs import MemoryRuns


@dataclass
class SharedEnvironments(MemoryEnvironments):
    """Environments that several steps may deploy to, each until its run among *known* has ended."""

    known: MemoryRuns = field(kw_only=True)
    run: Run = field(kw_only=True)

    @atomic
    def promote(self, environment: str, bundle: Bundle) -> Revision:
        if (environment, bundle.digest) not in self.done and self._has_ended():
            raise ExecutorFailure("the run has ended, so nothing of it is deployed")
        return super().promote(environment, bundle)

    def _has_ended(self) -> bool:
        stored = self.known.stored.get((self.run.tenant, self.run.run_id))
        return stored is not None and stored.run.outcome is not None


@dataclass
class MemoryReleases:
    """A store of bundles and a history of environments for each tenant."""

    known: MemoryRuns
    stores: dict[str, MemoryBundles] = field(default_factory=dict)
    steps: dict[tuple[str, str, str, str], MemoryEnvironments] = field(default_factory=dict)
    tenants: dict[str, MemoryEnvironments] = field(default_factory=dict)

    def bundles(self, tenant: str) -> MemoryBundles:
        return self.stores.setdefault(tenant, MemoryBundles())

    def environments(self, run: Run, path: str) -> MemoryEnvironments:
        shared = self.tenants.setdefault(run.tenant, MemoryEnvironments())
        return self.steps.setdefault(
            (run.tenant, run.run_id, run.created_at, path),
            SharedEnvironments(history=shared.history, known=self.known, run=run),
        )
