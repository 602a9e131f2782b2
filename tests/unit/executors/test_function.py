"""lambda:<name> invokes a function of the deployment, with one key for all attempts of a step."""

import re
from pathlib import Path
from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.executors import function
from taskrunner.executors.work import ExecutorFailure
from tests.fakes.executor_world import CREATED_AT, MemoryFunctions, a_work

_FIRST = ascii_letters + digits
_NAMES = st.builds(str.__add__, st.sampled_from(_FIRST), st.text(_FIRST + "_#:[]-", max_size=20))
USES = "lambda:change-window"


def test_the_function_receives_the_run_the_step_and_its_parameters(tmp_path: Path) -> None:
    functions = MemoryFunctions({"change-window": {"open": True}})
    parameters = function.Parameters.model_validate({"environment": "production", "tries": 3})

    answer = function.execute(parameters, a_work(tmp_path, uses=USES, functions=functions))

    assert answer == {"open": True}
    assert functions.calls == [
        (
            "change-window",
            {
                "run": {"id": "run-7", "tenant": "acme"},
                "step": "ship",
                "attempt": 1,
                "idempotencyKey": function.idempotency_key("acme", "run-7", CREATED_AT, "ship"),
                "with": {"environment": "production", "tries": 3},
            },
        )
    ]


def test_attempts_of_a_step_have_different_numbers_and_the_same_key(tmp_path: Path) -> None:
    functions = MemoryFunctions({"change-window": None})

    for attempt in (1, 2):
        work = a_work(tmp_path, uses=USES, functions=functions, attempt=attempt)
        function.execute(function.Parameters(), work)

    [(_, first), (_, second)] = functions.calls
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert first["idempotencyKey"] == second["idempotencyKey"]
    assert re.fullmatch("[0-9a-f]{64}", first["idempotencyKey"])


def test_a_run_that_reuses_an_id_has_keys_of_its_own() -> None:
    """An id is free again after retention, and a function may remember a key for longer."""
    keys = {
        function.idempotency_key("acme", "run-7", created_at, "ship")
        for created_at in ("2025-12-06T12:00:00.000Z", "2026-12-06T12:00:00.000Z")
    }

    assert len(keys) == 2


@given(st.lists(st.tuples(_NAMES, _NAMES, _NAMES, _NAMES), min_size=2, max_size=2, unique=True))
def test_two_steps_never_share_a_key(steps: list[tuple[str, str, str, str]]) -> None:
    first, second = steps

    assert function.idempotency_key(*first) != function.idempotency_key(*second)


def test_the_key_of_a_step_never_changes() -> None:
    """A function may have stored the key under an earlier release."""
    expected = "b1de99269a42846bbb5fe098517cc86a9ddbe022615f23bc4b303011833e8163"

    assert function.idempotency_key("acme", "run-7", CREATED_AT, "map[1]::ship") == expected


def test_a_function_that_does_not_exist_fails_the_step(tmp_path: Path) -> None:
    with pytest.raises(ExecutorFailure, match="change-window"):
        function.execute(function.Parameters(), a_work(tmp_path, uses=USES))
