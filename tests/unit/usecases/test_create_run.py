from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import (
    ConflictError,
    InvalidPackError,
    InvalidRequestError,
    TooManyRunsError,
    TryAgainError,
)
from taskrunner.model.ceilings import Ceilings
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.create_run import create_run
from taskrunner.usecases.settle_run import settle_run
from taskrunner.usecases.start_run import start_run
from tests.fakes.failing_world import FailingWorld, Failure
from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.unit.usecases.given import (
    NOON,
    PLAIN,
    TENANT,
    a_request,
    a_world,
    assert_heals,
    everything,
    log,
    step,
    told,
)

if TYPE_CHECKING:
    from taskrunner.ports import World

LOW = Ceilings(memory_limit_mib=256)
ONE_AT_A_TIME = pack(
    "- {id: ship, run: {uses: builtin:noop}}", spec="slo: {maxQueueDepth: 1}", name="narrow"
)


class TestCreate:
    def test_the_answer_is_the_run_as_it_is_queued(self) -> None:
        world = MemoryWorld()

        state = create_run(a_request(), world)

        assert state == {
            "runId": "run-7",
            "tenantId": TENANT,
            "pack": {"name": "plain", "version": "1.0.0"},
            "planHash": state["planHash"],
            "definitionHash": state["definitionHash"],
            "status": "queued",
            "failurePolicy": {"maxAttempts": 1, "backoffSeconds": 0, "continueOnError": False},
            "createdAt": NOON,
            "createdBy": "ana",
            "updatedAt": NOON,
            "steps": [
                {
                    "stepId": "ship",
                    "templateId": "ship",
                    "kind": "Run",
                    "enabled": True,
                    "continueOnError": False,
                    "status": "Pending",
                    "attempts": 0,
                    "uses": "builtin:noop",
                }
            ],
        }

    def test_the_run_is_recorded_with_its_plan_and_started_with_references_alone(self) -> None:
        world = a_world()

        run = world.runs.head(TENANT, "run-7").run
        assert world.plans.get(TENANT, run.plan_hash).pack_name == "plain"
        assert log(world) == ["run.created"]
        assert list(world.machines.definitions) == [run.machine]
        assert world.machines.started == {
            run.execution: {
                "run": {"tenant": TENANT, "id": "run-7"},
                "path": "",
                "when": {},
                "branch": {},
                "items": {},
                "error": None,
            }
        }

    def test_a_run_without_a_name_is_given_one(self) -> None:
        world = MemoryWorld()

        ids = [create_run(a_request(run_id=None), world)["runId"] for _ in range(2)]

        assert ids == ["run-1", "run-2"]

    def test_steps_whose_condition_is_false_are_skipped_from_the_start(self) -> None:
        manifest = pack(
            "- {id: ship, when: inputs.go, run: {uses: builtin:noop}}",
            spec="inputs: [{name: go, type: boolean, default: false}]",
        )

        world = a_world(manifest)

        assert log(world) == ["run.created", "ship#skipped"]

    def test_a_bad_pack_leaves_nothing_behind(self) -> None:
        world = MemoryWorld()

        with pytest.raises(InvalidPackError):
            create_run(a_request("kind: Nonsense"), world)

        assert everything(world) == everything(MemoryWorld())

    @pytest.mark.parametrize("run_id", ["", "a b", "a/b", "ä", "x" * 129, "run\n"])
    def test_a_malformed_run_id_is_refused(self, run_id: str) -> None:
        with pytest.raises(InvalidRequestError, match="runId"):
            create_run(a_request(run_id=run_id), MemoryWorld())

    @pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 256, "k\n"])
    def test_a_malformed_idempotency_key_is_refused(self, key: str) -> None:
        with pytest.raises(InvalidRequestError, match="Idempotency-Key"):
            create_run(a_request(idempotency_key=key), MemoryWorld())

    def test_a_run_that_exists_is_a_conflict(self) -> None:
        world = a_world()
        before = everything(world)

        with pytest.raises(ConflictError, match="the run run-7 exists already") as caught:
            create_run(a_request(), world)

        assert caught.value.code == "run_exists"
        assert everything(world)["runs"] == before["runs"]

    def test_the_same_id_is_free_in_another_tenant(self) -> None:
        world = a_world()

        create_run(a_request(tenant="globex"), world)

        assert len(set(world.machines.started)) == 2

    def test_an_id_that_retention_has_freed_starts_an_execution_of_its_own(self) -> None:
        """Step Functions keeps a name for 90 days, and would take the old one for this one."""
        world = a_world()
        world.runs.stored.clear()
        world.clock.advance(31 * 86_400)

        create_run(a_request(), world)

        assert len(world.machines.started) == 2

    def test_of_many_at_once_one_creates_the_run(self) -> None:
        world = MemoryWorld()

        with ThreadPoolExecutor(4) as pool:
            answers = list(
                pool.map(lambda _: told(lambda: create_run(a_request(), world)), range(4))
            )

        assert sorted(map(str, answers))[:3] == ["ConflictError run_exists"] * 3
        assert len(world.machines.started) == 1


