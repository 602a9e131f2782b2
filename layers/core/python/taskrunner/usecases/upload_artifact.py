"""Give a worker the address that it uploads a file of its attempt to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model.run import lease_lost, run_ended
from taskrunner.runtime.leased_jobs import leased_job
from taskrunner.runtime.uploaded_files import artifact_of

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.worker_reports import UploadRequest
    from taskrunner.ports import World


def upload_artifact(request: UploadRequest, world: World) -> JsonObject:
    """Return the address for one file, and the headers that must be sent with it.

    The file counts once the completion of the attempt names it.

    Raises:
        NotFoundError: the caller can have no such lease.
        ConflictError: `lease_lost`, or `run_ended`: the run takes no artifacts any more.
    """
    job, running = leased_job(request.lease_id, request.secret, request.caller, world)
    if job.is_done:
        raise lease_lost(job.step_path)
    run = running.snapshot.run
    if not run.takes_artifacts:
        raise run_ended(run.run_id, str(run.outcome))
    upload = world.artifacts.upload_url(run, artifact_of(request.file, running))
    return {"url": upload.url, "headers": dict(upload.headers)}
