"""State machines that steps call, in memory. They execute nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from taskrunner.executors.work import ExecutorFailure
from taskrunner.model.machine_call import ExecutionReport, ExecutionStatus

if TYPE_CHECKING:
    from taskrunner.model.machine_call import Execution


@dataclass
class MemoryCalledMachines:
    """Executions by name, of the *machines* that exist; tests end them.

    *starts* has each start, in order, also those that found their execution. With
    *refusal*, no call succeeds.
    """

    machines: set[str] = field(default_factory=set)
    executions: dict[Execution, ExecutionReport] = field(default_factory=dict)
    starts: list[Execution] = field(default_factory=list)
    refusal: Exception | None = None

    def start(self, execution: Execution, input_text: str) -> None:
        self._check()
        if execution.machine not in self.machines:
            raise ExecutorFailure(f"there is no machine '{execution.machine}' for this deployment")
        self.starts.append(execution)
        report = ExecutionReport(status=ExecutionStatus.RUNNING, input_text=input_text)
        self.executions.setdefault(execution, report)

    def describe(self, execution: Execution) -> ExecutionReport | None:
        self._check()
        return self.executions.get(execution)

    def stop(self, execution: Execution) -> None:
        self._check()
        report = self.executions.get(execution)
        if report is not None and not report.has_ended:
            self.end(execution, ExecutionStatus.ABORTED, error="Stopped", cause="by a test")

    def end(
        self,
        execution: Execution,
        status: ExecutionStatus = ExecutionStatus.SUCCEEDED,
        output_text: str | None = None,
        error: str | None = None,
        cause: str | None = None,
    ) -> ExecutionReport:
        """End *execution* as its machine would, and return what EventBridge says."""
        report = replace(
            self.executions[execution],
            status=status,
            output_text=output_text,
            error=error,
            cause=cause,
            duration_s=1.5,
        )
        self.executions[execution] = report
        return report

    def _check(self) -> None:
        if self.refusal is not None:
            raise self.refusal
