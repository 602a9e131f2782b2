"""The metrics of a deployment: a closed list, because each name costs, and alarms name them.

docs/operations.md says what each one means.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Unit(StrEnum):
    """The units that metrics have, in CloudWatch's words."""

    COUNT = "Count"
    SECONDS = "Seconds"


class Metric(StrEnum):
    """The metrics, by their names in CloudWatch."""

    # Runs and steps, counted from the journal.
    RUNS_CREATED = "RunsCreated"
    RUNS_SUCCEEDED = "RunsSucceeded"
    RUNS_FAILED = "RunsFailed"
    RUNS_CANCELLED = "RunsCancelled"
    RUN_TIME = "RunTime"  # from creation to end, waiting at gates included
    STEP_TIME = "StepTime"  # of one attempt's executor
    STEP_WAIT = "StepWait"  # from the journal entry before to the start of an attempt
    ATTEMPTS_FAILED = "AttemptsFailed"
    ATTEMPTS_LOST = "AttemptsLost"  # the function died
    ATTEMPTS_DEFERRED = "AttemptsDeferred"  # AWS refused an attempt for now
    WORKERS_LOST = "WorkersLost"  # a job was lost with its worker
    # Gates and objectives.
    GATES_OPENED = "GatesOpened"
    GATES_APPROVED = "GatesApproved"
    GATES_REJECTED = "GatesRejected"
    GATES_EXPIRED = "GatesExpired"
    GATE_WAIT = "GateWait"
    NOTIFICATIONS_FAILED = "NotificationsFailed"  # those of gates that SNS did not take
    SLO_BREACHES = "SloBreaches"
    # Gauges of the reconciler's pass, and its work.
    OPEN_GATES = "OpenGates"
    OLDEST_GATE_AGE = "OldestGateAge"
    WAITING_JOBS = "WaitingJobs"
    OLDEST_JOB_AGE = "OldestJobAge"
    DUE_WORK = "DueWork"
    DUE_WORK_AGE = "DueWorkAge"
    RECONCILER_PASSES = "ReconcilerPasses"
    REPAIRS = "Repairs"
    REPAIRS_FAILED = "RepairsFailed"
    # Gauges of the daily removal of machines, and its work.
    STATE_MACHINES = "StateMachines"  # of the account and Region
    PACK_MACHINES = "PackMachines"
    PACK_MACHINES_DELETED = "PackMachinesDeleted"
    MACHINES_NOT_DELETED = "MachinesNotDeleted"  # because AWS refuses, and not because it is busy
    # Functions.
    UNEXPECTED_ERRORS = "UnexpectedErrors"
    REQUESTS_THROTTLED = "RequestsThrottled"
    CALLS_RETRIED = "CallsRetried"
    EVENTS_UNREADABLE = "EventsUnreadable"

    @property
    def unit(self) -> Unit:
        """The unit of its values."""
        return Unit.SECONDS if self in _TIMES else Unit.COUNT


_TIMES = frozenset(
    {
        Metric.RUN_TIME,
        Metric.STEP_TIME,
        Metric.STEP_WAIT,
        Metric.GATE_WAIT,
        Metric.OLDEST_GATE_AGE,
        Metric.OLDEST_JOB_AGE,
        Metric.DUE_WORK_AGE,
    }
)


class Measurement(NamedTuple):
    """A value of a metric: of the deployment, or of one worker pool."""

    metric: Metric
    value: float
    pool: str | None = None
