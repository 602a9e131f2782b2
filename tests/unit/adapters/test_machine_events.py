"""The events of machines, also of those that an earlier release made and that still run."""

from __future__ import annotations

import pytest

from taskrunner.adapters import machine_events
from taskrunner.model.run import StepReference

RUN = {"tenant": "acme", "id": "run-7"}
OLD = {"tenant": "acme", "run": "run-7", "step": "ship", "path": "each[1]::"}


def event(retries: int = 0, **place: object) -> dict[str, object]:
    place = {"run": RUN, "path": "each[1]::", **place}
    return {"place": place, "step": "ship", "retry": retries}


@pytest.mark.parametrize("given", [event(), OLD])
def test_names_the_step_and_its_iteration(given: dict[str, object]) -> None:
    expected = StepReference("acme", "run-7", "ship", "each[1]::")

    assert machine_events.step_reference(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (event(), False),
        (event(retries=2), True),
        (OLD, True),
        (OLD | {"retry": 0}, False),
        (OLD | {"retry": 1}, True),
    ],
)
def test_says_whether_the_state_retries(given: dict[str, object], *, expected: bool) -> None:
    assert machine_events.is_retry(given) is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (event(timeout={"Error": "States.Timeout", "Cause": ""}), True),
        # The rest of the gate before: its answer, or its own failure.
        (event(timeout={}), False),
        (event(timeout={"Error": "ApprovalExpiredError", "Cause": ""}), False),
        (event(), False),
        (OLD, False),
    ],
)
def test_says_whether_the_gates_time_is_over(given: dict[str, object], *, expected: bool) -> None:
    assert machine_events.has_timed_out(given) is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (event(next={"Error": "StepFailedError", "Cause": ""}), True),
        (event(next="failure"), False),
        (event(), False),
        (OLD, False),
    ],
)
def test_says_whether_a_failure_led_back_to_a_loop(
    given: dict[str, object], *, expected: bool
) -> None:
    assert machine_events.has_failed(given) is expected


@pytest.mark.parametrize(
    "given", [{"place": {"run": RUN, "path": "each[1]::"}}, {"run": RUN, "path": "each[1]::"}]
)
def test_reads_the_run_and_the_prefix_of_a_child_execution(given: dict[str, object]) -> None:
    assert machine_events.path_prefix(given) == "each[1]::"
    assert machine_events.run_of(given) == ("acme", "run-7")


@pytest.mark.parametrize("late", [False, True])
def test_a_gate_that_is_handed_on_is_read_as_it_was(*, late: bool) -> None:
    gate = StepReference("acme", "run-7", "ship", "each[1]::")

    given = machine_events.gate_event(gate, "a-token", has_timed_out=late)

    assert machine_events.step_reference(given) == gate
    assert machine_events.has_timed_out(given) is late
    assert given["token"] == "a-token"
