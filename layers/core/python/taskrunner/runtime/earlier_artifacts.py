"""The artifacts of earlier steps, and the bundle built last, as a step may read them.

Only steps that have certainly ended are read, and in the order of the plan. Steps beside
this one, such as another item of its map, are not read, whether or not they have ended. So the same
plan gives the same bundles and deployments, whatever ran first.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from taskrunner.executors.work import BUNDLE_FILE
from taskrunner.model import step_path
from taskrunner.model.artifact_names import distinct_names, qualified_name
from taskrunner.model.plan import RunStep
from taskrunner.model.plan_order import PlanOrder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from taskrunner.executors.work import Bundle
    from taskrunner.model.artifact import Artifact
    from taskrunner.ports.releases import BundleStore
    from taskrunner.runtime.running_step import RunningStep


class EarlierArtifacts:
    """`executors.work.Artifacts` for one attempt of *running*, read once and when needed."""

    def __init__(self, running: RunningStep) -> None:
        """Read nothing yet."""
        self._running = running

    def matching(self, name: str) -> Sequence[str]:
        """See the protocol."""
        return [
            distinct
            for distinct, artifact in self.by_name.items()
            if name in {artifact.name, distinct, qualified_name(artifact)}
        ]

    def fetch(self, name: str, into: Path) -> bool:
        """See the protocol."""
        artifact = self.by_name.get(name)
        run, artifacts = self._running.snapshot.run, self._running.world.artifacts
        return artifact is not None and artifacts.fetch(run.tenant, artifact, into)

    @cached_property
    def by_name(self) -> Mapping[str, Artifact]:
        """The stored artifacts of earlier steps by distinct name, in the order of the plan."""
        running, run = self._running, self._running.snapshot.run
        order = PlanOrder(running.plan)
        earlier = [
            artifact
            for artifact in running.world.artifacts.list(run.tenant, run.run_id)
            if artifact.stored_path is not None
            and artifact.step_path is not None
            and order.precedes(artifact.step_path, running.path)
        ]
        return distinct_names(earlier, order)


class EarlierBundles:
    """`executors.work.Bundles`: *store*, and the bundle that an earlier step built last."""

    def __init__(
        self, store: BundleStore, artifacts: EarlierArtifacts, running: RunningStep
    ) -> None:
        """Read nothing yet. A build's bundle is found among *artifacts* by the file it leaves."""
        self._store = store
        self._artifacts = artifacts
        self._plan = running.plan

    def put(self, file: Path) -> Bundle:
        """See the protocol."""
        return self._store.put(file)

    def find(self, reference: str) -> Bundle | None:
        """See the protocol."""
        return self._store.find(reference)

    def last_of_run(self) -> Bundle | None:
        """See the protocol."""
        built = list(filter(self._is_bundle, self._artifacts.by_name.values()))
        return self._store.find(f"sha256:{built[-1].sha256}") if built else None

    def _is_bundle(self, artifact: Artifact) -> bool:
        step = self._plan.step(step_path.parse(str(artifact.step_path)).step_id)
        is_build = isinstance(step, RunStep) and step.uses == "builtin:build"
        return is_build and artifact.source_path == f"/output/{BUNDLE_FILE}"
