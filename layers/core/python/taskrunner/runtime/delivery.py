"""Bring to Step Functions what the record of a run says: record first, deliver after."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

from taskrunner.errors import TryAgainError
from taskrunner.model import step_path, timestamp
from taskrunner.model.approval import record_name
from taskrunner.model.failure import can_stop_gates, can_stop_run_steps, stoppable_blocks
from taskrunner.model.machine_call import execution_of
from taskrunner.model.plan import ApprovalGate, PolicyGate
from taskrunner.model.run import block_stopped, run_ended

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskrunner.model.approval import GateRecord
    from taskrunner.model.job import Job
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import Run
    from taskrunner.ports import World


def deliver_ended(run: Run, plan: Plan, world: World) -> None:
    """Fail the gates and waiting jobs whose run, or a block around them, has ended before them.

    AWS stops the lanes beside a failed one, but an engine may wait for all of them: then nothing
    goes on until their gates and jobs have been answered. A job that a worker has leased is left to
    the worker, which stops at its next report. A call of a state machine is left to the reconciler,
    which alone may stop executions. The call may be repeated.

    The due work of a stopped block is removed once its gates have been answered.

    Raises:
        TryAgainError: AWS was busy; some gates may have been answered.
    """
    if not (plan.approvals or plan.has_jobs):
        return
    run = world.runs.snapshot(run.tenant, run.run_id).run
    if run.outcome is not None:
        fail_all_gates(run, world)
        refuse_all_jobs(run, plan, world)
        return
    if can_stop_gates(plan):
        _deliver_stopped(run, plan, world)
    if plan.has_jobs and can_stop_run_steps(plan):
        _refuse_stopped_jobs(run, plan, world)


def fail_all_gates(run: Run, world: World) -> None:
    """Fail all gates of *run*, which has ended, that have not been answered."""
    world.runs.close_approvals(run)
    world.approvals.fail(run, list(world.approvals.unwoken(run)))


def refuse_all_jobs(run: Run, plan: Plan, world: World) -> None:
    """Refuse the jobs of *run*, which has ended, that wait for a worker, and have calls stopped."""
    if plan.has_jobs:
        for job in world.jobs.of_run(run):
            _end_unwanted(job, run, world)


def refuse_job(job: Job, run: Run, world: World) -> None:
    """Remove a waiting *job* that may not begin any more, and let its machine know."""
    if world.jobs.withdraw(job):
        is_stopped = run.outcome is None
        error = block_stopped(run.run_id) if is_stopped else run_ended(run.run_id, str(run.outcome))
        world.jobs.answer(job, error)


def _end_unwanted(job: Job, run: Run, world: World) -> None:
    """Refuse *job* if it waits for a worker, or have the reconciler stop the machine it calls."""
    if job.is_done:
        return
    if job.lease is None:
        refuse_job(job, run, world)
    elif execution_of(job) is not None:
        world.jobs.hasten(job, timestamp.to_text(world.clock.now()))


def _refuse_stopped_jobs(run: Run, plan: Plan, world: World) -> None:
    stopped = world.runs.stopped_blocks(run).keys()
    for job in world.jobs.of_run(run) if stopped else ():
        if not stopped.isdisjoint(stoppable_blocks(plan, job.step_path)):
            _end_unwanted(job, run, world)


def _deliver_stopped(run: Run, plan: Plan, world: World) -> None:
    # The blocks are read before the gates: no gate opens in a block that was found stopped.
    blocks = world.runs.stopped_blocks(run)
    unwoken = list(world.approvals.unwoken(run))
    going_on = _outside(unwoken, blocks, plan)
    stopped = [gate for gate in unwoken if gate not in going_on]
    world.approvals.fail(run, stopped)
    waiting = _paths_by_record(going_on, plan)
    for name in _paths_by_record(stopped, plan):
        world.approvals.list_anew(run, name, waiting.get(name, ()))
    for item in filter(None, blocks.values()):
        with suppress(TryAgainError):  # the reconciler finds that nothing is left to deliver
            world.due_work.finish(item)


def outside_of_stopped_blocks(
    gates: Iterable[GateRecord], run: Run, plan: Plan, world: World
) -> list[GateRecord]:
    """Return those of *gates* that no failure beside them has stopped."""
    return _outside(gates, world.runs.stopped_blocks(run) if can_stop_gates(plan) else (), plan)


def _outside(gates: Iterable[GateRecord], stopped: Iterable[str], plan: Plan) -> list[GateRecord]:
    paths = frozenset(stopped)
    return [gate for gate in gates if paths.isdisjoint(stoppable_blocks(plan, gate.step_path))]


def _paths_by_record(gates: Iterable[GateRecord], plan: Plan) -> dict[str, list[str]]:
    """Return the paths of *gates* by the name of the record that each waits for."""
    paths = defaultdict(list)
    for gate in gates:
        step = plan.step(step_path.parse(gate.step_path).step_id)
        match step:
            case ApprovalGate(approval_id=str(approval_id)) | PolicyGate(override=str(approval_id)):
                gate_path = plan.approval(approval_id).record_path(gate.step_path)
                paths[record_name(approval_id, gate_path)].append(gate.step_path)
            case _:
                pass
    return dict(paths)
