"""Take up what was cut off: deliver decisions, notify, start, stop and settle.

The record is the truth, and Step Functions, SNS and KMS learn of it after that. A call that stops
between the two leaves due work behind (`model.due_work`), which one pass a minute takes
up here. Everything here may happen twice.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

from taskrunner.errors import ConflictError, NotFoundError, StartRefusedError
from taskrunner.model import step_path, timestamp
from taskrunner.model.approval import record_of
from taskrunner.model.due_work import (
    DueItem,
    DueKind,
    is_quiet,
    lease_until,
    look_after_expiry,
    next_look_at_running,
)
from taskrunner.model.metrics import Measurement, Metric
from taskrunner.model.run import RunStatus, StepReference
from taskrunner.model.state.fold import fold
from taskrunner.runtime import gate_decisions
from taskrunner.runtime.delivery import deliver_ended, fail_all_gates
from taskrunner.runtime.deployment_gauges import gauges
from taskrunner.runtime.gate_announcement import announce
from taskrunner.runtime.reached_gate import find_gate
from taskrunner.usecases.record_lost_attempts import record_lost_attempts
from taskrunner.usecases.recover_job import recover_job
from taskrunner.usecases.settle_run import not_started
from taskrunner.usecases.watch_objective import watch_objective

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import Run
    from taskrunner.ports import RunSnapshot, World
    from taskrunner.runtime.reached_gate import ReachedGate

_log: Final = logging.getLogger(__name__)
# A pass is called once a minute. The rest stays due.
PASS_S: Final = 45.0
_MOST_OF_A_KIND: Final = 400
_THREADS: Final = 10  # as many connections as boto3 keeps, and executions as AWS describes a second
# Step Functions' statuses of an execution that goes on, or that an operator may let go on.
_RUNNING: Final = "RUNNING"
_GOING_ON: Final = frozenset({_RUNNING, "PENDING_REDRIVE"})
# A run whose start fails this often, other than by AWS being busy, is settled as failed.
_MOST_STARTS: Final = 3
_ENDED: Final = "ENDED"
_OF_STEPS: Final = frozenset({DueKind.GATE, DueKind.BLOCK, DueKind.OFFER, DueKind.LEASE})


class Pass(NamedTuple):
    """The work of a pass: the items that it took up, and the error of each that failed."""

    taken: int
    failures: list[tuple[DueItem, Exception]]


def reconcile(world: World, pass_s: float = PASS_S) -> Pass:
    """Take up the work that is due, at most *pass_s* seconds long.

    Each kind of work gets its turn, and what takes seconds, starting runs, comes last. An item that
    fails is looked at again after a pause that doubles. So nothing that cannot be healed holds up
    the rest.
    """
    now = world.clock.now()
    queues = [world.due_work.due(kind, timestamp.to_text(now), _MOST_OF_A_KIND) for kind in DueKind]
    items = [item for item in chain(*zip_longest(*queues)) if item is not None]
    deadline = now + timedelta(seconds=pass_s)
    unstarted: list[DueItem] = []  # appended to by threads, which list.append allows
    looked = _each(items, lambda item: _take_up(item, unstarted, world), deadline, world)
    started = _each(unstarted, lambda item: _start(item, world), deadline, world)
    done = Pass(looked.taken, looked.failures + started.failures)
    world.metrics.record(
        Measurement(Metric.RECONCILER_PASSES, 1),
        Measurement(Metric.REPAIRS, done.taken - len(done.failures)),
        Measurement(Metric.REPAIRS_FAILED, len(done.failures)),
    )
    _record_gauges(items, now, world)
    return done


def _record_gauges(items: Sequence[DueItem], now: datetime, world: World) -> None:
    """Record the gauges. They come last, and no error of theirs fails a pass."""
    try:
        measured = list(gauges(items, now, world))
    except Exception as error:  # noqa: BLE001 - see above
        _log.warning("the deployment could not be measured", extra={"error": type(error).__name__})
    else:
        world.metrics.record(*measured)


def _each(
    items: Sequence[DueItem], act: Callable[[DueItem], bool], deadline: datetime, world: World
) -> Pass:
    """Call *act* for each item until the deadline; it returns whether it took the item up."""

    def attempt(item: DueItem) -> bool | Exception:
        if world.clock.now() >= deadline:
            return False
        world.logs.add(**ids(item))
        try:
            return act(item)
        except Exception as error:  # noqa: BLE001 - one item must not stop the pass for the others
            return error

    # Threads have no context, and in one of its own an item is named by its lines alone.
    contexts = [copy_context() for _ in items]
    with ThreadPoolExecutor(_THREADS) as pool:
        attempts = pool.map(lambda context, item: context.run(attempt, item), contexts, items)
        results = list(zip(items, attempts, strict=True))
    failures = [(item, result) for item, result in results if isinstance(result, Exception)]
    return Pass(sum(1 for _, result in results if result is not False), failures)


def ids(item: DueItem) -> dict[str, str]:
    """Return the ids of the work that *item* is about, as lines of the log name them."""
    known = {"tenant": item.tenant, "run": item.run_id}
    return known | {"step": item.name} if item.kind in _OF_STEPS and item.name else known


def _take_up(due: DueItem, unstarted: list[DueItem], world: World) -> bool:
    """Lease an item and do what is due; return False when another pass has leased it."""
    item = world.due_work.lease(due, lease_until(world.clock.now(), due.looks))
    if item is None:
        return False
    try:
        snapshot = world.runs.snapshot(item.tenant, item.run_id)
    except NotFoundError:
        return True  # retention deletes items of a run one by one; the rest will go too
    if item.kind is not DueKind.RUN:
        _follow_up(item, snapshot, world)
    elif not _look_after(item, snapshot, world):
        unstarted.append(item)
    return True


def _follow_up(item: DueItem, snapshot: RunSnapshot, world: World) -> None:
    """Do what must follow a write of a run."""
    match item.kind:
        case DueKind.APPROVAL:
            _deliver(item, snapshot, world)
        case DueKind.GATE:
            _announce(item, snapshot, world)
        case DueKind.BLOCK:
            _answer_stopped(item, snapshot, world)
        case DueKind.ENDED:
            _finish(item, snapshot, world)
        case DueKind.OBJECTIVE:
            watch_objective(item, snapshot, world)
        case DueKind.OFFER | DueKind.LEASE:
            recover_job(item, world)
        case DueKind.RUN:
            raise AssertionError("a run that goes on is looked after elsewhere")
        case _:
            assert_never(item.kind)


def _deliver(item: DueItem, snapshot: RunSnapshot, world: World) -> None:
    """Bring an approval's decisions to all of its gates; those of an ended run end with it."""
    plan = _plan(snapshot.run, world)
    if plan is not None:
        record = world.approvals.get(item.tenant, item.run_id, *record_of(item.name))
        gate_decisions.deliver(snapshot, plan, record, world)
        gate_decisions.deliver_expiry(snapshot.run, plan, record, world)
    world.due_work.finish(item)


