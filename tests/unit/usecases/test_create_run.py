from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

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
from tests.architecture.api_document import DOCUMENT, read
from tests.fakes.failing_world import FailingWorld, Failure
from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    NOON,
    PLAIN,
    TENANT,
    a_request,
    a_world,
    assert_recovers,
    entry_ids,
    result_of,
    step,
    stored_state,
)

if TYPE_CHECKING:
    from taskrunner.ports import World

LOW = Ceilings(memory_limit_mib=256)
ONE_AT_A_TIME = pack(
    "- {id: ship, run: {uses: builtin:noop}}", spec="slo: {maxQueueDepth: 1}", name="narrow"
)


class TestCreate:
    def test_answers_with_the_queued_run(self) -> None:
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

    def test_records_the_run_with_its_plan_and_starts_it_with_references(self) -> None:
        world = a_world()

        run = world.runs.snapshot(TENANT, "run-7").run
        assert world.plans.get(TENANT, run.plan_hash).pack_name == "plain"
        assert entry_ids(world) == ["run.created"]
        assert list(world.machines.definitions) == [run.machine]
        assert world.machines.started == {
            run.execution: {
                "place": {"run": {"tenant": TENANT, "id": "run-7"}, "path": ""},
                "when": {},
                "branch": {},
                "items": {},
                "error": None,
            }
        }

    @pytest.mark.parametrize("run_id", ["run-7", "r" * 47, "r" * 48, "Run_" + "7" * 124])
    def test_names_the_execution_by_the_run_as_far_as_that_fits(self, run_id: str) -> None:
        world = a_world(run_id=run_id)

        execution = world.runs.snapshot(TENANT, run_id).run.execution
        beginning, _, digits = execution.rpartition("-")
        assert beginning == run_id[:47]
        assert len(digits) == 32
        assert len(execution) <= 80

    def test_names_executions_of_two_tenants_differently(self) -> None:
        world = a_world()

        create_run(a_request(tenant="globex"), world)

        ours, theirs = (world.runs.snapshot(name, "run-7").run for name in (TENANT, "globex"))
        assert ours.machine == theirs.machine
        assert ours.execution != theirs.execution

    def test_generates_a_run_id_for_a_request_without_one(self) -> None:
        world = MemoryWorld()

        ids = [create_run(a_request(run_id=None), world)["runId"] for _ in range(2)]

        assert ids == ["run-1", "run-2"]

    def test_skips_steps_whose_condition_is_false(self) -> None:
        manifest = pack(
            "- {id: ship, when: inputs.go, run: {uses: builtin:noop}}",
            spec="inputs: [{name: go, type: boolean, default: false}]",
        )

        world = a_world(manifest)

        assert entry_ids(world) == ["run.created", "ship#skipped"]

    def test_a_bad_pack_records_nothing(self) -> None:
        world = MemoryWorld()

        with pytest.raises(InvalidPackError):
            create_run(a_request("kind: Nonsense"), world)

        assert stored_state(world) == stored_state(MemoryWorld())

    @pytest.mark.parametrize("run_id", ["", "a b", "a/b", "ä", "x" * 129, "run\n"])
    def test_rejects_a_malformed_run_id(self, run_id: str) -> None:
        with pytest.raises(InvalidRequestError, match="runId"):
            create_run(a_request(run_id=run_id), MemoryWorld())

    @pytest.mark.parametrize("key", ["", "a\tb", "ä", "x" * 256, "k\n"])
    def test_rejects_a_malformed_idempotency_key(self, key: str) -> None:
        with pytest.raises(InvalidRequestError, match="Idempotency-Key"):
            create_run(a_request(idempotency_key=key), MemoryWorld())

    @pytest.mark.parametrize("key", ["a b", " !~", "x" * 255])
    def test_accepts_every_idempotency_key_of_the_document(self, key: str) -> None:
        schema = read(DOCUMENT)["components"]["parameters"]["IdempotencyKey"]["schema"]
        assert Draft202012Validator(schema).is_valid(key)

        assert create_run(a_request(idempotency_key=key), MemoryWorld())["runId"] == "run-7"

    def test_rejects_a_run_id_that_exists(self) -> None:
        world = a_world()
        before = stored_state(world)

        with pytest.raises(ConflictError, match="the run run-7 exists already") as caught:
            create_run(a_request(), world)

        assert caught.value.code == "run_exists"
        assert stored_state(world)["runs"] == before["runs"]

    def test_two_tenants_may_use_the_same_run_id(self) -> None:
        world = a_world()

        create_run(a_request(tenant="globex"), world)

        assert len(set(world.machines.started)) == 2

    def test_a_reused_run_id_gets_an_execution_of_its_own(self) -> None:
        """Step Functions keeps an execution's name for 90 days after its end."""
        world = a_world()
        world.runs.stored.clear()
        world.clock.advance(31 * 86_400)

        create_run(a_request(), world)

        assert len(world.machines.started) == 2

    def test_one_of_several_simultaneous_requests_creates_the_run(self) -> None:
        world = MemoryWorld()

        with ThreadPoolExecutor(4) as pool:
            answers = list(
                pool.map(lambda _: result_of(lambda: create_run(a_request(), world)), range(4))
            )

        assert sorted(map(str, answers))[:3] == ["ConflictError run_exists"] * 3
        assert len(world.machines.started) == 1


