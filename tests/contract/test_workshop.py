"""The port Workshop: bundles by their content, and environments that remember who deployed."""

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

    from taskrunner.model.run import Run
    from tests.contract.ports import Ports


def a_bundle(text: str) -> Bundle:
    digits = sha256(text.encode()).hexdigest()
    return Bundle(f"bundles/sha256-{digits}.zip", f"sha256:{digits}", len(text))


def put(world: Ports, text: str, folder: Path, run: Run | None = None) -> Bundle:
    """What becomes of *text* in a file of a step of *run*."""
    (folder / "bundle.zip").write_text(text)
    return world.workshop.bundles(run or a_run()).put(folder / "bundle.zip")


class TestBundles:
    def test_a_bundle_is_named_by_its_content(self, world: Ports, tmp_path: Path) -> None:
        assert put(world, "zip", tmp_path) == a_bundle("zip")

    @pytest.mark.parametrize("by", ["reference", "digest"])
    def test_it_is_found_by_every_run_of_its_tenant_and_no_other(
        self, world: Ports, tmp_path: Path, by: str
    ) -> None:
        stored = put(world, "found", tmp_path)

        name = getattr(stored, by)

        assert world.workshop.bundles(a_run()).find(name) == stored
        assert world.workshop.bundles(a_run(tenant="globex")).find(name) is None

    @pytest.mark.parametrize("name", ["", "bundles/sha256-12.zip", "sha256:" + "0" * 64])
    def test_what_was_never_put_is_not_found(self, world: Ports, name: str) -> None:
        assert world.workshop.bundles(a_run()).find(name) is None

    def test_a_run_knows_the_bundle_that_it_put_last(self, world: Ports, tmp_path: Path) -> None:
        run = a_run()
        assert world.workshop.bundles(run).last_of_run() is None

        put(world, "one", tmp_path, run)
        last = put(world, "two", tmp_path, run)
        put(world, "three", tmp_path)

        assert world.workshop.bundles(run).last_of_run() == last


class TestEnvironments:
    def test_revisions_count_from_one_and_name_what_was_before(self, world: Ports) -> None:
        one, two = a_bundle("one"), a_bundle("two")

        first = world.workshop.environments(a_run("run-1"), "ship").promote("count", one)
        second = world.workshop.environments(a_run("run-2"), "ship").promote("count", two)

        assert first == Revision(1, one.digest, None)
        assert second == Revision(2, two.digest, one.digest)

    def test_the_same_step_twice_is_one_revision(self, world: Ports) -> None:
        step = world.workshop.environments(a_run("run-1"), "ship")

        first, again = (step.promote("twice", a_bundle("one")) for _ in range(2))

        assert first == again

    def test_a_step_that_is_repeated_does_not_undo_what_others_deployed_since(
        self, world: Ports
    ) -> None:
        ours = world.workshop.environments(a_run("run-1"), "ship")
        first = ours.promote("since", a_bundle("one"))
        theirs = world.workshop.environments(a_run("run-2"), "ship")
        theirs.promote("since", a_bundle("two"))

        again = ours.promote("since", a_bundle("one"))
        third = world.workshop.environments(a_run("run-3"), "ship").promote(
            "since", a_bundle("three")
        )

        assert again == first
        assert third == Revision(3, a_bundle("three").digest, a_bundle("two").digest)

    def test_a_run_with_the_id_of_one_that_is_forgotten_deploys_for_itself(
        self, world: Ports
    ) -> None:
        """An id is free again after retention, and what was deployed is remembered for good."""
        before = a_run("run-1", created_at="2025-12-06T12:00:00.000Z")
        world.workshop.environments(before, "ship").promote("again", a_bundle("one"))
        since = world.workshop.environments(a_run("run-2"), "ship")
        since.promote("again", a_bundle("two"))
        run = a_run("run-1", created_at="2026-01-06T12:00:00.000Z")

        third = world.workshop.environments(run, "ship").promote("again", a_bundle("one"))

        assert third == Revision(3, a_bundle("one").digest, a_bundle("two").digest)

    def test_a_retry_that_built_something_else_deploys_it(self, world: Ports) -> None:
        step = world.workshop.environments(a_run("run-1"), "ship")
        step.promote("retry", a_bundle("one"))

        second = step.promote("retry", a_bundle("two"))

        assert second == Revision(2, a_bundle("two").digest, a_bundle("one").digest)

    def test_environments_and_tenants_do_not_touch_each_other(self, world: Ports) -> None:
        world.workshop.environments(a_run("run-1"), "ship").promote("apart", a_bundle("one"))

        other_tenant = world.workshop.environments(a_run("run-1", tenant="globex"), "ship")
        other_place = world.workshop.environments(a_run("run-1"), "ship")

        assert other_tenant.promote("apart", a_bundle("one")).number == 1
        assert other_place.promote("apart-too", a_bundle("one")).number == 1

    def test_a_run_that_has_ended_deploys_nothing(self, world: Ports) -> None:
        """Nothing stops a step that is at work when its run is cancelled."""
        run = a_run()
        world.runs.create(run, [CREATED])
        step = world.workshop.environments(run, "ship")
        other = world.workshop.environments(run, "other")
        first = step.promote("fenced", a_bundle("one"))
        cancelled = [an_entry("run.cancelled", Event.RUN_CANCELLED)]

        world.runs.end(world.runs.head("acme", run.run_id), RunStatus.CANCELLED, cancelled)

        with pytest.raises(ExecutorFailure, match="the run has ended"):
            other.promote("fenced", a_bundle("two"))
        assert step.promote("fenced", a_bundle("one")) == first  # it is done, and was before
        later = world.workshop.environments(a_run(), "ship")
        assert later.promote("fenced", a_bundle("three")).previous_digest == first.digest

    def test_deployments_at_once_are_put_into_an_order(self, world: Ports) -> None:
        def deploy(number: int) -> Revision:
            step = world.workshop.environments(a_run(f"run-{number}"), "ship")
            return step.promote("race", a_bundle(f"bundle {number}"))

        with ThreadPoolExecutor(3) as pool:
            deployed = list(pool.map(deploy, range(3)))

        revisions = sorted(deployed, key=lambda one: one.number)
        assert [one.number for one in revisions] == [1, 2, 3]
        assert [one.previous_digest for one in revisions[1:]] == [
            one.digest for one in revisions[:-1]
        ]
