"""The port Jobs: the waiting jobs that a worker's labels are enough for, however many wait."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from taskrunner.adapters.jobs import DynamoJobs
from taskrunner.adapters.journal_chunks import JournalChunks
from taskrunner.adapters.table import Table
from taskrunner.adapters.task_tokens import TaskTokens
from taskrunner.adapters.waiting_jobs import Bounds
from tests.contract.counted import CountedDynamodb
from tests.contract.jobs import a_lease, at, jobs_in, offered
from tests.contract.ports import RETENTION, TABLE, aws, client
from tests.contract.samples import new_run
from tests.fakes.clock import NOON

if TYPE_CHECKING:
    from taskrunner.ports import Jobs
    from tests.contract.ports import Ports


def test_lists_the_jobs_that_the_labels_are_enough_for(world: Ports) -> None:
    _, any_worker = offered(world, labels={})
    _, gpu = offered(world, labels={"gpu": "h100"}, offered_at=at(1))
    _, both = offered(world, labels={"gpu": "h100", "zone": "b"}, offered_at=at(2))

    assert list(world.jobs.waiting("acme", "linux", {})) == [any_worker]
    assert jobs_in(world, "acme", "linux", gpu="h100") == [any_worker, gpu]
    assert jobs_in(world, "acme", "linux", zone="b", gpu="h100") == [any_worker, gpu, both]
    assert jobs_in(world, "acme", "linux", gpu="a100", zone="b") == [any_worker]


def test_no_job_hides_another_one(world: Ports) -> None:
    snapshot = new_run(world)
    for number in range(250):
        labels = {"gpu": "h100", "number": str(number)} if number % 2 else {"gpu": "h100"}
        offered(world, snapshot, f"gpu-{number}", offered_at=at(number), labels=labels)
    _, second = offered(world, snapshot, "arm-2", offered_at=at(502), labels={"arch": "arm"})
    _, first = offered(world, snapshot, "arm-1", offered_at=at(501), labels={"arch": "arm"})

    assert jobs_in(world, "acme", "linux", arch="arm", zone="b") == [first, second]
    assert jobs_in(world, "acme", "linux", zone="b") == []


@pytest.mark.parametrize("world", ["aws"], indirect=True)
class TestPages:
    """Polls that read 5 keys in a page and 3 pages at most."""

    @pytest.fixture(name="jobs")
    def _jobs(self, world: Ports) -> Jobs:
        del world
        table = Table(client("dynamodb"), TABLE)
        tokens = TaskTokens(client("stepfunctions"))
        journal = JournalChunks(table, RETENTION)
        return DynamoJobs(table, journal, tokens, RETENTION, bounds=Bounds(page=5, pages=3))

    def polls(self, jobs: Jobs, count: int) -> list[list[str]]:
        """Return the paths of the jobs that each of several polls finds."""
        labels = {"arch": "arm"}
        return [
            [job.step_path for job in jobs.waiting("acme", "linux", labels)] for _ in range(count)
        ]

    def test_a_later_poll_goes_on_where_the_last_one_has_stopped(
        self, world: Ports, jobs: Jobs
    ) -> None:
        snapshot = new_run(world)
        for number in range(40):
            offered(world, snapshot, f"gpu-{number}", offered_at=at(number), labels={"gpu": "h"})
        offered(world, snapshot, "arm-1", offered_at=at(40), labels={"arch": "arm"})
        offered(world, snapshot, "arm-2", offered_at=at(41), labels={"arch": "arm"})

        # Each poll looks at the first page and at two more: 10 jobs further than the last poll.
        assert self.polls(jobs, 5) == [[], [], [], ["arm-1", "arm-2"], []]
        assert self.polls(jobs, 3)[-1] == ["arm-1", "arm-2"]

    def test_a_poll_that_stops_at_a_job_loses_none(self, world: Ports, jobs: Jobs) -> None:
        snapshot = new_run(world)
        for number in range(20):
            offered(world, snapshot, f"gpu-{number}", offered_at=at(number), labels={"gpu": "h"})
        taken = [
            offered(world, snapshot, f"arm-{n}", offered_at=at(20 + n), labels={"arch": "arm"})[1]
            for n in range(3)
        ]
        self.polls(jobs, 1)

        for job in taken:
            assert next(jobs.waiting("acme", "linux", {"arch": "arm"})) == job
            assert world.jobs.lease(snapshot, job, a_lease(), [])

    def test_an_older_job_comes_first(self, world: Ports, jobs: Jobs) -> None:
        snapshot = new_run(world)
        for number in range(30):
            offered(world, snapshot, f"gpu-{number}", offered_at=at(number), labels={"gpu": "h"})
        self.polls(jobs, 1)
        offered(world, snapshot, "arm-1", offered_at=at(-1), labels={"arch": "arm"})

        assert self.polls(jobs, 1) == [["arm-1"]]

    def test_a_pool_of_few_jobs_is_read_at_once(self, world: Ports) -> None:
        offered(world, labels={"gpu": "h"})
        dynamodb = CountedDynamodb()

        again = aws(dynamodb)

        assert jobs_in(again, "acme", "linux", arch="arm") == []
        assert dynamodb.calls == ["query", "batch_get_item"]
        assert jobs_in(again, "acme", "linux", arch="arm") == []
        assert dynamodb.calls[2:] == ["query"]  # the labels of the other job are known

    def test_a_position_expires(self, world: Ports, jobs: Jobs) -> None:
        snapshot = new_run(world)
        for number in range(20):
            offered(world, snapshot, f"gpu-{number}", offered_at=at(number), labels={"gpu": "h"})
        self.polls(jobs, 1)

        scanned = client("dynamodb").scan(TableName=TABLE)["Items"]
        (item,) = [item for item in scanned if item["pk"]["S"] == "T#acme#P#linux"]

        assert int(item["expires_at"]["N"]) > int((NOON + timedelta(days=29)).timestamp())