class TestCeilings:
    def test_a_pack_that_requests_more_records_nothing(self) -> None:
        world = MemoryWorld()
        world.ceilings = LOW

        with pytest.raises(InvalidPackError, match="this deployment allows 256"):
            create_run(a_request(), world)

        assert stored_state(world) == stored_state(MemoryWorld())

    @pytest.mark.parametrize("run_id", ["run-7", None])
    def test_an_accepted_request_is_answered_after_ceilings_were_lowered(
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

    def test_the_reconciler_starts_an_accepted_run(self) -> None:
        world = a_world()
        world.machines.started.clear()
        world.ceilings = LOW

        assert start_run(TENANT, "run-7", world)


class TestExpectedPlanHash:
    def test_creates_the_expected_plan(self) -> None:
        expected = create_run(a_request(), MemoryWorld())["planHash"]

        state = create_run(a_request(expect_plan_hash=expected), MemoryWorld())

        assert state["planHash"] == expected

    def test_rejects_another_plan_and_records_nothing(self) -> None:
        world = MemoryWorld()

        with pytest.raises(ConflictError, match="simulate again") as caught:
            create_run(a_request(expect_plan_hash="sha256:" + "0" * 64), world)

        assert caught.value.code == "plan_hash_mismatch"
        assert stored_state(world) == stored_state(MemoryWorld())


class TestIdempotencyKey:
    @pytest.mark.parametrize("run_id", ["run-7", None])
    def test_a_repeated_request_gets_the_first_answer_after_the_run_has_moved_on(
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

    def test_a_repeated_request_gets_skipped_steps_too(self) -> None:
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
            {"manifest": PLAIN + "# another comment\n"},
            {"run_id": "run-8"},
            {"run_id": "run-8", "inputs": {"size": 2}},
        ],
        ids=["inputs", "manifest", "run id", "run id and inputs"],
    )
    @pytest.mark.parametrize("run_id", ["run-7", None])
    def test_rejects_another_request_with_the_same_key(
        self, run_id: str | None, changes: dict[str, Any]
    ) -> None:
        manifest = PLAIN.replace("spec:", "spec:\n  inputs: [{name: size, type: integer}]")
        world = MemoryWorld()
        create_run(a_request(manifest, run_id=run_id, idempotency_key="k-1"), world)
        before = stored_state(world)
        changes = {"manifest": manifest, "run_id": run_id, "idempotency_key": "k-1"} | changes

        with pytest.raises(ConflictError) as caught:
            create_run(a_request(**changes), world)

        assert caught.value.code == "idempotency_conflict"
        assert stored_state(world) == before

    def test_a_request_without_a_run_id_is_another_than_one_with_it(self) -> None:
        world = a_world(idempotency_key="k-1")

        again = a_request(run_id=None, idempotency_key="k-1")

        assert result_of(lambda: create_run(again, world)) == "ConflictError idempotency_conflict"

    @pytest.mark.parametrize(
        "value",
        [float("inf"), -float("inf"), 10**5000, "\ud800", [{"a": float("inf")}]],
        ids=["infinite", "negative", "long", "surrogate", "nested"],
    )
    @pytest.mark.parametrize("place", ["a value", "a name"])
    def test_a_used_key_with_inputs_that_no_run_can_have_is_refused_as_invalid(
        self, value: object, place: str
    ) -> None:
        manifest = pack(
            "- {id: a, run: {uses: builtin:noop}}", spec="inputs: [{name: n, type: integer}]"
        )
        world = a_world(manifest, idempotency_key="k-1", inputs={"n": 1})
        inputs = {"n": value} if place == "a value" else {"n": 1, "\ud800": 1}

        again = a_request(manifest, idempotency_key="k-1", inputs=inputs)

        with pytest.raises(InvalidPackError):
            create_run(again, world)

    def test_another_caller_with_the_same_key_and_run_id_does_not_get_the_run(self) -> None:
        world = a_world(idempotency_key="k-1")

        again = a_request(idempotency_key="k-1", caller="bob")

        assert result_of(lambda: create_run(again, world)) == "ConflictError run_exists"

    def test_a_rejected_request_leaves_its_key_unused(self) -> None:
        world = a_world()
        taken = a_request(idempotency_key="k-1")
        assert result_of(lambda: create_run(taken, world)) == "ConflictError run_exists"

        create_run(a_request(run_id="run-8", idempotency_key="k-1"), world)

    def test_simultaneous_requests_with_one_key_and_several_run_ids_create_one_run(self) -> None:
        world = MemoryWorld()

        def create(number: int) -> object:
            request = a_request(run_id=f"run-{number}", idempotency_key="k-1")
            return result_of(lambda: create_run(request, world))

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(create, range(4)))

        assert answers.count("ConflictError idempotency_conflict") == 3
        assert len(world.runs.stored) == len(world.machines.started) == 1

    def test_a_key_is_free_again_when_its_run_is_gone(self) -> None:
        world = a_world(idempotency_key="k-1")
        world.runs.stored.clear()

        create_run(a_request(run_id="run-8", idempotency_key="k-1"), world)

    def test_another_expected_plan_hash_makes_another_request(self) -> None:
        world = MemoryWorld()
        state = create_run(a_request(idempotency_key="k-1"), world)

        again = a_request(idempotency_key="k-1", expect_plan_hash=state["planHash"])

        assert result_of(lambda: create_run(again, world)) == "ConflictError idempotency_conflict"

    @pytest.mark.parametrize("key", [None, "k-2"])
    def test_rejects_a_run_id_that_another_key_has_used(self, key: str | None) -> None:
        world = a_world(idempotency_key="k-1")

        again = a_request(idempotency_key=key)

        assert result_of(lambda: create_run(again, world)) == "ConflictError run_exists"

    def test_two_callers_may_use_the_same_key_without_a_run_id(self) -> None:
        world = MemoryWorld()

        runs = {
            create_run(a_request(run_id=None, caller=who, idempotency_key="k-1"), world)["runId"]
            for who in ("ana", "bob")
        }

        assert len(runs) == 2

    def test_simultaneous_requests_with_a_key_get_one_answer(self) -> None:
        world = MemoryWorld()
        request = a_request(idempotency_key="k-1")

        with ThreadPoolExecutor(4) as pool:
            first, *others = pool.map(lambda _: create_run(request, world), range(4))

        assert others == [first] * 3
        assert len(world.machines.started) == 1

    def test_a_repeated_request_does_not_start_a_cancelled_run(self) -> None:
        world = MemoryWorld()
        request = a_request(idempotency_key="k-1")
        first = create_run(request, world)
        cancel_run(TENANT, "run-7", "ana", world)
        world.machines.started.clear()

        assert create_run(request, world) == first
        assert world.machines.started == {}


