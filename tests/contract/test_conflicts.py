"""A hundred ends at once, of which DynamoDB lets a few through in each wave.

Transactions that write one item at the same time conflict. Each end is recorded all the same, and
nothing is run again because its record had to wait.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any, cast

import pytest
import requests
from botocore.exceptions import ClientError

from taskrunner.adapters.approvals import DynamoApprovals
from taskrunner.adapters.artifacts import StoredArtifacts
from taskrunner.adapters.bucket import Bucket
from taskrunner.adapters.due_work import DynamoDueWork
from taskrunner.adapters.jobs import DynamoJobs
from taskrunner.adapters.journal_chunks import JournalChunks
from taskrunner.adapters.table import Table
from taskrunner.adapters.task_tokens import TaskTokens
from taskrunner.errors import TryAgainError
from taskrunner.model.approval import Verdict
from taskrunner.model.flow import Question
from taskrunner.model.machine_call import Execution, ExecutionStatus, execution_name
from taskrunner.model.run import StepReference, StepStatus
from taskrunner.model.worker_reports import UploadRequest
from taskrunner.usecases.create_run import create_run
from taskrunner.usecases.decide_approval import decide_approval
from taskrunner.usecases.decide_flow import decide_flow
from taskrunner.usecases.upload_artifact import upload_artifact
from tests.contract.ports import (
    BUCKET,
    RETENTION,
    TABLE,
    StepFunctions,
    client,
    dynamo_runs,
    moto,
)
from tests.fakes.world import MemoryWorld
from tests.faults.direct_calls import direct_calls
from tests.packs import pack
from tests.unit.usecases import jobs, machine_call_run
from tests.unit.usecases.scenarios import ADMIN, TENANT, a_request, gate, plan_hash, step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.aws import Aws

LANES = 100  # as many as a Distributed Map runs at a time
WAVE = 5  # of them
CALLS = 30  # that a machine, a worker or EventBridge makes, at most
# A client of the API repeats a decision for as long as it is answered 503. All of them read and
# write one item, and without the pauses between their tries some need 20 calls.
CALLS_OF_CLIENTS = 500


class Waves:
    """A client of DynamoDB in which transactions conflict: five of each wave get through.

    The transactions that come first are let through at once, the next ones at their second try, and
    so on, and the last ones at their twentieth. `is_over` lets all through. moto, which is called
    without requests, answers one call at a time.
    """

    def __init__(self, dynamodb: Any) -> None:  # noqa: ANN401 - boto3's own
        self._dynamodb = dynamodb
        self._lock = Lock()
        self._answering = Lock()
        self._arrivals = count()
        self._left: dict[int, int] = {}
        self.is_over = True
        self.conflicts = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any other call
        return partial(self._answer, getattr(self._dynamodb, name))

    def _answer(self, call: Any, **arguments: Any) -> Any:  # noqa: ANN401 - boto3's own
        with self._answering:
            return call(**arguments)

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 - boto3's own
        if not self.is_over and self._is_held():
            reasons = [{"Code": "TransactionConflict"} for _ in arguments["TransactItems"]]
            error = {"Code": "TransactionCanceledException", "Message": "cancelled"}
            response: Any = {"Error": error, "CancellationReasons": reasons}
            raise ClientError(response, "TransactWriteItems")
        return self._answer(self._dynamodb.transact_write_items, **arguments)

    def _is_held(self) -> bool:
        with self._lock:
            caller = get_ident()
            left = self._left.pop(caller, None)
            left = next(self._arrivals) % LANES // WAVE if left is None else left
            if left:
                self._left[caller] = left - 1
                self.conflicts += 1
            return left > 0


class Sound:
    """AWS as `direct_calls` knows it, in which nothing goes wrong by itself."""

    def is_broken(self, _operation: str) -> bool:
        return False

    def count_call(self) -> None:
        """Count nothing."""


class ConflictingWorld(MemoryWorld):
    """A world whose records are in moto's table, with the real adapters, and which never pauses."""

    def __init__(self) -> None:
        super().__init__()
        self.waves = Waves(direct_calls(client("dynamodb"), "dynamodb", cast("Aws", Sound())))
        self.tokens = StepFunctions()
        table = Table(self.waves, TABLE, lambda _: None)
        bucket = Bucket(client("s3", signature_version="s3v4"), BUCKET)
        journal = JournalChunks(table, RETENTION)
        tokens = TaskTokens(self.tokens)
        self.runs: Any = dynamo_runs(table, bucket)
        self.approvals: Any = DynamoApprovals(table, journal, tokens, RETENTION)
        self.jobs: Any = DynamoJobs(table, journal, tokens, RETENTION)
        self.artifacts: Any = StoredArtifacts(table, bucket, RETENTION)
        self.due_work: Any = DynamoDueWork(table)
        self.called_machines.machines.add("import")
        self.functions.functions["window"] = lambda _: {"passed": True}

    def run(self, steps: str, spec: str = "") -> None:
        """Create the run run-7 of *steps*."""
        create_run(a_request(pack(steps, spec=spec)), self)

    def all_at_once(self, end: Callable[[int], object], calls: int = CALLS) -> None:
        """Let *end* record each of the ends in a thread of its own, in as many *calls* as it takes.

        These are the most that somebody makes.
        """
        self.waves.is_over = False
        with ThreadPoolExecutor(LANES) as lanes:
            list(lanes.map(lambda lane: _until_recorded(end, lane, calls), range(LANES)))
        self.waves.is_over = True
        assert self.waves.conflicts > LANES

    def entries(self, ending: str) -> Counter[str]:
        """Return how often each id with that ending is in the journal."""
        journal = self.runs.journal(TENANT, "run-7")
        ids = (placed.entry.id for placed in journal)
        return Counter(entry_id for entry_id in ids if entry_id.endswith(ending))


