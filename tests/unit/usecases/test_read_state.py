"""The state of a run: ETags, waiting, counts on blocks, and pages of the steps in a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import InvalidRequestError, NotFoundError
from taskrunner.model.journal import Position
from taskrunner.model.run import RunStatus, StepStatus
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.read_state import StateQuery, read_state, run_state
from tests.fakes.clock import StoppedClock
from tests.packs import pack
from tests.unit.usecases.scenarios import GATED, TENANT, a_world, gate, step

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.model.json_types import JsonObject
    from taskrunner.usecases.read_state import StateAnswer
    from tests.fakes.world import MemoryWorld

ITEMS = 1200  # more than are listed before they begin
NESTED = pack(
    """
    - id: each
      map:
        items: {range: {end: 1}}
        step:
          id: inner
          map: {items: {range: {end: 2}}, step: {id: leaf, run: {uses: builtin:noop}}}
    """
)
MAP = pack(
    """
    - id: each
      map:
        items: "{{ inputs.items }}"
        maxParallel: 10
        steps:
          - {id: one, run: {uses: builtin:noop}}
          - {id: two, run: {uses: builtin:noop}}
    - id: lanes
      parallel:
        steps:
          - {id: left, run: {uses: builtin:noop}}
          - {id: right, run: {uses: builtin:noop}}
    """,
    spec=f"inputs: [{{name: items, type: array, default: {list(range(ITEMS))}}}]",
)


def read(world: MemoryWorld, **query: Any) -> StateAnswer:  # noqa: ANN401 - any field
    return read_state(TENANT, "run-7", StateQuery(**query), world)


def found(world: MemoryWorld, **query: Any) -> JsonObject:  # noqa: ANN401 - any field
    state = read(world, **query).state
    assert state is not None
    return state


def by_id(state: JsonObject) -> dict[str, Any]:
    return {step["stepId"]: step for step in state["steps"]}


class TestTags:
    def test_a_caller_that_has_the_state_gets_none(self) -> None:
        world = a_world(GATED)
        tag, state = read(world)

        assert state is not None
        assert state["position"] == "0.0"
        assert read(world, known_tags=frozenset({tag})) == (tag, None)
        assert read(world, known_tags=frozenset({"*"})).state is None
        assert read(world, known_tags=frozenset({'"0.1"'})).state == state

    def test_an_unchanged_state_is_found_without_reading_the_journal(self) -> None:
        world = a_world(GATED)
        tag = read(world).tag
        world.plans.texts.clear()

        assert read(world, known_tags=frozenset({tag})).state is None

    def test_every_entry_changes_the_tag(self) -> None:
        world = a_world(GATED)
        tags = [read(world).tag]
        step(world, "build")
        tags.append(read(world).tag)
        gate(world)
        tags.append(read(world).tag)
        cancel_run(TENANT, "run-7", "bob", world)
        tags.append(read(world).tag)

        assert len(set(tags)) == 4

    def test_the_tag_of_a_failed_run_changes_until_no_step_can_be_running(self) -> None:
        world = a_world(GATED)
        snapshot = world.runs.snapshot(TENANT, "run-7")
        world.runs.end(snapshot, RunStatus.FAILED, [snapshot.last_entries[0].entry])
        tags = []
        for _ in range(20):
            tags.append(read(world).tag)
            world.clock.advance(60)

        assert len(set(tags[:17])) == 17
        assert len(set(tags[17:])) == 1

    def test_does_not_find_a_run_of_another_tenant(self) -> None:
        world = a_world(GATED)
        tag = read(world).tag

        with pytest.raises(NotFoundError):
            read_state("globex", "run-7", StateQuery(known_tags=frozenset({tag})), world)


class EventfulClock(StoppedClock):
    """A clock on which something happens while somebody sleeps."""

    def __init__(self, happens: Callable[[float], object]) -> None:
        super().__init__()
        self.happens = happens
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)
        self.happens(sum(self.slept))


class TestWaiting:
    def test_answers_once_the_journal_has_moved(self) -> None:
        world = a_world(GATED)
        has_opened = False

        def open_later(slept_s: float) -> None:
            nonlocal has_opened
            if slept_s > 3 and not has_opened:
                has_opened = True
                gate(world)

        world.clock = clock = EventfulClock(open_later)

        state = found(world, since=Position(0, 0), wait_s=20)

        assert state["position"] == "0.2"
        assert state["status"] == "waiting"
        assert 3 < sum(clock.slept) < 6

    def test_answers_at_once_if_the_journal_has_moved_before(self) -> None:
        world = a_world(GATED)
        gate(world)
        world.clock = clock = EventfulClock(lambda _: None)

        assert found(world, since=Position(0, 0), wait_s=20)["status"] == "waiting"
        assert clock.slept == []

    @pytest.mark.parametrize("wait_s", [0, 1, 20])
    def test_gives_up_in_time_after_few_reads(self, wait_s: int) -> None:
        world = a_world(GATED)
        world.clock = clock = EventfulClock(lambda _: None)

        tag, state = read(world, since=Position(0, 0), wait_s=wait_s)

        assert (tag, state) == ('"0.0"', None)
        assert sum(clock.slept) == pytest.approx(wait_s)
        assert len(clock.slept) < 16
        assert all(0 < pause <= 2 for pause in clock.slept)


class TestCounts:
    def test_counts_the_steps_of_each_block_by_status(self) -> None:
        world = a_world(MAP)
        for number in range(3):
            step(world, "one", iteration=f"each[{number}]::")

        steps = by_id(run_state(TENANT, "run-7", world))

        assert steps["each"]["counts"] == {"Succeeded": 3, "Pending": 2 * ITEMS - 3}
        assert steps["each"]["childrenOmitted"] == 2 * (ITEMS - 3)
        assert steps["lanes"]["counts"] == {"Pending": 2}
        assert "childrenOmitted" not in steps["lanes"]
        assert "counts" not in steps["left"]

    def test_counts_what_never_began_as_the_run_leaves_it(self) -> None:
        world = a_world(MAP)
        step(world, "one", iteration="each[5]::")

        cancel_run(TENANT, "run-7", "bob", world)

        state = run_state(TENANT, "run-7", world)
        assert by_id(state)["each"]["counts"] == {"Succeeded": 1, "Skipped": 2 * ITEMS - 1}
        assert state["stepsOmitted"] == 2 * (ITEMS - 1)


class TestChildren:
    def test_pages_have_each_step_once_in_order(self) -> None:
        world = a_world(MAP)
        step(world, "one", iteration="each[700]::")
        paths, cursor = [], None
        while True:
            state = found(world, parent="each", limit=500, cursor=cursor)
            assert len(state["steps"]) <= 500
            assert state["parent"]["counts"] == {"Succeeded": 1, "Pending": 2 * ITEMS - 1}
            paths += [child["stepId"] for child in state["steps"]]
            cursor = state.get("nextCursor")
            if cursor is None:
                break

        assert paths == [
            f"each[{number}]::{name}" for number in range(ITEMS) for name in ("one", "two")
        ]

    def test_says_how_many_steps_are_in_the_blocks_of_a_page(self) -> None:
        world = a_world(NESTED)
        step(world, "leaf", iteration="each[0]::inner[1]::")

        inner, *_ = found(world, parent="each", limit=1)["steps"]

        assert inner["stepId"] == "each[0]::inner"
        assert inner["childrenOmitted"] == sum(inner["counts"].values()) == 3
        inside = found(world, parent="each[0]::inner")["steps"]
        assert [child["stepId"] for child in inside] == [
            f"each[0]::inner[{number}]::leaf" for number in range(3)
        ]
        assert not any("childrenOmitted" in child for child in inside)

    def test_selects_by_status(self) -> None:
        world = a_world(MAP)
        for number in (9, 3, 6):
            step(world, "one", iteration=f"each[{number}]::")

        first = found(world, parent="each", limit=2, status=StepStatus.SUCCEEDED)
        second = found(
            world,
            parent="each",
            limit=2,
            status=StepStatus.SUCCEEDED,
            cursor=first["nextCursor"],
        )

        ids = [child["stepId"] for state in (first, second) for child in state["steps"]]
        assert ids == ["each[3]::one", "each[6]::one", "each[9]::one"]
        assert "nextCursor" not in second
        assert found(world, parent="each", status=StepStatus.FAILED)["steps"] == []

    def test_rejects_a_cursor_of_other_steps(self) -> None:
        world = a_world(MAP)
        cursor = found(world, parent="each", limit=2)["nextCursor"]

        for query in (
            {"parent": "lanes", "cursor": cursor},
            {"parent": "each", "cursor": cursor, "status": StepStatus.PENDING},
            {"parent": "each", "cursor": "nonsense"},
        ):
            with pytest.raises(InvalidRequestError, match="omit it to start over"):
                read(world, **query)

    def test_finds_no_unknown_block_and_refuses_a_step_without_steps(self) -> None:
        world = a_world(MAP)

        with pytest.raises(NotFoundError, match="step nowhere"):
            read(world, parent="nowhere")
        with pytest.raises(InvalidRequestError, match="is not a block"):
            read(world, parent="left")
