"""Questions of a running machine: answers, entries, and the same answer when asked again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import ConflictError, NotFoundError, StepFailedError
from taskrunner.model.flow import Question
from taskrunner.model.run import StepReference
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.decide_flow import decide_flow
from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.unit.usecases.scenarios import (
    TENANT,
    a_world,
    assert_recovers,
    entry_ids,
    result_of,
    step,
)
from tests.unit.usecases.scenarios import (
    last_of_a_step as last,
)

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.ports import World

FIRST = "- {id: first, run: {uses: builtin:noop, with: {n: 1, list: [a, b], word: text}}}"


def ask(
    world: World, question: Question, step_id: str, prefix: str = "", *, ended: str | None = None
) -> Any:  # noqa: ANN401 - the answer
    reference = StepReference(TENANT, "run-7", step_id, prefix)
    return decide_flow(reference, question, world, ended=ended)["value"]


def world_after_first(steps: str) -> MemoryWorld:
    """A world in which run-7 has run its step `first`."""
    world = a_world(pack(f"{FIRST}\n{steps}"))
    step(world, "first")
    return world


class TestCondition:
    def world(self, condition: str) -> MemoryWorld:
        run = "run: {uses: builtin:noop}"
        return world_after_first(f'- {{id: ship, when: "{condition}", {run}}}')

    def test_that_is_true_runs_the_step(self) -> None:
        world = self.world("steps.first.outputs.n == `1`")

        assert ask(world, Question.CONDITION, "ship") is True
        assert last(world).id == "first#1#ended"

    def test_that_is_false_skips_the_step(self) -> None:
        world = self.world("steps.first.outputs.n == `2`")

        assert ask(world, Question.CONDITION, "ship") is False
        assert last(world).id == "ship#skipped"

    def test_that_cannot_be_evaluated_fails_the_step(self) -> None:
        world = self.world("abs(steps.first.outputs.word)")

        with pytest.raises(StepFailedError, match="step ship failed"):
            ask(world, Question.CONDITION, "ship")

        assert last(world).id == "ship#undecidable"
        assert last(world).metadata == {"reason": "executor-error"}

    def test_may_be_the_first_entry_of_its_run(self) -> None:
        run = "run: {uses: builtin:noop}"
        world = a_world(pack(f"- {{id: ship, when: run.id == 'run-8', {run}}}"))

        ask(world, Question.CONDITION, "ship")

        assert entry_ids(world) == ["run.created", "run.started", "ship#skipped"]


class TestBranch:
    @pytest.mark.parametrize(("n", "taken"), [(1, 0), (2, 1), (3, 2)])
    def test_is_the_first_whose_condition_is_true(self, n: int, taken: int) -> None:
        world = world_after_first(
            f"""
- id: choice
  conditional:
    branches:
      - condition: "`{n}` == steps.first.outputs.n"
        steps: [{{id: one, run: {{uses: builtin:noop}}}}]
      - condition: "`{n}` <= `2`"
        steps: [{{id: two, run: {{uses: builtin:noop}}}}]
    else: [{{id: three, run: {{uses: builtin:noop}}}}]
