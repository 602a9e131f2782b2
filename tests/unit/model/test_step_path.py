from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model import step_path
from taskrunner.model.step_path import Iteration, StepPath
from tests.strategies import step_ids

_indexes = st.integers(0, 999_999_999)
_enclosing = st.lists(st.tuples(step_ids, _indexes), max_size=4)


def prefix_of(enclosing: list[tuple[str, int]]) -> str:
    prefix = ""
    for block_id, index in enclosing:
        prefix = step_path.iteration_prefix(step_path.join(prefix, block_id), index)
    return prefix


def test_parse_returns_the_iterations_and_the_step_id() -> None:
    assert step_path.parse("outer[1]::inner[0]::leaf") == StepPath(
        (Iteration("outer", 1), Iteration("outer[1]::inner", 0)), "leaf"
    )


def test_a_step_outside_of_maps_and_loops_has_its_id_as_its_path() -> None:
    assert step_path.parse("deploy") == StepPath((), "deploy")
    assert step_path.join("", "deploy") == "deploy"


@given(_enclosing, step_ids)
def test_parse_returns_the_parts_that_a_path_was_built_of(
    enclosing: list[tuple[str, int]], step_id: str
) -> None:
    parsed = step_path.parse(step_path.join(prefix_of(enclosing), step_id))

    assert parsed.step_id == step_id
    assert [(iteration.block_id, iteration.number) for iteration in parsed.iterations] == enclosing


@given(_enclosing, step_ids)
def test_a_path_is_the_innermost_prefix_and_the_id(
    enclosing: list[tuple[str, int]], step_id: str
) -> None:
    path = step_path.join(prefix_of(enclosing), step_id)

    parsed = step_path.parse(path)

    innermost = parsed.iterations[-1].prefix if parsed.iterations else ""
    assert step_path.join(innermost, parsed.step_id) == path
    assert step_path.iterations(innermost) == parsed.iterations
    prefixes = ["", *(iteration.prefix for iteration in parsed.iterations)]
    assert [iteration.outer_prefix for iteration in parsed.iterations] == prefixes[:-1]


@given(_enclosing, step_ids)
def test_parent_is_the_block_whose_iterations_share_its_beginning(
    enclosing: list[tuple[str, int]], step_id: str
) -> None:
    path = step_path.join(prefix_of(enclosing), step_id)

    parent = step_path.parent(path)

    assert (parent is not None) == step_path.is_iterated(path) == bool(enclosing)
    if parent is not None:
        assert path.startswith(step_path.below(parent))
        assert step_path.parse(parent).iterations == step_path.parse(path).iterations[:-1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "outer[1]::",
        "outer[1]",
        "outer::leaf",
        "outer[x]::leaf",
        "outer[-1]::leaf",
        "outer[01]::leaf",
        "outer[1234567890]::leaf",
        "outer[1]:leaf",
        "[1]::leaf",
        "outer[1]::leaf\n",
        "-leaf",
        "leaf#items",
    ],
)
def test_rejects_what_is_not_a_path(text: str) -> None:
    with pytest.raises(ValueError, match="not a step path"):
        step_path.parse(text)


@pytest.mark.parametrize("text", ["outer", "outer[1]", "outer[1]::inner", "::", "outer[1]::\n"])
def test_rejects_what_is_not_a_prefix(text: str) -> None:
    with pytest.raises(ValueError, match="not the prefix of a step path"):
        step_path.iterations(text)
