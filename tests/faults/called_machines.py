"""The invariants of machines that steps call: an attempt is one execution, and ends as it does."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from taskrunner.model.journal import Event
from tests.machine.deployment import called_machine_arn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.executions import Execution
    from tests.faults.invariants import Record
    from tests.faults.service import Service


def called_executions(service: Service) -> list[Execution]:
    """Return the executions that steps have started."""
    prefix = called_machine_arn("")
    executions = service.states.executions.values()
    return [execution for execution in executions if execution.machine_arn.startswith(prefix)]


def problems(service: Service, record: Record) -> Iterator[str]:
    """Yield what is wrong with the executions of a run's steps, now that all is settled."""
    entries = {entry.id: entry for entry in record.entries}
    found = [(_attempt(execution), execution) for execution in called_executions(service)]
    for attempt, count in Counter(attempt for attempt, _ in found).items():
        if count > 1:
            yield f"{attempt} was started {count} times"
    for attempt, execution in found:
        started, ended = (entries.get(f"{attempt}#{what}") for what in ("started", "ended"))
        if started is None or started.metadata.get("execution") != execution.name:
            yield f"no entry says that {attempt} has started {execution.name}"
        if ended is None:
            yield f"no entry says that {attempt} has ended, which is {execution.status}"
        elif ended.event is Event.STEP_COMPLETED and execution.status != "SUCCEEDED":
            yield f"{attempt} is recorded as completed, and its execution is {execution.status}"


def _attempt(execution: Execution) -> str:
    caller = json.loads(execution.input)["taskrunner"]
    return f"{caller['step']}#{caller['attempt']}"