class TestQueue:
    def test_rejects_a_run_beyond_the_queue_depth(self) -> None:
        world = a_world(ONE_AT_A_TIME)

        with pytest.raises(TooManyRunsError, match="1 runs of narrow have not ended") as caught:
            create_run(a_request(ONE_AT_A_TIME, run_id="run-8"), world)

        assert caught.value.code == "too_many_runs"
        assert ("acme", "run-8") not in world.runs.stored

    def test_an_ended_run_leaves_the_queue(self) -> None:
        world = a_world(ONE_AT_A_TIME)
        settle_run(TENANT, "run-7", None, world)

        create_run(a_request(ONE_AT_A_TIME, run_id="run-8"), world)

    def test_a_repeated_request_is_answered_when_the_queue_is_full(self) -> None:
        world = MemoryWorld()
        request = a_request(ONE_AT_A_TIME, idempotency_key="k-1")

        assert create_run(request, world) == create_run(request, world)


class TestCrashes:
    def test_repeating_a_request_after_a_crash_completes_it(self) -> None:
        def act(world: World) -> dict[str, Any]:
            return create_run(a_request(ONE_AT_A_TIME, idempotency_key="k-1"), world)

        assert assert_recovers(MemoryWorld, act) >= 4 * 5

    def test_records_a_run_before_it_starts(self) -> None:
        for call in range(1, 10):
            world = MemoryWorld()
            failure = Failure(call=call, effect_lost=True, error=TryAgainError)
            failing: Any = FailingWorld(world, failure)

            result_of(lambda failing=failing: create_run(a_request(), failing))  # type: ignore[misc]

            assert len(world.machines.started) <= len(world.runs.stored) <= len(world.plans.texts)
