"""A sandbox without a process: the executor runs in a thread, and takes no time that is told."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from threading import Thread

from taskrunner import executors
from taskrunner.executors.work import EgressDenied, ExecutorFailure, Services, Work
from taskrunner.model.run import Reason
from taskrunner.sandbox.job import Ended, Job, Usage

NOTHING = Usage()


@dataclass
class ThreadSandbox:
    """`ports.Sandbox` for tests of the use cases; *jobs* are what it was given.

    It keeps wall time only. What an attempt is said to have used is *usage*; when there is an
    *ended*, that is how each ends.
    """

    usage: Usage = NOTHING
    jobs: list[Job] = field(default_factory=list)
    ended: Ended | None = None

    def prepare(self) -> None:
        pass

    def execute(self, job: Job, services: Services) -> Ended:
        self.jobs.append(job)
        if self.ended is not None:
            return self.ended
        done: list[Ended | BaseException] = []
        thread = Thread(target=lambda: done.append(_outcome(job, services)), daemon=True)
        thread.start()
        thread.join(job.limits.wall_s)
        if not done:
            message = f"not done after {job.limits.wall_s:g} seconds"
            return Ended(reason=Reason.TIMEOUT, message=message, usage=self.usage)
        if isinstance(done[0], BaseException):
            raise done[0]
        return replace(done[0], usage=self.usage)


def _outcome(job: Job, services: Services) -> Ended | BaseException:
    executor = executors.find(job.uses)
    assert executor is not None
    try:
        parameters = executor.Parameters.model_validate(job.parameters)
        return Ended(outputs=executor.execute(parameters, _work(job, services)))
    except EgressDenied as denial:
        return Ended(reason=Reason.EGRESS_DENIED, message=str(denial))
    except ExecutorFailure as failure:
        return Ended(reason=Reason.EXECUTOR_ERROR, message=str(failure))
    except BaseException as surprise:  # noqa: BLE001 - carried over, and raised in the caller
        return surprise


def _work(job: Job, services: Services) -> Work:
    return Work(
        **{one.name: getattr(services, one.name) for one in fields(Services)},
        run_id=job.run_id,
        run_created_at=job.run_created_at,
        tenant=job.tenant,
        step_id=job.step_id,
        uses=job.uses,
        attempt=job.attempt,
        time_s=job.limits.wall_s,
        plan_document=job.plan_document,
        output=job.output,
        scratch=job.scratch,
    )