class TestCeilings:
    def test_a_pack_that_asks_for_more_leaves_nothing_behind(self) -> None:
        world = MemoryWorld()
        world.ceilings = LOW

        with pytest.raises(InvalidPackError, match="more than the 256 of this deployment"):
            create_run(a_request(), world)

        assert everything(world) == everything(MemoryWorld())

    @pytest.mark.parametrize("run_id", ["run-7", None])
    def test_what_was_accepted_is_answered_and_started_though_the_ceilings_are_lower_since(
        self, run_id: str | None
    ) -> None:
        world = MemoryWorld()
        request = a_request(run_id=run_id, idempotency_key="once")
        first = create_run(request, world)
        started = dict(world.machines.started)
        world.machines.started.clear()  # as if it had stopped before that
        world.ceilings = LOW

        assert create_run(request, world) == first
        assert world.machines.started == started

    def test_the_reconciler_starts_what_was_accepted(self) -> None:
        world = a_world()
        world.machines.started.clear()
        world.ceilings = LOW

        assert start_run(TENANT, "run-7", world) == {"started": True}


class TestExpectedPlanHash:
    def test_the_expected_plan_is_created(self) -> None:
        expected = create_run(a_request(), MemoryWorld())["planHash"]

        state = create_run(a_request(expect_plan_hash=expected), MemoryWorld())

        assert state["planHash"] == expected

    def test_another_plan_is_a_conflict_and_leaves_nothing_behind(self) -> None:
        world = MemoryWorld()

        with pytest.raises(ConflictError, match="simulate again") as caught:
            create_run(a_request(expect_plan_hash="sha256:" + "0" * 64), world)

        assert caught.value.code == "plan_hash_mismatch"
        assert everything(world) == everything(MemoryWorld())