def _answer_stopped(item: DueItem, snapshot: RunSnapshot, world: World) -> None:
    """Fail the gates that wait in a block which a failure has stopped."""
    plan = _plan(snapshot.run, world)
    if plan is not None:
        deliver_ended(snapshot.run, plan, world)
    world.due_work.finish(item)


def _plan(run: Run, world: World) -> Plan | None:
    """Return the run's plan, or None when retention has deleted it."""
    try:
        return world.plans.get(run.tenant, run.plan_hash)
    except NotFoundError:
        return None


def _announce(item: DueItem, snapshot: RunSnapshot, world: World) -> None:
    """Notify approvers of a gate that still waits and of which they may not have been notified."""
    summary = world.approvals.unnotified(snapshot.run, item.name)
    gate = None if summary is None else _undecided_gate(item, summary, world)
    if summary is None or gate is None:
        world.due_work.finish(item)
    else:
        announce(gate, summary, world)


def _undecided_gate(item: DueItem, summary: JsonObject, world: World) -> ReachedGate | None:
    """Return the gate that is listed by *summary*, or None when nobody can decide it any more.

    An expiry is a gate's own: other gates of its approval may still wait.
    """
    if summary["expiresAt"] <= timestamp.to_text(world.clock.now()):
        return None
    prefix, step_id = step_path.split(item.name)
    try:
        gate = find_gate(StepReference(item.tenant, item.run_id, step_id, prefix), world)
    except (ConflictError, NotFoundError):  # its run has ended, or retention has begun to delete it
        return None
    return gate if gate.record.verdict is None and gate.verdict is None else None


