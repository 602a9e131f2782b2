"""The start of tests about workers: packs, the worker of a tenant, and what it asks of the service.

A run's id is run-7, as in `scenarios`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from taskrunner.model import timestamp
from taskrunner.model.caller import Caller
from taskrunner.model.due_work import DueKind
from taskrunner.model.run import StepReference
from taskrunner.model.worker_reports import (
    AttemptEnd,
    Completion,
    FailureReason,
    LeaseReport,
    LeaseRequest,
    OutputBatch,
    Stream,
    UploadedFile,
    UploadRequest,
)
from taskrunner.usecases.complete_job import complete_job
from taskrunner.usecases.lease_job import lease_job
from taskrunner.usecases.offer_job import offer_job
from taskrunner.usecases.recover_job import recover_job
from taskrunner.usecases.renew_lease import renew_lease
from taskrunner.usecases.upload_artifact import upload_artifact
from tests.packs import pack
from tests.unit.usecases.scenarios import TENANT

if TYPE_CHECKING:
    from taskrunner.model.job import Job
    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonObject
    from taskrunner.ports import World
    from tests.fakes.world import MemoryWorld

WORKER: Final = Caller(
    subject="workers",
    scopes=frozenset({"worker"}),
    tenants=(TENANT,),
    pools=frozenset({"linux"}),
)
TESTS: Final = pack("- {id: tests, run: {uses: worker:linux, with: {script: make}}}")
RETRIED: Final = pack(
    """
    - id: tests
      retries: {maxAttempts: 2, backoffSeconds: 30}
      run: {uses: worker:linux, with: {script: make}}
    """
)
COUNTED: Final = pack(
    """
    - id: tests
      retries: {maxAttempts: 2, on: [worker-lost]}
      run: {uses: worker:linux, with: {script: publish}}
    """
)
WITH_A_SECRET: Final = pack(
    """
    - id: tests
      run: {uses: worker:linux, with: {script: make, env: {TOKEN: "{{ secrets.token }}"}}}
    """,
    spec="secrets: [{name: token}]",
)
SECRET: Final = "correct-horse-battery"
# A failure stops the block `lanes`, and the run goes on after it.
LANES: Final = pack(
    """
    - id: outer
      continueOnError: true
      parallel:
        steps:
          - id: lanes
            parallel:
              steps:
                - {id: tests, run: {uses: worker:linux, with: {script: make}}}
                - {id: broken, run: {uses: builtin:fail}}
    - {id: after, run: {uses: builtin:noop}}
    """
)
CONTENT: Final = b"<testsuite/>"
FILE: Final = UploadedFile(
    path="reports/junit.xml",
    size_bytes=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    media_type="text/xml",
)


def offer(
    world: World,
    step_id: str = "tests",
    token: str = "token-1",  # noqa: S107
    *,
    run_id: str = "run-7",
    tenant: str = TENANT,
) -> JsonObject:
    """Offer a step, as the machine does."""
    return offer_job(StepReference(tenant, run_id, step_id, ""), token, world)


def lease(world: World, caller: Caller = WORKER, **changes: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the lease of the oldest job, or None."""
    asked: dict[str, Any] = {
        "caller": caller,
        "tenants": caller.tenants,
        "pool": "linux",
        "worker": "build-7",
    }
    return lease_job(LeaseRequest(**(asked | changes)), world)


def leased(world: World) -> Any:  # noqa: ANN401 - any JSON
    """Offer the step `tests`, and return its lease."""
    offer(world)
    return lease(world)


def beat(world: World, work: JsonObject, *output: OutputBatch, **changes: Any) -> JsonObject:  # noqa: ANN401
    """Renew a lease."""
    return renew_lease(LeaseReport(**(_lease_of(work) | {"output": output} | changes)), world)


def succeed(world: World, work: JsonObject, **changes: Any) -> JsonObject:  # noqa: ANN401
    """Report that the attempt has succeeded."""
    fields = {**_lease_of(work), "status": AttemptEnd.SUCCEEDED, **changes}
    return complete_job(Completion(**fields), world)


def fail(
    world: World,
    work: JsonObject,
    reason: FailureReason = FailureReason.EXECUTOR_ERROR,
    **changes: Any,  # noqa: ANN401
) -> JsonObject:
    """Report that the attempt has failed."""
    fields = {**_lease_of(work), "status": AttemptEnd.FAILED, "reason": reason, **changes}
    return complete_job(Completion(**fields), world)


def upload(world: MemoryWorld, work: JsonObject, content: bytes = CONTENT) -> str:
    """Upload the file, and return its address."""
    request = UploadRequest(**_lease_of(work), file=FILE)
    url = str(upload_artifact(request, world)["url"])
    world.artifacts.put(url, content)
    return url


def _lease_of(work: JsonObject) -> dict[str, Any]:
    return {"caller": WORKER, "lease_id": work["leaseId"], "secret": work["secret"]}


def recover(world: MemoryWorld, after_s: float = 0) -> int:
    """Take up the jobs that are due after a time, as the reconciler does; return how many."""
    world.clock.advance(after_s)
    now = timestamp.to_text(world.clock.now())
    due = [
        item for kind in (DueKind.LEASE, DueKind.OFFER) for item in world.due_work.due(kind, now, 9)
    ]
    for item in due:
        taken = world.due_work.lease(item, now)
        assert taken is not None
        recover_job(taken, world)
    return len(due)


def text(sequence: int, written: str, stream: Stream = Stream.STDOUT) -> OutputBatch:
    """Return a part of an attempt's output."""
    return OutputBatch(sequence=sequence, stream=stream, text=written)


def job(world: MemoryWorld, path: str = "tests") -> Job:
    found = world.jobs.get(TENANT, "run-7", path)
    assert found is not None
    return found


def entries(world: MemoryWorld, event: str) -> list[Entry]:
    """Return the entries of that event, in order."""
    journal = world.runs.journal(TENANT, "run-7")
    return [placed.entry for placed in journal if placed.entry.event == event]


def is_left(world: MemoryWorld) -> bool:
    """Return whether a job is listed, has an unanswered token, or is due."""
    jobs = world.jobs.stored.values()
    kinds = {item.kind for item in world.due_work.items.values()}
    is_due = not kinds.isdisjoint({DueKind.LEASE, DueKind.OFFER})
    return is_due or any(stored.is_listed or stored.token is not None for stored in jobs)
