"""Give a job of a pool to a worker that asks for work: the oldest that it may take."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final

from taskrunner import executors
from taskrunner.errors import ConflictError, ForbiddenError, NotFoundError, SecretError
from taskrunner.executors.work import ExecutorFailure
from taskrunner.expressions import ExpressionError, templates
from taskrunner.model import timestamp
from taskrunner.model.entries import step_entries
from taskrunner.model.job import HEARTBEAT_S, LEASE_S, REPORTING, Job, Lease, digest, lease_id
from taskrunner.model.plan import RunStep
from taskrunner.model.run import Reason
from taskrunner.runtime.delivery import refuse_job
from taskrunner.runtime.earlier_artifacts import EarlierArtifacts
from taskrunner.runtime.job_ends import give_up
from taskrunner.runtime.leased_jobs import name_job, step_of
from taskrunner.runtime.noted_workers import note_worker
from taskrunner.runtime.run_lifecycle import start_entries
from taskrunner.runtime.step_secrets import read_secrets
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskrunner.executors.worker import Parameters
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.worker_reports import LeaseRequest
    from taskrunner.ports import World
    from taskrunner.runtime.running_step import RunningStep

# Between two looks of a worker that waits for a job.
_PAUSE_S: Final = 2.0
# The worker downloads the artifacts before it runs the script.
_DOWNLOAD_S: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """The work of a job: its parameters, and the artifacts and secrets that it gets."""

    parameters: Parameters
    artifacts: Sequence[JsonObject]
    secrets: dict[str, str]


def lease_job(request: LeaseRequest, world: World) -> JsonObject | None:
    """Return the lease of a job as the API writes it, or None if no job comes within the wait.

    Each of the tenants gets its turn, and among the jobs of one the oldest comes first. The job's
    attempt begins with the lease. Its secrets are read here, and stored nowhere. A job whose
    parameters cannot be used has failed, and the next one is looked at.

    Raises:
        ForbiddenError: the caller may not take jobs from the pool.
        TryAgainError: AWS was busy.
    """
    if not request.caller.may_take_from(request.pool):
        message = (
            f"this client may not take jobs from the pool {request.pool}; an operator can add the "
            "pool to its entry in the registry"
        )
        raise ForbiddenError("forbidden", message)
    note_worker(request.tenants, request.pool, request.labels, world)
    deadline = world.clock.now() + timedelta(seconds=request.wait_s)
    while True:
        for job in _waiting(request, world):
            lease = _named_lease(job, request, world)
            if lease is not None:
                return lease
        left_s = (deadline - world.clock.now()).total_seconds()
        if left_s <= 0:
            return None
        world.clock.sleep(min(_PAUSE_S, left_s))


def _waiting(request: LeaseRequest, world: World) -> Iterator[Job]:
    """Return the jobs that the worker may take: the oldest of each tenant, then the next of each.

    Which tenant is first changes from call to call, so that none is always the first.
    """
    tenants = request.tenants
    first = int(world.clock.now().timestamp() * 1000) % len(tenants) if tenants else 0
    queues = [
        world.jobs.waiting(tenant, request.pool, request.labels)
        for tenant in (*tenants[first:], *tenants[:first])
    ]
    jobs = chain.from_iterable(zip_longest(*queues))
    return (job for job in jobs if job is not None)


def _named_lease(job: Job, request: LeaseRequest, world: World) -> JsonObject | None:
    """Lease *job* as `_lease` does, and let the log's line about an error name it.

    The lines after a job that is passed over are about others.
    """
    try:
        return _lease(job, request, world)
    except Exception:
        name_job(job, world)
        raise


def _lease(job: Job, request: LeaseRequest, world: World) -> JsonObject | None:
    """Lease *job*; None if somebody else has it, its run has ended, or it cannot be run."""
    try:
        running = step_of(job, world)
    except NotFoundError:  # retention has deleted its run
        world.jobs.withdraw(job)
        return None
    step = running.step
    assert isinstance(step, RunStep)  # noqa: S101 - only these have jobs
    problem: Exception | None = None
    order = None
    try:
        # Before the lease, because AWS may refuse to read the secrets now.
        order = _order(running, step)
    except (ConflictError, ExecutorFailure, ExpressionError, SecretError) as error:
        problem = error
    secret = world.ids.secret()
    lease = _new_lease(running, step, request, secret)
    leased = replace(job, lease=lease)
    entries = [
        *start_entries(running.snapshot, lease.leased_at),
        step_entries.attempt_started(
            job.step_path,
            job.attempt,
            step.uses,
            lease.leased_at,
            deferrals=job.losses,
            worker=lease.worker,
        ),
    ]
    try:
        if not world.jobs.lease(running.snapshot, job, lease, entries, inside=running.inside):
            return None
    except ConflictError:
        refuse_job(job, running.snapshot.run, world)
        return None
    if order is None:
        give_up(leased, running, Reason.EXECUTOR_ERROR, str(problem))
        return None
    return _answer(leased, lease, secret, order, running)


def _new_lease(running: RunningStep, step: RunStep, request: LeaseRequest, secret: str) -> Lease:
    now = running.world.clock.now()
    stop_at = now + timedelta(seconds=step.timeout_s)
    expires_at = min(now + timedelta(seconds=LEASE_S), stop_at + REPORTING)
    return Lease(
        secret_digest=digest(secret),
        client=request.caller.subject,
        worker=request.worker,
        leased_at=timestamp.to_text(now),
        expires_at=timestamp.to_text(expires_at),
        stop_at=timestamp.to_text(stop_at),
        labels=request.labels,
    )


# --- the work ---------------------------------------------------------------------------------


def _order(running: RunningStep, step: RunStep) -> _Order:
    """Fill in the step's parameters.

    Raises:
        SecretError: a secret cannot be used.
        ExpressionError: an expression cannot be evaluated.
        ExecutorFailure: the parameters do not fit, or an artifact does not exist.
        ConflictError: the run, or a block around the step, has ended.
    """
    # Only a job that is given away needs pydantic, which is a third of a cold start.
    from taskrunner.executors import arguments  # noqa: PLC0415

    references = templates.references(step.parameters)
    secrets = read_secrets(references, running.snapshot.run.tenant, running.world)
    context = running.context(references, now=running.time_reached(references))
    filled = templates.fill(step.parameters, context | {"secrets": secrets})
    executor = executors.find(step.uses)
    assert executor is not None  # noqa: S101 - every pool has the same executor
    parameters: Parameters = arguments.checked(executor, filled)  # type: ignore[assignment]
    return _Order(
        parameters=parameters,
        artifacts=_artifacts(parameters.artifacts, running),
        secrets=secrets,
    )


def _artifacts(names: Sequence[str], running: RunningStep) -> list[JsonObject]:
    """Return where the worker downloads the artifacts with *names*, and under which file names."""
    if not names:
        return []
    earlier = EarlierArtifacts(running)
    tenant, store = running.snapshot.run.tenant, running.world.artifacts
    found: dict[str, JsonObject] = {}
    for name in names:
        distinct_names = earlier.matching(name)
        if not distinct_names:
            known = ", ".join(earlier.by_name) or "none"
            message = f"there is no artifact '{name}' of an earlier step; there are: {known}"
            raise ExecutorFailure(message)
        for distinct_name in distinct_names:
            artifact = earlier.by_name[distinct_name]
            found[distinct_name] = {
                "name": distinct_name,
                "fileName": (artifact.source_path or artifact.name).rsplit("/", 1)[-1],
                "url": store.download_url(tenant, artifact, _DOWNLOAD_S),
                "sizeBytes": artifact.size_bytes,
                "sha256": artifact.sha256,
            }
    return _with_distinct_files(list(found.values()))


def _with_distinct_files(artifacts: list[JsonObject]) -> list[JsonObject]:
    """Return *artifacts* with the name of each in front of its file's, where two are the same."""
    files = [artifact["fileName"] for artifact in artifacts]
    return [
        artifact
        if files.count(artifact["fileName"]) == 1
        else artifact | {"fileName": f"{artifact['name'].replace('/', '-')}-{artifact['fileName']}"}
        for artifact in artifacts
    ]


def _answer(job: Job, lease: Lease, secret: str, order: _Order, running: RunningStep) -> JsonObject:
    from taskrunner.executors.function import idempotency_key  # noqa: PLC0415 - imports pydantic

    run = running.snapshot.run
    step = running.step
    assert isinstance(step, RunStep)  # noqa: S101 - only these have jobs
    return {
        "leaseId": lease_id(job),
        "secret": secret,
        "expiresAt": lease.expires_at,
        "heartbeatSeconds": HEARTBEAT_S,
        "run": {
            "id": run.run_id,
            "tenant": run.tenant,
            "pack": {"name": run.pack_name, "version": run.pack_version},
        },
        "stepId": job.step_path,
        "attempt": job.attempt,
        "idempotencyKey": idempotency_key(run.tenant, run.run_id, run.created_at, job.step_path),
        "timeoutSeconds": step.timeout_s,
        "with": order.parameters.model_dump(
            by_alias=True, exclude_none=True, exclude={"artifacts", "labels"}
        ),
        "artifacts": list(order.artifacts),
        "secrets": order.secrets,
    }
