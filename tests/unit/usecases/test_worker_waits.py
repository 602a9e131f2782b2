"""The state of a run says why a step waits for a worker, and which workers were lost before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from taskrunner.errors import TryAgainError
from taskrunner.model.worker_reports import FailureReason
from taskrunner.usecases.create_run import create_run
from taskrunner.usecases.read_state import StateQuery, read_state, run_state
from taskrunner.usecases.read_step import run_step_state
from tests.packs import pack
from tests.unit.usecases.jobs import (
    TESTS,
    WORKER,
    beat,
    fail,
    lease,
    leased,
    offer,
    recover,
    succeed,
)
from tests.unit.usecases.scenarios import TENANT, a_request, a_world

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.model.json_types import JsonObject
    from tests.fakes.world import MemoryWorld

LABELLED = pack(
    """
    - id: tests
      run:
        uses: worker:linux
        with: {script: make, labels: {gpu: "{{ inputs.gpu }}", zone: b}}
    """,
    spec="inputs: [{name: gpu, type: string, default: h100}]",
)
HAS = {"gpu": "h100", "zone": "b"}
TWO_POOLS = pack(
    """
    - id: both
      parallel:
        steps:
          - {id: tests, run: {uses: worker:linux, with: {script: make}}}
          - {id: mac, run: {uses: worker:mac, with: {script: make}}}
    """
)
RETRIED = pack(
    """
    - id: tests
      retries: {maxAttempts: 2}
      run: {uses: worker:linux, with: {script: make}}
    """
)


def offered(manifest: str = TESTS, waits_s: float = 60) -> MemoryWorld:
    """Return a world in which the step has waited for some time."""
    world = a_world(manifest)
    offer(world)
    world.clock.advance(waits_s)
    return world


def shown(world: MemoryWorld, path: str = "tests") -> Any:  # noqa: ANN401 - any JSON
    (step,) = [
        step for step in run_state(TENANT, "run-7", world)["steps"] if step["stepId"] == path
    ]
    return step


def detail(world: MemoryWorld) -> JsonObject:
    return run_step_state(TENANT, "run-7", "tests", world)


def cause(world: MemoryWorld, path: str = "tests") -> str:
    return str(shown(world, path)["workerWait"]["cause"])


class TestTheCause:
    def test_is_a_pool_that_no_worker_has_asked(self) -> None:
        world = offered()

        wait = shown(world)["workerWait"]

        assert wait.keys() == {"cause", "message"}
        assert wait["cause"] == "no-worker"
        assert wait["message"].startswith("no worker has asked the pool linux for work")

    def test_is_a_pool_whose_workers_have_gone(self) -> None:
        world = a_world(TESTS)
        lease(world)
        offer(world)
        world.clock.advance(3600)

        wait = shown(world)["workerWait"]

        assert (wait["cause"], wait["lastSeenAt"]) == ("no-worker", "2025-12-06T12:00:00.000Z")
        assert "since 2025-12-06 12:00:00 UTC" in wait["message"]

    def test_is_a_label_that_no_worker_has(self) -> None:
        world = offered(LABELLED)
        assert lease(world, labels={"gpu": "a100", "zone": "b"}) is None

        wait = shown(world)["workerWait"]

        assert (wait["cause"], wait["labels"]) == ("no-worker-with-labels", HAS)
        assert "none has the label gpu=h100" in wait["message"]

    def test_is_that_all_workers_are_busy(self) -> None:
        world = a_world(LABELLED)
        create_run(a_request(LABELLED, run_id="run-6"), world)
        offer(world, run_id="run-6")
        offer(world)
        busy = lease(world, labels=HAS)
        assert busy["run"]["id"] == "run-6"

        for _ in range(60):  # for ten minutes, it only reports about its job
            world.clock.advance(10)
            beat(world, busy, tenants=(TENANT,))

        assert cause(world) == "workers-busy"

    def test_is_not_known_at_first(self) -> None:
        world = a_world(TESTS)
        lease(world)
        world.clock.advance(1)
        offer(world)

        assert cause(world) == "not-asked-yet"

    def test_is_of_its_own_pool(self) -> None:
        world = offered(TWO_POOLS)
        offer(world, "mac")
        world.clock.advance(60)
        lease(world)  # takes the step `tests`

        assert cause(world, "mac") == "no-worker"
        assert "workerWait" not in shown(world)

    def test_says_nothing_about_workers_of_other_tenants(self) -> None:
        world = offered()
        assert lease(world, replace(WORKER, tenants=("umbrella",))) is None

        assert cause(world) == "no-worker"
        assert "lastSeenAt" not in shown(world)["workerWait"]

    def test_is_known_to_each_tenant_that_a_worker_asks_for(self) -> None:
        world = offered(LABELLED)
        both = replace(WORKER, tenants=("umbrella", TENANT))
        lease(world, both, tenants=("umbrella",))
        assert cause(world) == "no-worker"

        lease(world, both)

        assert cause(world) == "no-worker-with-labels"

    def test_ends_with_the_wait(self) -> None:
        world = offered()
        lease(world)

        assert "workerWait" not in shown(world)
        assert "workerWait" not in detail(world)

    def test_is_in_the_view_of_the_step_too(self) -> None:
        world = offered(LABELLED)

        assert detail(world)["workerWait"] == shown(world)["workerWait"]

    def test_is_among_the_steps_of_a_block(self) -> None:
        world = offered(TWO_POOLS)

        page = read_state(TENANT, "run-7", StateQuery(parent="both"), world).state

        assert page is not None
        assert page["steps"][0]["workerWait"]["cause"] == "no-worker"

    def test_is_not_looked_up_unless_a_step_waits(self) -> None:
        world = a_world(TESTS)
        asked: list[object] = []
        world.pools.kinds = lambda *names: asked.append(names) or []  # type: ignore[method-assign, func-returns-value]
        run_state(TENANT, "run-7", world)
        assert asked == []

        offer(world)
        run_state(TENANT, "run-7", world)

        assert asked == [(TENANT, {"linux"})]


class TestTheTag:
    """The answer to a caller that has the state already."""

    def test_changes_each_minute_while_a_step_waits(self) -> None:
        world = offered()
        tag = read_state(TENANT, "run-7", StateQuery(), world).tag

        assert self.again(world, tag) is None
        world.clock.advance(60)
        changed = self.again(world, tag)

        assert changed is not None
        assert read_state(TENANT, "run-7", StateQuery(), world).tag != tag

    def test_stays_once_the_step_runs(self) -> None:
        world = offered()
        lease(world)
        tag = read_state(TENANT, "run-7", StateQuery(), world).tag

        world.clock.advance(600)

        assert self.again(world, tag) is None

    def again(self, world: MemoryWorld, tag: str) -> Mapping[str, Any] | None:
        return read_state(TENANT, "run-7", StateQuery(known_tags=frozenset({tag})), world).state


class TestALoss:
    def test_is_named_while_the_step_waits_for_another_worker(self) -> None:
        world = a_world(TESTS)
        leased(world)
        recover(world, after_s=46)

        loss = {
            "attempt": 1,
            "worker": "build-7",
            "pool": "linux",
            "lostAt": "2025-12-06T12:00:46.000Z",
            "message": (
                "attempt 1 was lost: worker build-7 of pool linux stopped answering; offered again"
            ),
        }
        assert shown(world)["lastLoss"] == loss
        assert detail(world)["losses"] == [loss | {"startedAt": "2025-12-06T12:00:00.000Z"}]

    def test_of_a_job_that_its_worker_gave_back_says_so(self) -> None:
        world = a_world(TESTS)

        fail(world, leased(world), FailureReason.STOPPED)

        assert shown(world)["lastLoss"]["message"] == (
            "attempt 1 was given back: worker build-7 of pool linux was stopped; offered again"
        )
        [loss] = detail(world)["losses"]
        assert loss["message"] == shown(world)["lastLoss"]["message"]

    def test_leaves_no_worker_that_is_called_busy(self) -> None:
        world = a_world(TESTS)
        work = leased(world)
        world.clock.advance(10)
        beat(world, work, tenants=(TENANT,))
        recover(world, after_s=46)

        assert cause(world) == "not-asked-yet"
        world.clock.advance(60)
        assert cause(world) == "no-worker"

    def test_is_kept_when_another_worker_has_the_attempt(self) -> None:
        world = a_world(TESTS)
        leased(world)
        for name in ("build-8", "build-9"):
            recover(world, after_s=46)
            work = lease(world, worker=name)
        succeed(world, work)

        view = detail(world)

        assert [loss["worker"] for loss in view["losses"]] == ["build-7", "build-8"]
        assert [(attempt["attempt"], attempt["worker"]) for attempt in view["attemptHistory"]] == [
            (1, "build-9")
        ]
        assert view["startedAt"] == "2025-12-06T12:00:00.000Z"
        assert shown(world)["lastLoss"]["worker"] == "build-8"

    def test_of_an_earlier_attempt_is_only_in_the_list(self) -> None:
        world = a_world(RETRIED)
        leased(world)
        recover(world, after_s=46)
        fail(world, lease(world))
        offer(world)

        assert "lastLoss" not in shown(world)
        assert len(detail(world)["losses"]) == 1

    def test_is_absent_where_no_worker_was_lost(self) -> None:
        world = a_world(TESTS)
        succeed(world, leased(world))

        assert "losses" not in detail(world)
        assert "lastLoss" not in shown(world)


def test_a_table_that_is_busy_costs_a_worker_no_job() -> None:
    world = offered()

    def refuse(*_: object) -> None:
        raise TryAgainError("busy")

    world.pools.note = refuse  # type: ignore[method-assign, assignment]

    assert lease(world) is not None
