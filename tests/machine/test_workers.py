"""Steps that workers run: offered by the machine, leased, reported about, and ended once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.usecases.reconcile import reconcile
from tests.machine.runs import ended, has_entry, log, outputs, start, state_of, statuses
from tests.machine.workers import LaterClock, LeasedWork, Worker, worker_client
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.engine import Engine

SCRIPT = pack("- {id: tests, run: {uses: worker:linux, with: {script: make test}}}")
RETRIED = pack(
    """
    - id: tests
      retries: {maxAttempts: 2, backoffSeconds: 0}
      run: {uses: worker:linux, with: {script: make test}}
    """
)


@pytest.fixture(name="worker")
def _worker(engine: Engine) -> Worker:
    return Worker(worker_client(engine))


@pytest.fixture(name="clock")
def _clock(engine: Engine) -> LaterClock:
    return LaterClock(engine)


def step_of(client: Client, run_id: str, path: str = "tests") -> dict[str, Any]:
    steps = state_of(client, run_id)["steps"]
    step: dict[str, Any] = next(step for step in steps if step["stepId"] == path)
    return step


def test_a_worker_runs_a_step_and_its_outputs_are_read(ana: Client, worker: Worker) -> None:
    manifest = pack(
        """
        - id: tests
          run: {uses: worker:linux, with: {command: [make, "{{ inputs.target }}"], env: {CI: "1"}}}
        - {id: after, run: {uses: builtin:noop, with: {n: "{{ steps.tests.outputs.passed }}"}}}
        """,
        spec="inputs: [{name: target, type: string, default: test}]",
    )
    run_id = start(ana, manifest)
    work = worker.take()

    running = step_of(ana, run_id)
    answered = work.complete(
        outputs={"passed": 312},
        usage={"wallSeconds": 0.01, "cpuSeconds": 0.01, "memoryMiB": 12},
    )
    state = ended(ana, run_id)

    assert work.lease["with"] == {"command": ["make", "test"], "env": {"CI": "1"}, "files": {}}
    assert work.lease["stepId"] == "tests"
    assert work.lease["timeoutSeconds"] == 3600
    assert (running["status"], running["worker"], running["pool"]) == (
        "Running",
        "build-7",
        "linux",
    )
    assert answered.json == {"status": "Succeeded", "attempt": 1}
    assert state["status"] == "succeeded"
    assert outputs(ana, state, "after") == {"n": 312}


def test_a_step_without_a_worker_says_what_it_waits_for(
    engine: Engine, ana: Client, worker: Worker
) -> None:
    run_id = start(ana, SCRIPT)
    engine.until(lambda: has_entry(ana, run_id, "tests", "step.offered"), "nothing was offered")

    waiting = state_of(ana, run_id)
    detail = ana("GET", f"runs/{run_id}/steps/tests").json
    worker.take().complete()

    assert waiting["status"] == "running"
    assert statuses(waiting) == {"tests": "Pending waiting-for-worker"}
    assert waiting["steps"][0]["pool"] == "linux"
    assert waiting["steps"][0]["workerWait"]["cause"] == "no-worker"
    assert detail["workerWait"] == waiting["steps"][0]["workerWait"]
    assert ended(ana, run_id)["status"] == "succeeded"


def test_a_step_says_which_labels_no_worker_has(
    engine: Engine, ana: Client, worker: Worker
) -> None:
    manifest = pack(
        "- {id: tests, run: {uses: worker:linux, with: {script: make, labels: {gpu: h100}}}}"
    )
    run_id = start(ana, manifest)
    engine.until(lambda: has_entry(ana, run_id, "tests", "step.offered"), "nothing was offered")

    assert worker.poll(labels={"gpu": "a100"}) is None
    wait = step_of(ana, run_id)["workerWait"]
    worker.take(labels={"gpu": "h100"}).complete()

    assert (wait["cause"], wait["labels"]) == ("no-worker-with-labels", {"gpu": "h100"})
    assert "none has the label gpu=h100" in wait["message"]
    assert ended(ana, run_id)["status"] == "succeeded"


def test_output_is_in_the_log_once_and_without_secrets(
    engine: Engine, ana: Client, worker: Worker
) -> None:
    engine.store_secret("tenant-prod", "token", "s3cr3t-value")
    manifest = pack(
        """
        - id: tests
          run: {uses: worker:linux, with: {script: make, env: {T: "{{ secrets.token }}"}}}
        """,
        spec="secrets: [{name: token}]",
    )
    run_id = start(ana, manifest)
    work = worker.take()
    first = {"sequence": 1, "stream": "stdout", "text": "with s3cr3t-value\n"}

    beats = [work.heartbeat(first), work.heartbeat(first)]
    work.complete(output=[{"sequence": 2, "stream": "stderr", "text": "done\n"}])
    ended(ana, run_id)
    lines = [line for line in log(ana, run_id) if line["eventType"] == "step.output"]

    assert work.lease["secrets"] == {"token": "s3cr3t-value"}
    assert [beat.json["action"] for beat in beats] == ["continue", "continue"]
    assert [line["message"] for line in lines] == ["with ***\n", "done\n"]
    assert [line["metadata"]["stream"] for line in lines] == ["stdout", "stderr"]


def test_a_failed_attempt_is_retried_as_the_pack_says(ana: Client, worker: Worker) -> None:
    run_id = start(ana, RETRIED)

    worker.take().fail(message="exit status 2")
    second = worker.take()
    second.complete()
    state = ended(ana, run_id)

    assert second.lease["attempt"] == 2
    assert statuses(state) == {"tests": "Succeeded"}
    assert state["steps"][0]["attempts"] == 2


def test_the_last_failed_attempt_fails_the_run(ana: Client, worker: Worker) -> None:
    run_id = start(ana, SCRIPT)
    worker.take().fail(message="exit status 2")

    state = ended(ana, run_id)

    assert statuses(state) == {"tests": "Failed executor-error"}
    assert state["steps"][0]["errorMessage"] == "exit status 2"
    assert state["status"] == "failed"


def test_a_second_completion_changes_nothing(ana: Client, worker: Worker) -> None:
    run_id = start(ana, SCRIPT)
    work = worker.take()

    answers = [work.complete(outputs={"n": 1}), work.fail(message="no"), work.heartbeat()]
    state = ended(ana, run_id)

    assert [answer.status for answer in answers] == [200, 200, 409]
    assert answers[1].json == {"status": "Succeeded", "attempt": 1}
    assert outputs(ana, state, "tests") == {"n": 1}


def test_a_job_is_leased_once(ana: Client, worker: Worker) -> None:
    run_id = start(ana, SCRIPT)
    work = worker.take()

    assert worker.poll() is None
    work.complete()
    assert ended(ana, run_id)["status"] == "succeeded"


def test_another_worker_gets_the_job_of_a_lost_one(
    ana: Client, worker: Worker, engine: Engine, clock: LaterClock
) -> None:
    run_id = start(ana, SCRIPT)
    lost = worker.take()
    clock.ahead += timedelta(seconds=60)
    reconcile(engine.world)
    waiting = step_of(ana, run_id)
    losses = ana("GET", f"runs/{run_id}/steps/tests").json["losses"]

    other = Worker(worker_client(engine), name="build-8")
    work = other.take()
    late = [lost.heartbeat(), lost.complete(outputs={"late": True})]
    work.complete(outputs={"late": False})
    state = ended(ana, run_id)

    assert (waiting["status"], waiting["statusReason"]) == ("Pending", "waiting-for-worker")
    assert waiting["lastLoss"]["message"] == (
        "attempt 1 was lost: worker build-7 of pool linux stopped answering; offered again"
    )
    assert [loss["worker"] for loss in losses] == ["build-7"]
    assert [answer.status for answer in late] == [409, 409]
    assert late[0].json["error"]["code"] == "lease_lost"
    assert work.lease["attempt"] == 1
    assert state["steps"][0]["attempts"] == 1
    assert outputs(ana, state, "tests") == {"late": False}


def test_an_attempt_is_lost_with_its_worker_four_times_at_most(
    ana: Client, worker: Worker, engine: Engine, clock: LaterClock
) -> None:
    run_id = start(ana, SCRIPT)
    for _ in range(4):
        worker.take()
        clock.ahead += timedelta(seconds=60)
        reconcile(engine.world)

    state = ended(ana, run_id)

    assert statuses(state) == {"tests": "Failed worker-lost"}


def test_a_pack_can_count_a_lost_worker_as_an_attempt(
    ana: Client, worker: Worker, engine: Engine, clock: LaterClock
) -> None:
    manifest = pack(
        """
        - id: publish
          retries: {maxAttempts: 1, on: [worker-lost]}
          run: {uses: worker:linux, with: {script: publish}}
        """
    )
    run_id = start(ana, manifest)
    worker.take()
    clock.ahead += timedelta(seconds=60)
    reconcile(engine.world)

    assert statuses(ended(ana, run_id)) == {"publish": "Failed worker-lost"}


def test_a_step_that_reports_beyond_its_time_limit_is_stopped_and_has_failed(
    ana: Client, worker: Worker, engine: Engine, clock: LaterClock
) -> None:
    manifest = pack(
        "- {id: tests, timeoutSeconds: 30, run: {uses: worker:linux, with: {script: make}}}"
    )
    run_id = start(ana, manifest)
    work = worker.take()
    clock.ahead += timedelta(seconds=31)
    beat = work.heartbeat()
    clock.ahead += timedelta(seconds=60)
    reconcile(engine.world)

    assert (beat.json["action"], beat.json["reason"]) == ("stop", "timeout")
    assert statuses(ended(ana, run_id)) == {"tests": "Failed timeout"}


def test_a_job_that_nobody_takes_for_a_day_has_failed(
    ana: Client, engine: Engine, clock: LaterClock
) -> None:
    run_id = start(ana, SCRIPT)
    engine.until(lambda: has_entry(ana, run_id, "tests", "step.offered"), "nothing was offered")
    clock.ahead += timedelta(hours=24, minutes=1)
    reconcile(engine.world)

    state = ended(ana, run_id)

    assert statuses(state) == {"tests": "Failed timeout"}
    assert "no worker of the pool linux took it" in state["steps"][0]["errorMessage"]


def test_a_cancelled_run_stops_its_worker(ana: Client, worker: Worker) -> None:
    run_id = start(ana, SCRIPT)
    work = worker.take()

    ana("POST", f"runs/{run_id}/cancel")
    beat = work.heartbeat()
    answered = work.fail(reason="stopped")

    assert (beat.json["action"], beat.json["reason"]) == ("stop", "cancelled")
    assert answered.status == 200
    assert statuses(state_of(ana, run_id)) == {"tests": "Skipped cancelled"}


def test_a_failure_beside_a_worker_stops_it(ana: Client, worker: Worker) -> None:
    manifest = pack(
        """
        - id: both
          parallel:
            steps:
              - {id: long, run: {uses: worker:linux, with: {script: sleep 9}}}
              - {id: short, run: {uses: worker:linux, with: {script: exit 1}, }}
        """
    )
    run_id = start(ana, manifest)
    works: dict[str, LeasedWork] = {}
    for _ in range(2):
        work = worker.take()
        works[work.lease["stepId"]] = work

    works["short"].fail(message="exit status 1")
    beat = works["long"].heartbeat()
    works["long"].fail(reason="stopped")
    state = ended(ana, run_id)

    assert (beat.json["action"], beat.json["reason"]) == ("stop", "run-failed")
    assert statuses(state) == {
        "both": "Failed",
        "long": "Failed run-failed",
        "short": "Failed executor-error",
    }


def test_a_job_that_waits_beside_a_failure_is_taken_by_nobody(ana: Client, worker: Worker) -> None:
    manifest = pack(
        """
        - id: both
          parallel:
            steps:
              - {id: waits, run: {uses: worker:rare, with: {script: sleep 9}}}
              - {id: fails, run: {uses: worker:linux, with: {script: exit 1}}}
        """
    )
    run_id = start(ana, manifest)
    rare = Worker(worker_client(worker.client.engine, pools="rare"), pool="rare")
    worker.client.engine.until(
        lambda: has_entry(ana, run_id, "waits", "step.offered"), "nothing was offered"
    )
    worker.take().fail()
    state = ended(ana, run_id)

    assert rare.poll() is None
    assert statuses(state)["waits"] == "Skipped run-failed"


def test_labels_match(ana: Client, worker: Worker) -> None:
    manifest = pack(
        """
        - {id: any, run: {uses: worker:linux, with: {script: a}}}
        - id: gpu
          run: {uses: worker:linux, with: {script: b, labels: {gpu: "{{ steps.any.outputs.gpu }}"}}}
        """
    )
    run_id = start(ana, manifest)
    worker.take(labels={"gpu": "h100"}).complete(outputs={"gpu": "h100"})
    worker.client.engine.until(
        lambda: has_entry(ana, run_id, "gpu", "step.offered"), "nothing was offered"
    )

    assert worker.poll() is None
    assert worker.poll(labels={"gpu": "a100"}) is None
    worker.take(labels={"gpu": "h100", "zone": "b"}).complete()
    assert ended(ana, run_id)["status"] == "succeeded"


def test_a_skipped_step_is_offered_to_nobody(ana: Client, worker: Worker) -> None:
    manifest = pack(
        """
        - {id: zero, run: {uses: builtin:noop, with: {n: 0}}}
        - id: tests
          when: steps.zero.outputs.n == `1`
          run: {uses: worker:linux, with: {script: a}}
        """
    )
    state = ended(ana, start(ana, manifest))

    assert statuses(state) == {"zero": "Succeeded", "tests": "Skipped condition-false"}
    assert worker.poll() is None


def test_parameters_that_do_not_fit_fail_the_attempt(ana: Client, worker: Worker) -> None:
    manifest = pack(
        """
        - {id: zero, run: {uses: builtin:noop, with: {n: 5}}}
        - {id: tests, run: {uses: worker:linux, with: {script: "{{ steps.zero.outputs.n }}"}}}
        """
    )
    run_id = start(ana, manifest)
    worker.client.engine.until(
        lambda: has_entry(ana, run_id, "tests", "step.offered"), "nothing was offered"
    )

    assert worker.poll() is None
    state = ended(ana, run_id)
    assert statuses(state)["tests"] == "Failed executor-error"
    assert state["steps"][1]["errorMessage"] == "$.with.script: 'script' must be text, not a number"


class TestAnotherTenant:
    def test_gets_no_job_and_no_lease_of_this_one(self, ana: Client, engine: Engine) -> None:
        run_id = start(ana, SCRIPT)
        work = Worker(worker_client(engine)).take()
        stranger = worker_client(engine, subject="others", tenants="tenant-other")

        polled = Worker(stranger).poll()
        beat = LeasedWork(stranger, work.lease).heartbeat()
        work.complete()

        assert polled is None
        assert beat.status == 404
        assert ended(ana, run_id)["status"] == "succeeded"

    def test_gets_none_of_another_pool(self, engine: Engine) -> None:
        answer = worker_client(engine, pools="mac")(
            "POST", "worker/leases", {"pool": "linux", "worker": "w"}
        )

        assert answer.status == 403

    def test_cannot_report_with_another_client_of_the_tenant(
        self, ana: Client, engine: Engine
    ) -> None:
        run_id = start(ana, SCRIPT)
        work = Worker(worker_client(engine)).take()
        other = LeasedWork(worker_client(engine, subject="other-workers"), work.lease)

        assert other.complete().status == 409
        work.complete()
        assert ended(ana, run_id)["status"] == "succeeded"
