"""The lines of the log: JSON objects, with what is known of the invocation."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from taskrunner.adapters import logs
from taskrunner.adapters.invocations import observed
from taskrunner.errors import AttemptFailedError, ConflictError, StepFailedError, TryAgainError
from taskrunner.model.metrics import Metric
from tests.fakes.metrics import MemoryMetrics
from tests.log_lines import log_lines
from tests.machine.client import LambdaContext

TRACE_ID = "1-5759e988-bd862e3fe1be46a994272793"
ENVIRONMENT = {"_X_AMZN_TRACE_ID": f"Root={TRACE_ID};Parent=53995c3f42cd8ad8;Sampled=1"}
STEP_EVENT = {
    "place": {"run": {"tenant": "acme", "id": "run-7"}, "path": "each[1]::"},
    "step": "deploy",
    "retry": 0,
}
IDS = {
    "tenant": "acme",
    "run": "run-7",
    "step": "each[1]::deploy",
    "trace_id": TRACE_ID,
}


def call(event: dict[str, Any], error: Exception | None = None, **answer: int) -> MemoryMetrics:
    """Call an observed function that logs a line and then answers or raises."""
    metrics = MemoryMetrics()

    def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
        logging.getLogger("taskrunner.runtime").warning("a line", extra={"more": "text\nof two"})
        if error is not None:
            raise error
        return answer

    observed(handler, ENVIRONMENT, lambda: metrics)(event, LambdaContext())
    return metrics


def test_a_line_names_the_run_the_step_and_the_trace() -> None:
    with log_lines() as lines:
        call(STEP_EVENT)

    (line,) = lines
    assert {name: line[name] for name in IDS} == IDS
    assert (line["level"], line["message"], line["more"]) == ("WARNING", "a line", "text\nof two")


def test_a_line_outside_of_an_invocation_names_nobody() -> None:
    call(STEP_EVENT)

    with log_lines() as lines:
        logs.logger.warning("later")

    assert lines[0].keys() == {"level", "timestamp", "location", "message"}


def test_the_end_of_a_run_names_the_run() -> None:
    with log_lines() as lines:
        call({"tenant": "acme", "run": "run-7", "error": None})

    assert (lines[0]["tenant"], lines[0]["run"]) == ("acme", "run-7")


def test_a_request_names_the_run_and_its_own_id() -> None:
    with log_lines() as lines:
        call({"requestContext": {"requestId": "r-1"}, "pathParameters": {"runId": "run-7"}})

    assert (lines[0]["trace"], lines[0]["run"]) == ("r-1", "run-7")


@pytest.mark.parametrize("kind", [StepFailedError, AttemptFailedError])
def test_a_failed_step_logs_one_line_without_a_traceback(
    kind: type[StepFailedError | AttemptFailedError],
) -> None:
    error = kind("see the log", reason="timeout", cause="took 3 s", attempt=2)

    with log_lines() as lines, pytest.raises(kind, match="see the log") as raised:
        call(STEP_EVENT, error)

    line = lines[1]
    shown = {**IDS, "attempt": 2, "reason": "timeout", "cause": "took 3 s"}
    assert {name: line[name] for name in shown} == shown
    assert "exception" not in line
    assert raised.value.__suppress_context__
    assert [entry.name for entry in raised.traceback][-1] == "observe"


def test_an_unexpected_error_is_logged_with_its_traceback_and_counted() -> None:
    metrics = MemoryMetrics()

    def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
        raise KeyError("bug")

    with log_lines() as lines, pytest.raises(KeyError):
        observed(handler, ENVIRONMENT, lambda: metrics)(STEP_EVENT, LambdaContext())

    assert lines[0]["exceptionName"] == "KeyError"
    assert "Traceback" in lines[0]["exception"]
    assert metrics.values(Metric.UNEXPECTED_ERRORS) == [1]


@pytest.mark.parametrize(
    ("error", "counted"),
    [(TryAgainError("busy"), [1]), (ConflictError("run_ended", "it has ended"), [])],
)
def test_counts_the_calls_that_the_machine_must_repeat(
    error: Exception, counted: list[float]
) -> None:
    metrics = MemoryMetrics()

    def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
        raise error

    with pytest.raises(type(error)):
        observed(handler, {}, lambda: metrics)(STEP_EVENT, LambdaContext())

    assert metrics.values(Metric.CALLS_RETRIED) == counted
    assert metrics.values(Metric.UNEXPECTED_ERRORS) == []


@pytest.mark.parametrize("status", [429, 503])
def test_counts_the_requests_that_are_answered_with_try_again(status: int) -> None:
    assert call({}, statusCode=status).values(Metric.REQUESTS_THROTTLED) == [1]


def test_counts_the_bugs_that_are_answered_with_500() -> None:
    assert call({}, statusCode=500).values(Metric.UNEXPECTED_ERRORS) == [1]


def test_counts_no_other_answer() -> None:
    assert call({}, statusCode=404).recorded == []