def _until_recorded(end: Callable[[int], object], lane: int, calls: int) -> None:
    for _ in range(calls):
        try:
            end(lane)
        except TryAgainError:
            continue
        return
    pytest.fail(f"lane {lane} did not end")


@pytest.fixture(name="crowded")
def _crowded() -> Iterator[ConflictingWorld]:
    with moto():
        yield ConflictingWorld()


def once(paths: list[str], ending: str) -> Counter[str]:
    return Counter(f"{path}{ending}" for path in paths)


EACH = f"- {{id: each, map: {{items: {{range: {{end: {LANES - 1}}}}}, step: STEP}}}}"
IN_MAP = [f"each[{number}]::leaf" for number in range(LANES)]


def of_every_lane(fields: str) -> str:
    """Return a parallel whose lanes are the steps s0, s1 and so on."""
    steps = ", ".join(f"{{id: s{lane}, {fields}}}" for lane in range(LANES))
    return f"- {{id: all, parallel: {{steps: [{steps}]}}}}"


SIDE_BY_SIDE = [f"s{lane}" for lane in range(LANES)]


def test_steps_are_executed_once(crowded: ConflictingWorld) -> None:
    crowded.run(EACH.replace("STEP", "{id: leaf, run: {uses: builtin:noop}}"))

    crowded.all_at_once(lambda lane: step(crowded, "leaf", iteration=f"each[{lane}]::"))

    assert len(crowded.sandbox.requests) == LANES
    assert crowded.entries("#ended") == once(IN_MAP, "#1#ended")
    outcomes = crowded.runs.outcomes(TENANT, "run-7", IN_MAP)
    assert {outcome.status for outcome in outcomes.values()} == {StepStatus.SUCCEEDED}


