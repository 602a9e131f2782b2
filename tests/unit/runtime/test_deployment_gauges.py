"""The gauges of jobs that wait for workers, of all pools together and of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskrunner.model import timestamp
from taskrunner.model.job import Job
from taskrunner.model.metrics import Measurement, Metric
from taskrunner.runtime.deployment_gauges import MOST_JOBS, MOST_POOLS, gauges
from tests.fakes.world import MemoryWorld

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = timestamp.from_text("2025-12-06T12:00:00.000Z")


@dataclass
class WaitingJobs:
    """The part of the port Jobs that gauges ask."""

    jobs: Sequence[Job]

    def oldest(self, limit: int) -> Sequence[Job]:
        return self.jobs[:limit]


def job(pool: str, offered_at: str = "2025-12-06T11:59:30.000Z") -> Job:
    return Job(
        tenant="acme",
        run_id="run-7",
        step_path="ship",
        attempt=1,
        pool=pool,
        offered_at=offered_at,
        waits_since=offered_at,
    )


def measured(*jobs: Job) -> list[Measurement]:
    world = MemoryWorld()
    world.jobs = WaitingJobs(jobs)  # type: ignore[assignment]
    return [
        found
        for found in gauges([], NOW, world)
        if found.metric in {Metric.WAITING_JOBS, Metric.OLDEST_JOB_AGE}
    ]


def test_measures_all_jobs_and_those_of_each_pool() -> None:
    found = measured(job("linux", "2025-12-06T11:58:00.000Z"), job("gpu"), job("linux"))

    assert found == [
        Measurement(Metric.WAITING_JOBS, 3),
        Measurement(Metric.OLDEST_JOB_AGE, 120),
        Measurement(Metric.WAITING_JOBS, 1, "gpu"),
        Measurement(Metric.OLDEST_JOB_AGE, 30, "gpu"),
        Measurement(Metric.WAITING_JOBS, 2, "linux"),
        Measurement(Metric.OLDEST_JOB_AGE, 120, "linux"),
    ]


def test_measures_zero_when_no_job_waits() -> None:
    assert measured() == [
        Measurement(Metric.WAITING_JOBS, 0),
        Measurement(Metric.OLDEST_JOB_AGE, 0),
    ]


def test_counts_no_more_than_a_page_of_jobs_and_measures_few_pools() -> None:
    found = measured(*(job(f"pool-{number}") for number in range(MOST_JOBS + 1)))

    assert found[0] == Measurement(Metric.WAITING_JOBS, MOST_JOBS)
    assert len({measurement.pool for measurement in found} - {None}) == MOST_POOLS
