"""lambda:<name> hands a step to a function of the deployment, under one key in every attempt."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner import executors
from taskrunner.executors import function
from taskrunner.executors.work import ExecutorFailure
from tests.fakes.executor_world import CREATED_AT, MemoryFunctions, a_work

_NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_#:\[\]-]{0,20}", fullmatch=True)
USES = "lambda:change-window"


def test_the_function_is_told_who_asks_for_what(tmp_path: Path) -> None:
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


def test_every_attempt_has_another_number_and_the_same_key(tmp_path: Path) -> None:
    functions = MemoryFunctions({"change-window": None})

    for attempt in (1, 2):
        work = a_work(tmp_path, uses=USES, functions=functions, attempt=attempt)
        function.execute(function.Parameters(), work)

    [(_, first), (_, second)] = functions.calls
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert first["idempotencyKey"] == second["idempotencyKey"]
    assert re.fullmatch("[0-9a-f]{64}", first["idempotencyKey"])


def test_a_run_that_has_the_id_of_an_earlier_one_has_keys_of_its_own() -> None:
    """Retention frees the id, and a function may keep what it did for longer."""
    keys = {
        function.idempotency_key("acme", "run-7", created_at, "ship")
        for created_at in ("2025-12-06T12:00:00.000Z", "2026-12-06T12:00:00.000Z")
    }

    assert len(keys) == 2


@given(st.lists(st.tuples(_NAMES, _NAMES, _NAMES, _NAMES), min_size=2, max_size=2, unique=True))
def test_no_two_steps_have_one_key(steps: list[tuple[str, str, str, str]]) -> None:
    one, other = steps

    assert function.idempotency_key(*one) != function.idempotency_key(*other)


def test_the_key_of_a_step_is_kept_for_good() -> None:
    """A function may have stored it before the release that is running now."""
    expected = "b1de99269a42846bbb5fe098517cc86a9ddbe022615f23bc4b303011833e8163"

    assert function.idempotency_key("acme", "run-7", CREATED_AT, "map[1]::ship") == expected


def test_a_function_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ExecutorFailure, match="change-window"):
        function.execute(function.Parameters(), a_work(tmp_path, uses=USES))


@pytest.mark.parametrize("name", ["a", "change-window", "My_Function2", "a" * 63])
def test_any_name_of_a_function_is_an_executor(name: str) -> None:
    assert getattr(executors.find(f"lambda:{name}"), "execute", None) is function.execute
    assert executors.function_name(f"lambda:{name}") == name


@pytest.mark.parametrize(
    "reference",
    [
        "lambda",
        "lambda:",
        "lambda:../x",
        "lambda:a b",
        "lambda:-a",
        "lambda:a:1",
        "lambda:a\n",
        "lambda:é",
        "lambda:lambda:a",
        "lambda:" + "a" * 64,
        "LAMBDA:a",
        "change-window",
    ],
)
def test_what_names_no_function_is_no_executor(reference: str) -> None:
    assert executors.find(reference) is None


@pytest.mark.parametrize(
    "name", ["function", "work", "exchange", "redirects", "response", "assert_", "__init__"]
)
def test_a_module_that_is_no_executor_is_not_found_by_a_pack(name: str) -> None:
    assert executors.find(f"builtin:{name}") is None
