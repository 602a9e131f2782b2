"""The port Functions: a function's answer, or why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.executors.work import ExecutorFailure

if TYPE_CHECKING:
    from tests.contract.ports import Ports


@pytest.mark.parametrize("answer", [{"a": [1, "☃", None]}, [], "text", 1.5, None])
def test_the_answer_of_a_function_is_any_json(world: Ports, answer: Any) -> None:  # noqa: ANN401
    payloads = []

    def function(payload: Any) -> Any:  # noqa: ANN401
        payloads.append(payload)
        return answer

    world.deploy("answers", function)

    assert world.functions.invoke("answers", {"with": {"ä": "☃"}}) == answer
    assert payloads == [{"with": {"ä": "☃"}}]


def test_an_error_of_a_function_is_reported_by_type_and_message(world: Ports) -> None:
    def function(_: Any) -> Any:  # noqa: ANN401
        raise RuntimeError("the service is down")

    world.deploy("fails", function)

    with pytest.raises(ExecutorFailure) as failure:
        world.functions.invoke("fails", {})

    assert str(failure.value) == "the function 'fails' failed: RuntimeError: the service is down"


def test_a_function_that_does_not_exist_is_reported_by_name(world: Ports) -> None:
    with pytest.raises(ExecutorFailure, match="there is no executor function 'nobody' in this"):
        world.functions.invoke("nobody", {})


def nested(levels: int) -> Any:  # noqa: ANN401
    value: Any = 0
    for _ in range(levels):
        value = {"in": [value]}
    return value


@pytest.mark.parametrize(
    "answer",
    [float("nan"), {"n": 2**60}, ["\ud800"], nested(101)],
    ids=lambda answer: str(answer)[:20],
)
def test_an_answer_without_a_canonical_form_fails(world: Ports, answer: Any) -> None:  # noqa: ANN401
    world.deploy("strange", lambda _: answer)

    with pytest.raises(ExecutorFailure, match="the function 'strange' answered with invalid JSON"):
        world.functions.invoke("strange", {})
