"""The cost of planning a step, in calls of Python functions: a number that load cannot change.

bench/planning.py measures the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskrunner.compiler.driver import compile_pack
from taskrunner.errors import InvalidPackError
from tests.calls import calls
from tests.packs import pack

if TYPE_CHECKING:
    from collections import Counter

STEP = (
    "- {{id: s{0}, run: {{uses: builtin:noop, with: {{a: '{{{{ inputs.region }}}}-{1}-{0}'}}}}}}\n"
)
# A process keeps the expressions that it knows, and in these steps each has one of its own.
OWN = (
    "- {{id: s{0}, run: {{uses: builtin:noop, with: {{a: '{{{{ inputs.images.i{1}-{0} }}}}'}}}}}}\n"
)
SPEC = "inputs: [{name: region, type: string, default: eu}, {name: images, type: object}]"


def manifest(steps: int, number: int, step: str) -> str:
    return pack("".join(step.format(index, number) for index in range(steps)), spec=SPEC)


def planning(steps: int, number: int, step: str = STEP) -> Counter[tuple[str, str]]:
    text = manifest(steps, number, step)
    return calls(lambda: compile_pack(text, {}))


@pytest.fixture(autouse=True, scope="module")
def _warm() -> None:
    compile_pack(manifest(1, 0, STEP), {})


def test_each_expression_is_parsed_once() -> None:
    counts = planning(10, 1, OWN)

    assert counts["jmespath.parser", "parse"] == 10


def test_an_expression_of_many_steps_is_parsed_once() -> None:
    step = "- {{id: s{0}, when: inputs.region == 'known', run: {{uses: builtin:noop}}}}\n"

    assert planning(10, 1, step)["jmespath.parser", "parse"] == 1


def test_a_pack_without_maps_is_planned_once() -> None:
    assert planning(10, 2)["taskrunner.compiler.planning.steps", "_run"] == 10


@pytest.mark.parametrize(("mistakes", "checks"), [(100, 2), (101, 1)])
def test_a_pack_of_more_mistakes_than_are_reported_is_checked_once(
    mistakes: int, checks: int
) -> None:
    """With fewer, what is sound is checked and planned without them, for mistakes in its inputs."""
    steps = [f"- {{id: s{step}, run: {{uses: builtin:missing}}}}" for step in range(mistakes)]
    text = pack("\n".join([*steps, STEP.format(mistakes, 4)]), spec=SPEC)

    def refused() -> None:
        with pytest.raises(InvalidPackError):
            compile_pack(text, {})

    assert calls(refused)["taskrunner.compiler.checks.pack", "problems"] == checks


def test_hashes_do_not_need_the_slow_writer_of_canonical_json() -> None:
    assert planning(10, 3)["rfc8785._impl", "dump"] == 0


@pytest.mark.parametrize(("step", "most"), [(STEP, 500), (OWN, 730)])
def test_a_step_costs_the_same_in_a_long_pack_and_at_most_so_many_calls(
    step: str, most: int
) -> None:
    first, second, third = (planning(steps, steps, step).total() for steps in (10, 110, 210))

    a_step, later = (second - first) / 100, (third - second) / 100
    assert later == pytest.approx(a_step, rel=0.02)
    assert a_step < most
    assert first - 10 * a_step < 1200
