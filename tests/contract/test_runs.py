"""The port Runs: records, outcomes, ends and lists. Its journal has a suite of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskrunner.errors import InvalidRequestError, NotFoundError, TooManyRunsError
from taskrunner.model.artifact import Artifact, ArtifactStatus, ArtifactType
from taskrunner.model.journal import Event
from taskrunner.model.run import RunStatus, StepOutcome, StepStatus
from tests.contract.ports import CREATED, a_run, an_entry

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json
    from taskrunner.model.run import Run
    from taskrunner.ports import Head
    from tests.contract.ports import Ports

ENDED = an_entry("run.ended", Event.RUN_COMPLETED)
CANCELLED = an_entry("run.cancelled", Event.RUN_CANCELLED)


def created(world: Ports, run: Run | None = None) -> Head:
    run = run or a_run()
    assert world.runs.create(run, [CREATED])
    return world.runs.head(run.tenant, run.run_id)


def ids(world: Ports, head: Head) -> list[str]:
    return [one.entry.id for one in world.runs.journal(head.run.tenant, head.run.run_id)]


def an_outcome(path: str = "ship", attempt: int = 1, outputs: Json = None) -> StepOutcome:
    return StepOutcome(
        path=path, attempt=attempt, status=StepStatus.SUCCEEDED, outputs=outputs, final=True
    )


def a_value(name: str, text: str = '"v1"') -> Artifact:
    return Artifact(
        name=name,
        type=ArtifactType.OBJECT,
        status=ArtifactStatus.CAPTURED,
        expression_json=text,
    )


class TestCreate:
    def test_a_run_is_read_as_it_was_recorded(self, world: Ports) -> None:
        run = a_run(idempotency_key="k-1")

        assert world.runs.create(run, [CREATED])

        head = world.runs.head("acme", run.run_id)
        assert head.run == run
        assert [one.entry for one in head.tail] == [CREATED]

    def test_a_second_run_of_that_id_is_refused_and_changes_nothing(self, world: Ports) -> None:
        head = created(world)

        again = world.runs.create(replace(head.run, created_by="bob"), [an_entry("other")])

        assert not again
        assert world.runs.head("acme", head.run.run_id) == head
        assert ids(world, head) == ["run.created"]

    def test_two_tenants_may_use_one_id(self, world: Ports) -> None:
        ours = created(world)

        assert world.runs.create(replace(ours.run, tenant="globex"), [CREATED])

        assert world.runs.head("globex", ours.run.run_id).run.tenant == "globex"
        assert world.runs.head("acme", ours.run.run_id).run.tenant == "acme"

    def test_an_unknown_run_is_not_found(self, world: Ports) -> None:
        with pytest.raises(NotFoundError, match="run nowhere not found"):
            world.runs.head("acme", "nowhere")

    @pytest.mark.parametrize("count", [8, 9, 1000])
    def test_any_number_of_first_entries_is_recorded(self, world: Ports, count: int) -> None:
        run = a_run()
        entries = [an_entry(f"e{number}", Event.STEP_SKIPPED) for number in range(count)]

        assert world.runs.create(run, entries)

        journal = world.runs.journal("acme", run.run_id)
        assert [one.entry for one in journal] == entries
        assert world.runs.head("acme", run.run_id).tail[-1] == journal[-1]


class TestAQueue:
    """Runs that have a depth: never more of them are unfinished than it says."""

    def test_one_more_is_refused_until_one_has_ended(self, world: Ports) -> None:
        heads = [created(world, a_run(pack_name="narrow", queue_depth=2)) for _ in range(2)]
        with pytest.raises(TooManyRunsError) as caught:
            created(world, a_run(pack_name="narrow", queue_depth=2))
        assert caught.value.code == "too_many_runs"

        for _ in range(2):  # ending twice is ending once
            world.runs.end(heads[0], RunStatus.SUCCEEDED, [ENDED])

        created(world, a_run(pack_name="narrow", queue_depth=2))
        with pytest.raises(TooManyRunsError):
            created(world, a_run(pack_name="narrow", queue_depth=2))

    def test_of_many_at_once_as_many_pass_as_it_is_deep(self, world: Ports) -> None:
        runs = [a_run(pack_name="crowded", queue_depth=3) for _ in range(12)]

        def passes(run: Run) -> bool:
            try:
                return world.runs.create(run, [CREATED])
            except TooManyRunsError:
                return False

        with ThreadPoolExecutor(12) as pool:
            assert sum(pool.map(passes, runs)) == 3

    def test_an_id_that_is_taken_takes_no_place(self, world: Ports) -> None:
        run = a_run(pack_name="taken", queue_depth=2)
        created(world, run)

        assert world.runs.create(run, [CREATED]) is False
        created(world, a_run(pack_name="taken", queue_depth=2))

    def test_other_packs_other_tenants_and_runs_without_a_depth_have_places_of_their_own(
        self, world: Ports
    ) -> None:
        created(world, a_run(pack_name="own", queue_depth=1))

        created(world, a_run(pack_name="other", queue_depth=1))
        created(world, a_run(pack_name="own", queue_depth=1, tenant="other"))
        created(world, a_run(pack_name="own"))

    def test_it_comes_back_as_it_was(self, world: Ports) -> None:
        assert created(world, a_run(pack_name="deep", queue_depth=7)).run.queue_depth == 7


class TestHead:
    def test_its_tail_is_the_end_of_the_journal_also_when_steps_have_ended(
        self, world: Ports
    ) -> None:
        head = created(world)

        world.runs.record_step(head, an_outcome(), [an_entry("ship#1#ended")])

        later = world.runs.head("acme", head.run.run_id)
        assert [one.entry.id for one in later.tail] == ["run.created", "ship#1#ended"]


class TestOutcomes:
    def test_a_step_that_has_not_ended_has_none(self, world: Ports) -> None:
        head = created(world)

        assert world.runs.outcomes("acme", head.run.run_id, ["ship"]) == {}

    @pytest.mark.parametrize(
        "outputs",
        [None, {}, {"n": 1.5, "deep": [{"a": None}]}, {"text": "ä" * 30_000}, "text", 0, False],
        ids=["none", "empty", "deep", "large", "text", "zero", "false"],
    )
    def test_outputs_come_back_as_they_were(self, world: Ports, outputs: Json) -> None:
        head = created(world)
        outcome = an_outcome(outputs=outputs)

        world.runs.record_step(head, outcome, [an_entry("ship#1#ended")])

        found = world.runs.outcomes("acme", head.run.run_id, ["ship", "other"])
        assert found == {"ship": outcome}

    def test_more_outcomes_than_one_read_holds(self, world: Ports) -> None:
        head = created(world)
        paths = [f"map[{number}]::leaf" for number in range(101)]
        for path in paths:
            world.runs.record_step(head, an_outcome(path), [])

        assert set(world.runs.outcomes("acme", head.run.run_id, paths)) == set(paths)

    def test_the_next_attempt_replaces_the_one_before(self, world: Ports) -> None:
        head = created(world)
        failed = replace(an_outcome(), status=StepStatus.FAILED, final=False)
        world.runs.record_step(head, failed, [an_entry("ship#1#ended")])

        counts = world.runs.record_step(
            head, an_outcome(attempt=2, outputs=7), [an_entry("ship#2#ended")]
        )

        assert counts == an_outcome(attempt=2, outputs=7)
        assert world.runs.outcomes("acme", head.run.run_id, ["ship"])["ship"] == counts
        assert ids(world, head) == ["run.created", "ship#1#ended", "ship#2#ended"]

    def test_of_two_tries_of_one_attempt_the_first_counts_and_the_other_learns_it(
        self, world: Ports
    ) -> None:
        head = created(world)
        first = replace(an_outcome(outputs="first"), status=StepStatus.FAILED)
        world.runs.record_step(head, first, [an_entry("ship#1#ended")], [a_value("log")])

        counts = world.runs.record_step(
            head,
            an_outcome(outputs="second"),
            [an_entry("ship#1#ended", message="other")],
            [a_value("late")],
        )

        assert counts == first
        assert world.runs.outcomes("acme", head.run.run_id, ["ship"]) == {"ship": first}
        assert ids(world, head) == ["run.created", "ship#1#ended"]
        assert [one.name for one in world.artifacts.list("acme", head.run.run_id)] == ["log"]

    def test_what_ends_after_its_run_is_logged_and_changes_nothing(self, world: Ports) -> None:
        head = created(world)
        world.runs.end(head, RunStatus.CANCELLED, [CANCELLED])

        world.runs.record_step(head, an_outcome(), [an_entry("ship#1#ended")], [a_value("late")])

        assert ids(world, head) == ["run.created", "run.cancelled", "ship#1#ended"]
        assert world.runs.outcomes("acme", head.run.run_id, ["ship"]) == {}
        assert world.artifacts.list("acme", head.run.run_id) == []

    def test_fifty_files_fit_beside_the_outcome(self, world: Ports) -> None:
        head = created(world)
        files = [a_value(f"file-{number}") for number in range(50)]

        world.runs.record_step(head, an_outcome(), [an_entry("ship#1#ended")], files)

        assert len(world.artifacts.list("acme", head.run.run_id)) == 50

    def test_who_comes_too_late_to_end_a_run_adds_no_output_of_it(self, world: Ports) -> None:
        """As many as they are: by then the list of artifacts may be signed."""
        head = created(world)
        world.runs.end(head, RunStatus.CANCELLED, [CANCELLED])
        values = [a_value(f"value-{number}") for number in range(30)]

        outcome = world.runs.end(
            head, RunStatus.SUCCEEDED, [an_entry("run.ended", Event.RUN_COMPLETED)], values
        )

        assert outcome is RunStatus.CANCELLED
        assert world.artifacts.list("acme", head.run.run_id) == []

    def test_a_run_ends_with_as_many_outputs_as_it_has(self, world: Ports) -> None:
        head = created(world)
        values = [a_value(f"value-{number}") for number in range(30)]

        world.runs.end(
            head, RunStatus.SUCCEEDED, [an_entry("run.ended", Event.RUN_COMPLETED)], values
        )

        assert len(world.artifacts.list("acme", head.run.run_id)) == 30


class TestWhatExecutorsUsed:
    def test_a_run_begins_with_nothing(self, world: Ports) -> None:
        assert created(world).used_s == 0

    def test_it_adds_up_however_long_the_journal_grows(self, world: Ports) -> None:
        head = created(world)
        for number in range(1, 21):
            path = f"step-{number}"
            ended = [an_entry(f"{path}#1#ended")]
            world.runs.record_step(head, an_outcome(path), ended, used_s=0.5)
            # The same head again and again: whoever writes need not know where the journal ends.
            assert world.runs.head("acme", head.run.run_id).used_s == number / 2

    def test_it_adds_up_when_many_end_at_once(self, world: Ports) -> None:
        head = created(world)

        def ends(number: int) -> None:
            path = f"map[{number}]::leaf"
            ended = [an_entry(f"{path}#1#ended")]
            world.runs.record_step(head, an_outcome(path), ended, used_s=0.25)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ends, range(40)))

        assert world.runs.head("acme", head.run.run_id).used_s == 10

    def test_an_attempt_that_is_recorded_twice_counts_once(self, world: Ports) -> None:
        head = created(world)

        for _ in range(2):
            world.runs.record_step(head, an_outcome(), [an_entry("ship#1#ended")], used_s=3)

        assert world.runs.head("acme", head.run.run_id).used_s == 3

    def test_other_entries_use_nothing(self, world: Ports) -> None:
        head = created(world)
        world.runs.record_step(head, an_outcome(), [an_entry("ship#1#ended")], used_s=3)

        world.runs.append(head, [an_entry(f"e{number}") for number in range(30)])
        world.runs.append(head, [an_entry("last")])

        assert world.runs.head("acme", head.run.run_id).used_s == 3


class TestEnd:
    def test_a_run_ends_once_and_the_second_learns_how(self, world: Ports) -> None:
        head = created(world)

        first = world.runs.end(head, RunStatus.CANCELLED, [CANCELLED])
        second = world.runs.end(head, RunStatus.SUCCEEDED, [ENDED], [a_value("late")])

        assert (first, second) == (RunStatus.CANCELLED, RunStatus.CANCELLED)
        assert world.runs.head("acme", head.run.run_id).run.outcome is RunStatus.CANCELLED
        assert ids(world, head) == ["run.created", "run.cancelled"]
        assert world.artifacts.list("acme", head.run.run_id) == []

    def test_of_many_at_once_exactly_one_ends_it(self, world: Ports) -> None:
        for _ in range(5):
            head = created(world)
            ways = [(RunStatus.CANCELLED, CANCELLED), (RunStatus.SUCCEEDED, ENDED)] * 2

            with ThreadPoolExecutor(len(ways)) as pool:
                learned = set(
                    pool.map(lambda way, head=head: world.runs.end(head, way[0], [way[1]]), ways)
                )

            assert learned == {world.runs.head("acme", head.run.run_id).run.outcome}
            assert len(ids(world, head)) == 2

    def test_a_hundred_and_one_large_values_are_stored(self, world: Ports) -> None:
        head = created(world)
        values = [a_value(f"value-{number}", '"' + "x" * 100_000 + '"') for number in range(101)]

        world.runs.end(head, RunStatus.SUCCEEDED, [ENDED], values)

        names = {one.name for one in world.artifacts.list("acme", head.run.run_id)}
        assert names == {one.name for one in values}


class TestList:
    def test_the_newest_come_first_page_by_page(self, world: Ports) -> None:
        for day in (3, 1, 2):
            at = f"2025-12-0{day}T00:00:00.000Z"
            created(world, a_run(f"day-{day}", tenant="pages", created_at=at))

        first = world.runs.list("pages", 2, None)
        second = world.runs.list("pages", 2, first.cursor)

        assert [one["runId"] for one in first.items] == ["day-3", "day-2"]
        assert [one["runId"] for one in second.items] == ["day-1"]
        assert second.cursor is None

    def test_a_summary_says_how_and_when_a_run_ended(self, world: Ports) -> None:
        head = created(world, a_run(tenant="summaries"))
        (before,) = world.runs.list("summaries", 10, None).items

        world.runs.end(
            head, RunStatus.SUCCEEDED, [replace(ENDED, occurred_at="2025-12-06T13:00:00.000Z")]
        )

        (after,) = world.runs.list("summaries", 10, None).items
        assert before == {
            "runId": head.run.run_id,
            "pack": {"name": "deploy-app", "version": "1.4.0"},
            "planHash": head.run.plan_hash,
            "createdAt": head.run.created_at,
            "createdBy": "ana",
        }
        assert after == before | {"outcome": "succeeded", "endedAt": "2025-12-06T13:00:00.000Z"}

    def test_another_tenants_runs_are_not_in_it(self, world: Ports) -> None:
        created(world, a_run(tenant="somebody"))

        assert world.runs.list("nobody", 10, None).items == []

    def test_a_cursor_that_was_never_given_out_is_refused(self, world: Ports) -> None:
        with pytest.raises(InvalidRequestError, match="cursor"):
            world.runs.list("acme", 10, "nonsense")


class TestCountUnfinished:
    def test_it_counts_the_packs_runs_that_have_not_ended_up_to_a_bound(self, world: Ports) -> None:
        heads = [created(world, a_run(tenant="queue")) for _ in range(3)]
        created(world, a_run(tenant="queue", pack_name="other"))
        created(world, a_run(tenant="elsewhere"))

        before = world.runs.count_unfinished("queue", "deploy-app", 10**12)
        bounded = world.runs.count_unfinished("queue", "deploy-app", 2)
        world.runs.end(heads[0], RunStatus.SUCCEEDED, [ENDED])
        after = world.runs.count_unfinished("queue", "deploy-app", 10)

        assert (before, bounded, after) == (3, 2, 2)
