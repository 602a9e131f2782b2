"""The costs in docs/aws.md: its counts are those of a run, and its sums are right."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.bootstrap import AwsWorld
from taskrunner.model.job import HEARTBEAT_S
from taskrunner.model.worker_wait import NOTED_EVERY
from taskrunner_cli.worker.loop import ACTIVE_POLL_S
from taskrunner_cli.worker.settings import Settings
from tests.machine.cost_page import CALL_S, MINUTES_OF_A_MONTH, PAGE, PRICES, sums_in, table
from tests.machine.counted import Counts, counted
from tests.machine.runs import ended, execution_of, start
from tests.machine.workers import Worker, worker_client
from tests.moto_aws import session
from tests.packs import pack
from tests.template import template

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from tests.machine.client import Client
    from tests.machine.engine import Engine

STEPS = 10
PACK = pack(
    "".join(
        f"- {{id: s{n}, run: {{uses: builtin:noop, with: {{n: {n}}}}}}}\n" for n in range(STEPS)
    ),
    name="ten",
)
AUTHORIZE = 1  # its answer is remembered for five minutes
# DynamoDB's units depend a little on how long names and times are.
TOLERANCE = 0.1


@pytest.fixture(name="counts")
def _counts(engine: Engine, ana: Client) -> dict[str, float]:
    # On AWS, steps run in other environments than requests, and do not know a run that was created.
    engine.worlds["run_step"] = AwsWorld(engine.world.environment, session())
    with counted(engine, ignored={"read_run"}) as counts:  # the test's own look at the run
        a_first_run(engine, ana)
        for of_the_first in (counts.calls, counts.units, counts.invoked, counts.returned):
            of_the_first.clear()
        run_id = start(ana, PACK)
        ended(ana, run_id)
        engine.rest()
        entered = transitions(engine, run_id)
    return by_row(counts, entered)


def a_first_run(engine: Engine, ana: Client) -> None:
    """Run the pack once, so that its version has a machine."""
    ended(ana, start(ana, PACK))
    engine.rest()
    engine.all_executed()


def by_row(counts: Counts, entered: int) -> dict[str, float]:
    memory_gib = template()["Parameters"]["StepMemoryMiB"]["Default"] / 1024
    others = counts.invoked.total() - counts.invoked["run_step"] + AUTHORIZE
    return {
        "state transitions of Step Functions": entered,
        "invocations of functions": counts.invoked.total() + AUTHORIZE,
        "their time, in GB-s": CALL_S * (counts.invoked["run_step"] * memory_gib + others),
        "write units of DynamoDB": counts.units["write"],
        "read units of DynamoDB": counts.read_units,
        "objects put into S3": counts.calls["s3:PutObject"],
        "signatures of KMS": counts.calls["kms:Sign"],
        "requests to the API": 1,
    }


def transitions(engine: Engine, run_id: str) -> int:
    """Return how many states the run's execution has entered from its start to its end."""
    arn = execution_of(engine, run_id)["executionArn"]
    events = engine.states.get_execution_history(executionArn=arn, maxResults=1000)["events"]
    return sum(event["type"].endswith("StateEntered") for event in events)


def test_a_run_of_ten_steps_takes_what_the_page_says(counts: dict[str, float]) -> None:
    stated = {name: count for name, (count, _) in table("| what | in one run |").items()}

    assert stated == pytest.approx(counts, rel=TOLERANCE)


def test_a_step_takes_one_transition_and_one_invocation(counts: dict[str, float]) -> None:
    assert counts["state transitions of Step Functions"] <= STEPS + 5
    assert counts["invocations of functions"] <= STEPS + 3


def test_the_sums_of_runs_are_right() -> None:
    rows = table("| what | in one run |")

    assert rows.keys() == PRICES.keys()
    right = {name: round(1000 * count * PRICES[name], 3) for name, (count, _) in rows.items()}
    assert {name: stated for name, (_, stated) in rows.items()} == right


def test_the_total_of_runs_is_right() -> None:
    total = sum(stated for _, stated in table("| what | in one run |").values())

    assert sums_in(PAGE, "each a function call that takes 0.1 s, cost about") == [f"{total:.2f}"]


A_GB_S, A_CALL, A_REQUEST = (
    PRICES[row]
    for row in ("their time, in GB-s", "invocations of functions", "requests to the API")
)
A_TOKEN = 2.25 / 1000  # of Cognito
A_SNAPSHOT_GB_S = 0.0000015046  # of Lambda


