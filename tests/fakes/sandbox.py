"""A sandbox without a process: the executor runs in a thread."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import TYPE_CHECKING

from taskrunner import executors
from taskrunner.executors import arguments
from taskrunner.executors.work import EgressDenied, ExecutorFailure
from taskrunner.model.run import Reason
from taskrunner.sandbox import results
from taskrunner.sandbox.attempt import AttemptRequest, AttemptResult, Usage
from taskrunner.sandbox.child import work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.executors.work import Services
    from taskrunner.sandbox.attempt import Limits

NOTHING_USED = Usage()


@dataclass
class ThreadSandbox:
    """`ports.Sandbox` for tests of the use cases; it enforces wall time only.

    *requests* are the attempts that it executed, *prepared_for* those that it prepared for, and
    *begun_requests* those that began before their start was recorded. *usage* is reported for each
    attempt. When *result* is set, no executor runs and every attempt ends with it.
    """

    usage: Usage = NOTHING_USED
    requests: list[AttemptRequest] = field(default_factory=list)
    result: AttemptResult | None = None
    prepared_for: list[tuple[str, Limits]] = field(default_factory=list)
    begun_requests: list[AttemptRequest] = field(default_factory=list)

    def prepare(self) -> None:
        pass

    def prepare_for(self, uses: str, limits: Limits) -> None:
        self.prepared_for.append((uses, limits))

    @contextmanager
    def begun(self, request: AttemptRequest) -> Iterator[None]:
        self.prepare_for(request.uses, request.limits)
        self.begun_requests.append(request)
        yield

    def execute(self, request: AttemptRequest, services: Services) -> AttemptResult:
        self.requests.append(request)
        if self.result is not None:
            return self.result
        outcome = self.outcome(request, services)
        if outcome is None:
            return results.out_of_time(request.limits, self.usage)
        if isinstance(outcome, BaseException):
            raise outcome
        return replace(outcome, usage=self.usage)

    def outcome(
        self, request: AttemptRequest, services: Services
    ) -> AttemptResult | BaseException | None:
        """Return what the executor returned or raised, or None if its time is over."""
        outcomes: list[AttemptResult | BaseException] = []
        thread = Thread(target=lambda: outcomes.append(executed(request, services)), daemon=True)
        thread.start()
        thread.join(request.limits.wall_s)
        return outcomes[0] if outcomes else None


def executed(request: AttemptRequest, services: Services) -> AttemptResult | BaseException:
    """Execute an attempt, and return its result, or the error that it raised."""
    executor = executors.find(request.uses)
    assert executor is not None
    try:
        parameters = arguments.checked(executor, request.parameters)
        return AttemptResult(outputs=executor.execute(parameters, work(request, services)))
    except EgressDenied as denial:
        return AttemptResult(reason=Reason.EGRESS_DENIED, message=str(denial))
    except ExecutorFailure as failure:
        return AttemptResult(reason=Reason.EXECUTOR_ERROR, message=str(failure))
    except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
        return error
