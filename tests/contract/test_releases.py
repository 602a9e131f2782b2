"""The port Releases: bundles by their content, and the history of environments."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from taskrunner.executors.work import Bundle, ExecutorFailure, Revision
from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus
from tests.contract.samples import CREATED, a_run, an_entry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.ports import Ports


def bundle_of(text: str) -> Bundle:
    digits = sha256(text.encode()).hexdigest()
    return Bundle(f"bundles/sha256-{digits}.zip", f"sha256:{digits}", len(text))


def put(world: Ports, text: str, folder: Path) -> Bundle:
    """Store a bundle with this content."""
    (folder / "bundle.zip").write_text(text)
    return world.releases.bundles("acme").put(folder / "bundle.zip")


class TestBundles:
    def test_a_bundle_is_named_by_its_content(self, world: Ports, tmp_path: Path) -> None:
        assert put(world, "zip", tmp_path) == bundle_of("zip")

    @pytest.mark.parametrize("key", ["reference", "digest"])
    def test_a_bundle_is_found_by_its_tenant_and_no_other(
        self, world: Ports, tmp_path: Path, key: str
    ) -> None:
        stored = put(world, "found", tmp_path)

        name = getattr(stored, key)

        assert world.releases.bundles("acme").find(name) == stored
        assert world.releases.bundles("globex").find(name) is None

    @pytest.mark.parametrize("name", ["", "bundles/sha256-12.zip", "sha256:" + "0" * 64])
    def test_a_bundle_that_was_never_stored_is_not_found(self, world: Ports, name: str) -> None:
        assert world.releases.bundles("acme").find(name) is None


class TestEnvironments:
    def test_revisions_count_from_one_and_name_the_previous_digest(self, world: Ports) -> None:
        old, new = bundle_of("old"), bundle_of("new")

        first = world.releases.environments(a_run("run-1"), "ship").promote("count", old)
        second = world.releases.environments(a_run("run-2"), "ship").promote("count", new)

        assert first == Revision(1, old.digest, None)
        assert second == Revision(2, new.digest, old.digest)

    def test_a_repeated_step_is_one_revision(self, world: Ports) -> None:
        step = world.releases.environments(a_run("run-1"), "ship")

        first, again = (step.promote("twice", bundle_of("one")) for _ in range(2))

        assert first == again

    def test_a_repeated_step_does_not_undo_later_deployments(self, world: Ports) -> None:
        ours = world.releases.environments(a_run("run-1"), "ship")
        first = ours.promote("since", bundle_of("one"))
        theirs = world.releases.environments(a_run("run-2"), "ship")
        theirs.promote("since", bundle_of("two"))

        again = ours.promote("since", bundle_of("one"))
        third = world.releases.environments(a_run("run-3"), "ship").promote(
            "since", bundle_of("three")
        )

        assert again == first
        assert third == Revision(3, bundle_of("three").digest, bundle_of("two").digest)

    def test_a_run_that_reuses_an_id_deploys_a_revision_of_its_own(self, world: Ports) -> None:
        """An id is free again after retention, but an environment's history is kept for good."""
        before = a_run("run-1", created_at="2025-12-06T12:00:00.000Z")
        world.releases.environments(before, "ship").promote("again", bundle_of("one"))
        since = world.releases.environments(a_run("run-2"), "ship")
        since.promote("again", bundle_of("two"))
        run = a_run("run-1", created_at="2026-01-06T12:00:00.000Z")

        third = world.releases.environments(run, "ship").promote("again", bundle_of("one"))

        assert third == Revision(3, bundle_of("one").digest, bundle_of("two").digest)

    def test_a_retry_with_another_bundle_deploys_it(self, world: Ports) -> None:
        step = world.releases.environments(a_run("run-1"), "ship")
        step.promote("retry", bundle_of("one"))

        second = step.promote("retry", bundle_of("two"))

        assert second == Revision(2, bundle_of("two").digest, bundle_of("one").digest)

    def test_environments_and_tenants_are_separate(self, world: Ports) -> None:
        world.releases.environments(a_run("run-1"), "ship").promote("apart", bundle_of("one"))

        other_tenant = world.releases.environments(a_run("run-1", tenant="globex"), "ship")
        other_place = world.releases.environments(a_run("run-1"), "ship")

        assert other_tenant.promote("apart", bundle_of("one")).number == 1
        assert other_place.promote("apart-too", bundle_of("one")).number == 1

    def test_a_run_that_has_ended_deploys_nothing(self, world: Ports) -> None:
        """A step may be working when its run is cancelled."""
        run = a_run()
        world.runs.create(run, [CREATED])
        step = world.releases.environments(run, "ship")
        other = world.releases.environments(run, "other")
        first = step.promote("fenced", bundle_of("one"))
        cancelled = [an_entry("run.cancelled", Event.RUN_CANCELLED)]

        world.runs.end(world.runs.snapshot("acme", run.run_id), RunStatus.CANCELLED, cancelled)

        with pytest.raises(ExecutorFailure, match="the run has ended"):
            other.promote("fenced", bundle_of("two"))
        assert (
            step.promote("fenced", bundle_of("one")) == first
        )  # it was deployed before the run ended
        later = world.releases.environments(a_run(), "ship")
        assert later.promote("fenced", bundle_of("three")).previous_digest == first.digest

    def test_simultaneous_deployments_get_consecutive_revisions(self, world: Ports) -> None:
        def deploy(number: int) -> Revision:
            step = world.releases.environments(a_run(f"run-{number}"), "ship")
            return step.promote("race", bundle_of(f"bundle {number}"))

        with ThreadPoolExecutor(3) as pool:
            deployed = list(pool.map(deploy, range(3)))

        revisions = sorted(deployed, key=lambda revision: revision.number)
        assert [revision.number for revision in revisions] == [1, 2, 3]
        assert [revision.previous_digest for revision in revisions[1:]] == [
            revision.digest for revision in revisions[:-1]
        ]