"""
        )

        assert ask(world, Question.BRANCH, "choice") == taken
        assert (last(world).id, last(world).metadata["value"]) == (
            "choice#branch",
            str(taken),
        )


def each(items: str, kind: str = "map", more: str = "") -> MemoryWorld:
    template = "steps" if kind == "map" else "body"
    return world_after_first(
        f"- {{id: each, {kind}: {{items: {items}, {more} "
        f"{template}: [{{id: leaf, run: {{uses: builtin:noop}}}}]}}}}"
    )


class TestItems:
    def test_that_planning_knows_leave_no_entry(self) -> None:
        world = each("\"['a', 'b', 'c']\"")

        assert ask(world, Question.ITEMS, "each") == [0, 1, 2]
        assert last(world).id == "first#1#ended"

    def test_that_the_run_finds_are_evaluated_once_and_kept(self) -> None:
        world = each("steps.first.outputs.list")

        assert ask(world, Question.ITEMS, "each") == [0, 1]
        assert ask(world, Question.ITEMS, "each") == [0, 1]

        assert (last(world).id, last(world).metadata["value"]) == (
            "each#items",
            "2",
        )
        assert entry_ids(world).count("each#items") == 1
        kept = world.runs.outcomes(TENANT, "run-7", ["each#items"])
        assert kept["each#items"].outputs == ["a", "b"]

    @pytest.mark.parametrize(
        ("items", "kind", "more", "message"),
        [
            ("steps.first.outputs.n", "map", "", "the items of each must be a list, not a number"),
            (
                "steps.first.outputs.list",
                "loop",
                "maxIterations: 1,",
                "2 items are more than the 1 iterations allowed",
            ),
        ],
    )
    def test_that_are_not_a_list_or_too_many_fail_the_block(
        self, items: str, kind: str, more: str, message: str
    ) -> None:
        world = each(items, kind, more)

        with pytest.raises(StepFailedError):
            ask(world, Question.ITEMS, "each")

        assert (last(world).id, last(world).message) == (
            "each#undecidable",
            message,
        )


def turn(following: str, path: str) -> JsonObject:
    """Return where a loop goes on, as machines of this release and of earlier ones read it."""
    run = {"tenant": TENANT, "id": "run-7"}
    return {"next": following, "more": following == "iteration", "run": run, "path": path}


class TestTurn:
    def world(self, until: str = "index == `1`") -> MemoryWorld:
        return each('"[`1`, `2`, `3`]"', "loop", f'until: "{until}",')

    def test_begins_with_the_first_iteration(self) -> None:
        assert ask(self.world(), Question.TURN, "each") == turn("iteration", "each[0]::")

    def test_goes_on_until_the_condition_is_true(self) -> None:
        world = self.world()

        assert ask(world, Question.TURN, "each", "each[0]::") == turn("iteration", "each[1]::")
        assert ask(world, Question.TURN, "each", "each[1]::") == turn("end", "")

        assert (last(world).id, last(world).metadata["value"]) == (
            "each#end",
            "2",
        )
        assert world.runs.outcomes(TENANT, "run-7", ["each#turns"])["each#turns"].outputs == 2

    def test_ends_after_the_last_item(self) -> None:
        world = self.world(until="index == `9`")

        assert ask(world, Question.TURN, "each", "each[2]::") == turn("end", "")

    def test_without_items_ends_at_once(self) -> None:
        world = each("{static: []}", "loop", 'until: "index == `1`",')

        assert ask(world, Question.TURN, "each") == turn("end", "")
        assert last(world).metadata["value"] == "0"

    @pytest.mark.parametrize(("may_fail", "following"), [("false", "failure"), ("true", "end")])
    def test_leaves_the_loop_after_a_failure(self, may_fail: str, following: str) -> None:
        manifest = f"""
        - id: each
          continueOnError: {may_fail}
          loop:
            items: {{static: [1]}}
            until: run.id
            body: [{{id: a, run: {{uses: "builtin:noop"}}}}]
        """
        world = a_world(pack(manifest))
        reference = StepReference(TENANT, "run-7", "each", "each[0]::")

        answer = decide_flow(reference, Question.TURN, world, has_failed=True)

        assert answer == {"value": turn(following, "")}

    def test_goes_on_in_the_iterations_around_the_loop(self) -> None:
        world = a_world(
            pack(
                """
                - id: outer
                  map:
                    items: "[`1`, `2`]"
                    step:
                      id: inner
                      loop:
                        items: "[`1`, `2`, `3`]"
                        iterator: number
                        index: turn
                        until: turn == `1`
                        body: [{id: leaf, run: {uses: builtin:noop}}]
                """
            )
        )

        first = ask(world, Question.TURN, "inner", "outer[1]::")
        second = ask(world, Question.TURN, "inner", "outer[1]::inner[0]::")
        end = ask(world, Question.TURN, "inner", "outer[1]::inner[1]::")

        assert first == turn("iteration", "outer[1]::inner[0]::")
        assert second == turn("iteration", "outer[1]::inner[1]::")
        assert end == turn("end", "outer[1]::")
        assert last(world).id == "outer[1]::inner#end"

    def test_fails_the_loop_when_its_condition_cannot_be_evaluated(self) -> None:
        world = self.world(until="abs(steps.first.outputs.word)")

        with pytest.raises(StepFailedError):
            ask(world, Question.TURN, "each", "each[0]::")

        assert last(world).id == "each#undecidable"
        assert last(world).metadata == {
            "reason": "executor-error",
            "ask": "end",
            "value": "1",
        }

    def test_leaves_an_iteration_for_what_is_around_the_loop(self) -> None:
        world = self.world()

        assert ask(world, Question.LEAVE, "each", "each[0]::") == {"path": ""}


MERGE = "aggregation: merge, outputs: item,"
NOT_TO_BE_MERGED = "the value of iteration 1 must be an object to be merged, not {}"


class TestResult:
    """The result of a loop at its end, with `until` or without."""

    def end(self, items: str, more: str) -> MemoryWorld:
        world = each(items, "loop", more)
        for number in (0, 1):
            step(world, "leaf", iteration=f"each[{number}]::")
        return world

    def ask(self, world: MemoryWorld, until: str) -> None:
        if until:
            ask(world, Question.TURN, "each", "each[1]::")
        else:
            ask(world, Question.RESULT, "each")

    @pytest.mark.parametrize("until", ["", "until: 'index == `1`',"])
    @pytest.mark.parametrize(
        ("items", "more", "message"),
        [
            ("{static: [{}, 2]}", MERGE, NOT_TO_BE_MERGED.format("a number")),
            ("{static: [{}, x]}", MERGE, NOT_TO_BE_MERGED.format("text")),
            ("{static: [{}, [1]]}", MERGE, NOT_TO_BE_MERGED.format("a list")),
            ("{static: [{}, null]}", MERGE, NOT_TO_BE_MERGED.format("null")),
            ("{static: [1, x]}", "outputs: abs(item),", "the outputs of iteration 1: 'abs(item)' "),
        ],
    )
    def test_that_cannot_be_found_fails_the_loop(
        self, items: str, more: str, message: str, until: str
    ) -> None:
        world = self.end(items, until + more)

        with pytest.raises(StepFailedError):
            self.ask(world, until)

        assert last(world).id == "each#undecidable"
        assert last(world).message.startswith(message)

    @pytest.mark.parametrize("until", ["", "until: 'index == `1`',"])
    @pytest.mark.parametrize(
        ("items", "more"),
        [("{static: [{}, {n: 2}]}", MERGE), ("{static: [1, -2]}", "outputs: abs(item),")],
    )
    def test_that_is_found_lets_the_run_go_on(self, items: str, more: str, until: str) -> None:
        world = self.end(items, until + more)

        self.ask(world, until)

        assert "each#undecidable" not in entry_ids(world)


BLOCKS = """
- id: before
  continueOnError: BEFORE
  map:
    items: ITEMS
    failFast: FAST
    outputs: abs(item)
    step: {id: leaf, when: "WHEN", run: {uses: builtin:noop}}