class TestIdempotencyKey:
    @pytest.mark.parametrize("run_id", ["run-7", None])
    def test_the_first_answer_is_replayed_even_when_the_run_went_on(
        self, run_id: str | None
    ) -> None:
        world = MemoryWorld()
        request = a_request(run_id=run_id, idempotency_key="k-1")
        first = create_run(request, world)
        world.clock.advance(60)
        if run_id is not None:
            step(world, "ship")
        settle_run(TENANT, first["runId"], None, world)

        again = create_run(request, world)

        assert again == first
        assert len(world.runs.stored) == len(world.machines.started) == 1

    def test_skipped_steps_are_replayed_too(self) -> None:
        manifest = pack(
            "- {id: ship, when: inputs.go, run: {uses: builtin:noop}}",
            spec="inputs: [{name: go, type: boolean, default: false}]",
        )
        world = MemoryWorld()
        request = a_request(manifest, idempotency_key="k-1")

        first = create_run(request, world)
        world.clock.advance(60)

        assert create_run(request, world) == first

    @pytest.mark.parametrize(
        "changes",
        [
            {"inputs": {"size": 2}},
            {"manifest": PLAIN + "# one comment more\n"},
            {"caller": "bob"},
        ],
        ids=["inputs", "manifest", "caller"],
    )
    def test_another_request_under_the_same_key_is_a_conflict(
        self, changes: dict[str, Any]
    ) -> None:
        manifest = PLAIN.replace("spec:", "spec:\n  inputs: [{name: size, type: integer}]")
        world = MemoryWorld()
        create_run(a_request(manifest, idempotency_key="k-1"), world)
        before = everything(world)

        with pytest.raises(ConflictError) as caught:
            create_run(
                a_request(**({"manifest": manifest, "idempotency_key": "k-1"} | changes)), world
            )

        assert caught.value.code == "idempotency_conflict"
        assert everything(world) == before

    def test_another_plan_hash_that_is_expected_is_another_request(self) -> None:
        world = MemoryWorld()
        state = create_run(a_request(idempotency_key="k-1"), world)

        again = a_request(idempotency_key="k-1", expect_plan_hash=state["planHash"])

        assert told(lambda: create_run(again, world)) == "ConflictError idempotency_conflict"

    @pytest.mark.parametrize("key", [None, "k-2"])
    def test_a_run_of_another_key_exists(self, key: str | None) -> None:
        world = a_world(idempotency_key="k-1")

        again = a_request(idempotency_key=key)

        assert told(lambda: create_run(again, world)) == "ConflictError run_exists"

    def test_two_callers_may_use_one_key_for_runs_that_they_do_not_name(self) -> None:
        world = MemoryWorld()

        runs = {
            create_run(a_request(run_id=None, caller=who, idempotency_key="k-1"), world)["runId"]
            for who in ("ana", "bob")
        }

        assert len(runs) == 2

    def test_of_many_at_once_all_get_one_answer(self) -> None:
        world = MemoryWorld()
        request = a_request(idempotency_key="k-1")

        with ThreadPoolExecutor(4) as pool:
            first, *others = pool.map(lambda _: create_run(request, world), range(4))

        assert others == [first] * 3
        assert len(world.machines.started) == 1

    def test_a_run_that_was_cancelled_is_replayed_and_not_started(self) -> None:
        world = MemoryWorld()
        request = a_request(idempotency_key="k-1")
        first = create_run(request, world)
        cancel_run(TENANT, "run-7", "ana", world)
        world.machines.started.clear()

        assert create_run(request, world) == first
        assert world.machines.started == {}


class TestQueue:
    def test_one_run_more_than_the_pack_wants_is_refused(self) -> None:
        world = a_world(ONE_AT_A_TIME)

        with pytest.raises(TooManyRunsError, match="1 runs of narrow have not ended") as caught:
            create_run(a_request(ONE_AT_A_TIME, run_id="run-8"), world)

        assert caught.value.code == "too_many_runs"
        assert ("acme", "run-8") not in world.runs.stored

    def test_an_ended_run_makes_room(self) -> None:
        world = a_world(ONE_AT_A_TIME)
        settle_run(TENANT, "run-7", None, world)

        create_run(a_request(ONE_AT_A_TIME, run_id="run-8"), world)

    def test_a_replay_needs_no_room(self) -> None:
        world = MemoryWorld()
        request = a_request(ONE_AT_A_TIME, idempotency_key="k-1")

        assert create_run(request, world) == create_run(request, world)


class TestCrashes:
    def test_a_repeated_request_ends_as_one_that_never_failed(self) -> None:
        def act(world: World) -> dict[str, Any]:
            return create_run(a_request(ONE_AT_A_TIME, idempotency_key="k-1"), world)

        assert assert_heals(MemoryWorld, act) >= 4 * 5

    def test_nothing_is_started_that_is_not_recorded(self) -> None:
        for call in range(1, 10):
            world = MemoryWorld()
            failure = Failure(call=call, effect_lost=True, error=TryAgainError)
            failing: Any = FailingWorld(world, failure)

            told(lambda failing=failing: create_run(a_request(), failing))  # type: ignore[misc]

            assert len(world.machines.started) <= len(world.runs.stored) <= len(world.plans.texts)