def test_functions_of_policies_are_called_once(crowded: ConflictingWorld) -> None:
    crowded.run(
        EACH.replace("STEP", "{id: leaf, gate: {policy: {policy: p}}}"),
        spec='policies: [{id: p, version: "1", uses: "lambda:window"}]',
    )

    def evaluate(lane: int) -> None:
        reference = StepReference(TENANT, "run-7", "leaf", f"each[{lane}]::")
        answer = decide_flow(reference, Question.POLICY, crowded, remaining_s=900)
        assert answer == {"value": "passed"}

    crowded.all_at_once(evaluate)

    assert len(crowded.functions.calls) == LANES
    assert crowded.entries("#policy") == once(IN_MAP, "#1#policy")


def test_jobs_are_completed_once_with_their_files(crowded: ConflictingWorld) -> None:
    crowded.run(of_every_lane("run: {uses: 'worker:linux', with: {script: make}}"))
    work = {}
    for path in SIDE_BY_SIDE:
        jobs.offer(crowded, path, f"token-{path}")
        lease = jobs.lease(crowded)
        work[lease["stepId"]] = lease
        upload(crowded, lease)

    crowded.all_at_once(lambda lane: jobs.succeed(crowded, work[f"s{lane}"], files=(jobs.FILE,)))

    assert Counter(file.step_path for file in crowded.artifacts.list(TENANT, "run-7")) == once(
        SIDE_BY_SIDE, ""
    )
    assert crowded.entries("#ended") == once(SIDE_BY_SIDE, "#1#ended")
    assert crowded.entries("#started") == once(SIDE_BY_SIDE, "#1#started")
    assert Counter(crowded.tokens.answers) == once_answered()


def upload(crowded: ConflictingWorld, lease: Any) -> None:  # noqa: ANN401 - any JSON
    """Upload the file of a job, as its worker does before it reports the end."""
    request = UploadRequest(
        caller=jobs.WORKER, lease_id=lease["leaseId"], secret=lease["secret"], file=jobs.FILE
    )
    address = upload_artifact(request, crowded)
    put = requests.put(address["url"], data=jobs.CONTENT, headers=address["headers"], timeout=10)
    assert put.ok


def once_answered() -> Counter[tuple[str, str | None]]:
    return Counter((f"token-{path}", None) for path in SIDE_BY_SIDE)


def test_called_machines_are_started_once_and_their_ends_are_recorded_once(
    crowded: ConflictingWorld,
) -> None:
    crowded.run(of_every_lane("run: {uses: 'states:import'}"))
    run = crowded.runs.snapshot(TENANT, "run-7").run
    reports = {}
    for path in SIDE_BY_SIDE:
        machine_call_run.call(crowded, f"token-{path}", path)
        of = Execution("import", execution_name(run, path, 1))
        reports[path] = (of, crowded.called_machines.end(of, ExecutionStatus.SUCCEEDED, "{}"))

    crowded.all_at_once(lambda lane: machine_call_run.report_end(crowded, *reports[f"s{lane}"]))

    assert len(crowded.called_machines.executions) == LANES
    assert crowded.entries("#ended") == once(SIDE_BY_SIDE, "#1#ended")
    assert Counter(crowded.tokens.answers) == once_answered()


def test_gates_are_decided_once_and_woken_once(crowded: ConflictingWorld) -> None:
    crowded.run(
        of_every_lane("gate: {approval: {id: own}}"), spec="approvals: [{id: own, scope: gate}]"
    )
    for path in SIDE_BY_SIDE:
        gate(crowded, path, f"token-{path}")
    plan = plan_hash(crowded)

    def approve(lane: int) -> None:
        decide_approval(
            TENANT,
            "run-7",
            "own",
            Verdict.APPROVED,
            plan_hash=plan,
            caller=ADMIN,
            actor=None,
            summary=None,
            world=crowded,
            step_ids=[f"s{lane}"],
        )

    crowded.all_at_once(approve, CALLS_OF_CLIENTS)

    assert crowded.entries("#decided") == once(SIDE_BY_SIDE, "#decided")
    assert Counter(crowded.tokens.sent) == Counter(f"token-{path}" for path in SIDE_BY_SIDE)