- id: after
  continueOnError: AFTER
  map: {items: steps.first.outputs.NAME, step: {id: other, run: {uses: builtin:noop}}}
"""
NUMBERS = "{static: [1, -2]}"
NOT_ALL_NUMBERS = "{static: [1, x]}"


def blocks(items: str = NUMBERS, **words: str) -> MemoryWorld:
    """A world in which all items of `before` have ended, and `after` is next."""
    words = {"before": "false", "after": "false", "fast": "false", "name": "list"} | words
    text = BLOCKS.replace("ITEMS", items).replace("WHEN", words.get("when", "run.id"))
    for word in ("before", "after", "fast", "name"):
        text = text.replace(word.upper(), words[word])
    world = world_after_first(text)
    for number in (0, 1):
        result_of(partial(step, world, "leaf", iteration=f"before[{number}]::"))
    return world


class TestEnded:
    """The end of a block, which the question for the items of the next block brings about."""

    def items_after(self, world: MemoryWorld) -> Any:  # noqa: ANN401 - the answer
        return ask(world, Question.ITEMS, "after", ended="before")

    def test_is_recorded_before_the_items(self) -> None:
        world = blocks()

        assert self.items_after(world) == [0, 1]

        assert entry_ids(world)[-2:] == ["before#result", "after#items"]

    def test_fails_the_run_by_the_block_that_has_ended(self) -> None:
        world = blocks(NOT_ALL_NUMBERS, after="true")

        with pytest.raises(StepFailedError, match="step before failed"):
            self.items_after(world)

        assert "before#undecidable" in entry_ids(world)
        assert "after#items" not in entry_ids(world)

    def test_lets_a_block_fail_that_may(self) -> None:
        world = blocks(NOT_ALL_NUMBERS, before="true")

        assert self.items_after(world) == [0, 1]

        assert entry_ids(world)[-2:] == ["before#undecidable", "after#items"]

    def test_says_nothing_more_of_a_block_that_has_failed_by_its_items(self) -> None:
        world = blocks("steps.first.outputs.word", before="true")

        assert ask(world, Question.ITEMS, "before") == []
        assert self.items_after(world) == [0, 1]

        assert entry_ids(world)[-2:] == ["before#undecidable", "after#items"]

    def test_says_nothing_more_of_a_block_that_has_failed_by_its_condition(self) -> None:
        world = blocks(before='true\n  when: "abs(steps.first.outputs.word)"')

        assert ask(world, Question.ITEMS, "before") == []
        assert self.items_after(world) == [0, 1]

        assert entry_ids(world).count("before#undecidable") == 1
        assert entry_ids(world)[-1] == "after#items"

    def test_says_nothing_more_of_a_block_that_a_failed_item_has_stopped(self) -> None:
        when = "abs(item) > `0`"
        world = blocks(NOT_ALL_NUMBERS, before="true", fast="true", when=when)

        assert self.items_after(world) == [0, 1]

        assert not {"before#result", "before#undecidable"} & set(entry_ids(world))
        assert last(world).id == "after#items"

    def test_leaves_a_step_without_items_that_may_fail_by_them(self) -> None:
        world = blocks(after="true", name="word")

        assert self.items_after(world) == []

        assert entry_ids(world)[-2:] == ["before#result", "after#undecidable"]

    def test_is_found_again_when_the_question_is_repeated(self) -> None:
        ways = assert_recovers(
            lambda: blocks(NOT_ALL_NUMBERS, before="true"),
            lambda world: ask(world, Question.ITEMS, "after", ended="before"),
        )

        assert ways > 2


def test_rejects_a_question_of_a_run_that_has_ended() -> None:
    world = each("steps.first.outputs.list")
    cancel_run(TENANT, "run-7", "ana", world)

    with pytest.raises(ConflictError) as caught:
        ask(world, Question.ITEMS, "each")

    assert caught.value.code == "run_ended"


def test_does_not_find_an_unknown_run() -> None:
    with pytest.raises(NotFoundError):
        ask(MemoryWorld(), Question.ITEMS, "each")


@pytest.mark.parametrize(
    ("question", "prefix"), [(Question.ITEMS, ""), (Question.TURN, "each[1]::")]
)
def test_asking_again_after_a_crash_gives_the_same_answer(question: Question, prefix: str) -> None:
    def arrange() -> MemoryWorld:
        return each("steps.first.outputs.list", "loop", 'until: "index == `1`",')

    ways = assert_recovers(arrange, lambda world: ask(world, question, "each", prefix))

    assert ways >= 2 * 2 * 4