def _finish(item: DueItem, snapshot: RunSnapshot, world: World) -> None:
    """Stop what still runs of an ended run, and have it sealed.

    The seal ends the work, but for the steps whose functions died, and which nobody tried again. A
    run whose plan retention has deleted cannot be sealed, so answering its gates ends the work.
    """
    run, plan = snapshot.run, _plan(snapshot.run, world)
    if run.sealed:
        if plan is not None:
            record_lost_attempts(snapshot, plan, world)
        world.due_work.finish(item)
        return
    if run.outcome is RunStatus.CANCELLED:
        world.machines.stop(run)
    if plan is None:
        fail_all_gates(run, world)
        world.due_work.finish(item)
        return
    deliver_ended(run, plan, world)
    world.settlements.request(run, _ENDED)


def _look_after(item: DueItem, snapshot: RunSnapshot, world: World) -> bool:
    """Settle a run whose execution has ended; return False when it has none.

    While it goes on, steps whose functions died in its stopped blocks are recorded. A run that has
    ended since it was due is left to its end's own due work.
    """
    run = snapshot.run
    if run.outcome is not None:
        return True
    status = world.machines.status(run)
    if status is None:
        return False
    if status in _GOING_ON:
        if (plan := _plan(run, world)) is not None:
            record_lost_attempts(snapshot, plan, world)
        world.due_work.postpone(item, _next_look(snapshot, status, world))
    else:
        world.settlements.request(run, status)
    return True


def _next_look(snapshot: RunSnapshot, status: str, world: World) -> str:
    """Return when to look again at a run whose execution goes on.

    A run that only waits, and has done so for longer than AWS can hold up a step beside its gates,
    changes nothing before its first gate expires, unless somebody decides. Then the decision's
    delivery moves the look, also if that comes between the reads here and the write after them.
    """
    run, now = snapshot.run, world.clock.now()
    soon = next_look_at_running(now, run.created_at)
    expires_at = world.approvals.first_expiry(run) if status == _RUNNING else None
    if expires_at is None or not _only_waits(snapshot, now, world):
        return soon
    return max(soon, look_after_expiry(expires_at))


def _only_waits(snapshot: RunSnapshot, now: datetime, world: World) -> bool:
    """Return whether a run waits at gates, and no lane of it is on the way to its next step."""
    plan = _plan(snapshot.run, world)
    if plan is None or not is_quiet(now, snapshot.last_entries[-1].entry.occurred_at):
        return False
    run = snapshot.run
    journal = world.runs.journal(run.tenant, run.run_id)
    state = fold(plan, (placed.entry for placed in journal), run.created_at)
    return state.status is RunStatus.WAITING


def _start(item: DueItem, world: World) -> bool:
    """Start a run that was recorded and has no execution, or settle it when that cannot be done."""
    # The compiler would be a third of a cold start, and most passes start nothing.
    from taskrunner.usecases.start_run import start_run  # noqa: PLC0415

    try:
        start_run(item.tenant, item.run_id, world)
    except Exception as error:
        if _is_hopeless(error) or item.looks >= _MOST_STARTS:
            run = world.runs.snapshot(item.tenant, item.run_id).run
            world.settlements.request(run, not_started(error))
        raise
    return True


def _is_hopeless(error: Exception) -> bool:
    """Return whether a start that failed with *error* fails again."""
    match error:
        case NotFoundError():
            return True
        case StartRefusedError():
            return error.for_good
        case _:
            return False
