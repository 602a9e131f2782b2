"""An invocation of a function, as its log shows it: whose it is, and how it failed.

A failure of a pack is expected: the machine has to hear of it by an error's name. It gets one line
of the log with the reason, and leaves the function without a traceback. An unexpected error is
logged with its traceback, and counted: Lambda's own count of errors has the failures of packs too.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from taskrunner.adapters import logs
from taskrunner.adapters.machine_events import step_reference
from taskrunner.errors import (
    AttemptFailedError,
    StepFailedError,
    TaskRunnerError,
    TryAgainError,
)
from taskrunner.model.metrics import Measurement, Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskrunner.ports import Metrics

Handler: TypeAlias = "Callable[..., dict[str, Any]]"
_TRACE: Final = "_X_AMZN_TRACE_ID"
# Answers of functions. API Gateway's own throttles never reach one, so these are not counted.
_BUSY: Final = frozenset({429, 503})
_BUG: Final = 500  # of an error that the edge of the API has logged


class UnauthorizedError(Exception):
    """The caller is not known. API Gateway answers 401 to exactly this text, 500 to any other."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


class Context(Protocol):
    """The object that Lambda gives a handler beside the event."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the function may still run."""
        ...


def observed(
    handler: Handler, environment: Mapping[str, str], metrics: Callable[[], Metrics]
) -> Handler:
    """Return *handler* with the log and the metrics of its invocations.

    *environment* is read at each invocation, because Lambda puts the trace id there. *metrics* is
    called when there is something to count.
    """

    @wraps(handler)
    def observe(event: dict[str, Any], context: object = None, **ports: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a test passes
        with logs.fields(**_known(event, context, environment)):
            try:
                answer = handler(event, context, **ports)
            except UnauthorizedError:
                raise
            except TaskRunnerError as error:
                _log_expected(error)
                if isinstance(error, TryAgainError):
                    metrics().record(Measurement(Metric.CALLS_RETRIED, 1))
                # The machine gets the error's name. The traceback would only be noise in the log.
                raise error.with_traceback(None) from None
            except Exception:
                logs.logger.exception("unexpected error")
                metrics().record(Measurement(Metric.UNEXPECTED_ERRORS, 1))
                raise
            if answer.get("statusCode") in _BUSY:
                metrics().record(Measurement(Metric.REQUESTS_THROTTLED, 1))
            elif answer.get("statusCode") == _BUG:
                metrics().record(Measurement(Metric.UNEXPECTED_ERRORS, 1))
            return answer

    return observe


def _log_expected(error: TaskRunnerError) -> None:
    name = type(error).__name__
    match error:
        case StepFailedError() | AttemptFailedError():
            attempt = {} if error.attempt is None else {"attempt": error.attempt}
            extra = {"error": name, "reason": error.reason, "cause": error.cause, **attempt}
            logs.logger.warning("the step failed", extra=extra)
        case TryAgainError():
            logs.logger.warning("AWS is too busy", extra={"error": name, "cause": str(error)})
        case _:
            logs.logger.warning("refused", extra={"error": name, "cause": str(error)})


def _known(
    event: Mapping[str, Any], context: object, environment: Mapping[str, str]
) -> dict[str, object]:
    """Return whose invocation it is, as far as the event says it."""
    known = {
        "trace_id": _root(environment.get(_TRACE, "")),
        "request_id": getattr(context, "aws_request_id", None),
        **_of_event(event),
    }
    return {name: value for name, value in known.items() if value}


def _root(header: str) -> str:
    """Return the trace id in a header such as `Root=1-5759e988-bd862e3f;Sampled=1`."""
    parts = dict(part.partition("=")[::2] for part in header.split(";"))
    return parts.get("Root", "")


def _of_event(event: Mapping[str, Any]) -> dict[str, object]:
    match event:
        case {"place": {"run": _}, "step": _} | {"run": str(_), "step": _}:
            reference = step_reference(event)
            return {"tenant": reference.tenant, "run": reference.run_id, "step": reference.path}
        case {"place": {"run": {"tenant": tenant, "id": run}}} | {"tenant": tenant, "run": run}:
            return {"tenant": tenant, "run": run}
        case {"requestContext": {"requestId": request}, "pathParameters": path}:
            return {"trace": request, "run": (path or {}).get("runId")}
        case _:
            return {}