@pytest.mark.parametrize(
    ("words", "sum_", "digits"),
    [
        # 1.5 invocations are the mean of one and two.
        ("invocations, about", 1000 * (A_REQUEST + 1.5 * (A_CALL + CALL_S * A_GB_S)), 3),
        ("a minute at 1,769 MiB is", 60 * 1769 / 1024 * A_GB_S, 4),
        ("with 1 GiB:", 3600 * A_GB_S, 2),
        ("by default, which is", MINUTES_OF_A_MONTH / 60 * A_TOKEN, 2),
        ("[the command above](#workers) it is", MINUTES_OF_A_MONTH / 60 / 24 * A_TOKEN, 2),
        ("each client of client credentials, and", 1000 * A_TOKEN, 2),
    ],
)
def test_the_sums_beside_the_tables_are_right(words: str, sum_: float, digits: int) -> None:
    assert sums_in(PAGE, words) == [f"{sum_:.{digits}f}"]


def test_the_sum_of_a_snapshot_is_right() -> None:
    assert f"about ${MINUTES_OF_A_MONTH * 60 * A_SNAPSHOT_GB_S:.0f} a month for a function" in PAGE


# --- workers ----------------------------------------------------------------------------------

ON_WORKERS = pack("- {id: tests, run: {uses: worker:linux, with: {script: make test}}}", name="w")
PRICES_OF_WORKERS = {
    name: PRICES[row]
    for name, row in {
        "requests to the API": "requests to the API",
        "invocations of `serve_workers`": "invocations of functions",
        "their time, in GB-s": "their time, in GB-s",
        "read units of DynamoDB": "read units of DynamoDB",
        "write units of DynamoDB": "write units of DynamoDB",
    }.items()
}
MONTH_S, HOUR_S = MINUTES_OF_A_MONTH * 60, 3600


class PassingClock:
    """The clock of a world, in which a pause takes no time."""

    def __init__(self, engine: Engine) -> None:
        self._clock = engine.world.clock
        self._ahead = timedelta()
        vars(engine.world)["clock"] = self

    def now(self) -> Any:  # noqa: ANN401 - a datetime
        return self._clock.now() + self._ahead

    def sleep(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)


def worker_rows() -> dict[str, list[tuple[float, str]]]:
    """Return the counts and the sums of the page's table of workers, by row."""
    rest = PAGE.partition("| what | an idle worker, a month |")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in rest.splitlines()[2:]]
    return {
        name: [
            (float(count.replace(",", "")), sum_)
            for count, sum_ in zip(cells[::2], cells[1::2], strict=True)
        ]
        for name, *cells in rows
    }


def as_rows(one: Counter[str], note: Counter[str], span_s: float, gap_s: float) -> list[float]:
    """Return a column of the table: what a call takes that comes after each gap.

    Once a minute it also notes that the worker is there.
    """
    times, notes = span_s / gap_s, span_s / NOTED_EVERY.total_seconds()
    halves, writes = (times * one[unit] + notes * note[unit] for unit in ("half read", "write"))
    return [times, times, times * CALL_S, halves / 2, writes]


def test_a_worker_takes_what_the_page_says(engine: Engine, ana: Client, tmp_path: Path) -> None:
    gap_s = Settings(pool="linux", name="build-7", work_folder=tmp_path).idle_poll_s
    with counted(engine) as counts:
        clock = PassingClock(engine)
        worker = Worker(worker_client(engine))
        worker.poll()  # the environment learns where the kind of the worker is noted
        before = counts.units.copy()
        worker.poll()
        poll = counts.units - before
        clock.sleep(NOTED_EVERY.total_seconds())
        before = counts.units.copy()
        worker.poll()
        note = counts.units - before - poll
        run_id = start(ana, ON_WORKERS)
        work = worker.take()
        engine.until(lambda: counts.returned["offer_job"] == 1, "the offer does not end")
        before = counts.units.copy()
        work.heartbeat()
        heartbeat = counts.units - before
        work.complete()
        ended(ana, run_id)

    columns = [
        as_rows(poll, note, MONTH_S, gap_s),
        as_rows(poll, note, HOUR_S, ACTIVE_POLL_S),
        as_rows(heartbeat, note, HOUR_S, HEARTBEAT_S),
    ]
    assert note == {"write": 1}
    stated = [[count for count, _ in cells] for cells in worker_rows().values()]
    assert stated == [list(row) for row in zip(*columns, strict=True)]


def test_the_sums_of_workers_are_right() -> None:
    rows = worker_rows()

    assert rows.keys() == PRICES_OF_WORKERS.keys()
    for name, cells in rows.items():
        digits = [len(sum_.partition(".")[2]) for _, sum_ in cells]
        right = [
            f"{count * PRICES_OF_WORKERS[name]:.{most}f}"
            for (count, _), most in zip(cells, digits, strict=True)
        ]
        assert [sum_ for _, sum_ in cells] == right


def test_the_totals_of_workers_are_right() -> None:
    idle, active, job = (
        sum(float(sum_) for _, sum_ in cells) for cells in zip(*worker_rows().values(), strict=True)
    )

    assert sums_in(PAGE, "An idle worker costs about") == [f"{idle:.2f}"]
    assert sums_in(PAGE, "an active one") == [f"{active:.4f}"]
    assert sums_in(PAGE, "and a job that runs") == [f"{job:.4f}"]
