"""Take up a job whose lease may have ended, or whose machine may not have been answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.model import timestamp

if TYPE_CHECKING:
    from taskrunner.model.due_work import DueItem
    from taskrunner.ports import World


def recover_job(item: DueItem, world: World) -> bool:
    """Answer the machine of a job that is done; look again at a lease when it ends.

    Return whether that is all that the job needs.
    """
    job = world.jobs.get(item.tenant, item.run_id, item.name)
    if job is None:
        world.due_work.finish(item)
        return True
    if job.is_done:
        world.jobs.answer(job, None)
        return True
    now = timestamp.to_text(world.clock.now())
    if job.lease is not None and job.lease.expires_at > now:
        world.due_work.postpone(item, job.lease.expires_at)
        return True
    return False
