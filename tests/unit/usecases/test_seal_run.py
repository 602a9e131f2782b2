from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import TryAgainError
from taskrunner.model.journal import Entry, Event
from taskrunner.model.run import RunStatus, StepOutcome, StepStatus
from taskrunner.usecases.cancel_run import cancel_run
from taskrunner.usecases.read_run import artifact_url, run_artifacts, run_log
from taskrunner.usecases.settle_run import NOT_STARTED, settle_run
from tests.packs import pack
from tests.unit.usecases.evidence_run import ready
from tests.unit.usecases.scenarios import (
    TENANT,
    a_world,
    assert_recovers,
    bundle_of,
    evidence_of,
    result_of,
    step,
)

if TYPE_CHECKING:
    from taskrunner.model.run import Run
    from taskrunner.ports import World
    from tests.fakes.world import MemoryWorld


def settle(world: World, error: str | None = None) -> Any:  # noqa: ANN401 - any JSON
    return settle_run(TENANT, "run-7", error, world)


def cancelled() -> MemoryWorld:
    world = ready()
    cancel_run(TENANT, "run-7", "bob", world)
    return world


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(None, "succeeded"), ("StepFailedError", "failed"), (NOT_STARTED, "failed")],
)
def test_seals_a_run_that_ends(error: str | None, outcome: str) -> None:
    world = ready()

    settle(world, error)

    assert evidence_of(world)["predicate"]["run"]["outcome"] == outcome
    assert world.runs.snapshot(TENANT, "run-7").run.sealed


def test_seals_a_cancelled_run_when_its_execution_has_stopped() -> None:
    world = cancelled()
    assert evidence_of(world) is None

    assert settle(world, "ABORTED")["status"] == "cancelled"

    stated = evidence_of(world)["predicate"]
    assert stated["run"]["outcome"] == "cancelled"
    assert stated["journal"]["lines"] == len(world.runs.journal(TENANT, "run-7"))


def test_states_a_file_that_no_output_declares() -> None:
    scan = "{target: 'registry.example.com/app:v1'}"
    world = a_world(pack(f"- {{id: scan, run: {{uses: builtin:scanner, with: {scan}}}}}"))
    step(world, "scan")

    settle(world)

    subjects = [subject["name"] for subject in evidence_of(world)["subject"]]
    assert "artifacts/scan-report" in subjects


def test_lists_the_bundle_as_the_contract_says() -> None:
    world = ready()
    settle(world)

    (listed,) = (
        artifact
        for artifact in run_artifacts(TENANT, "run-7", world)
        if artifact["name"] == "evidence-bundle"
    )

    bundle = bundle_of(world)
    assert bundle is not None
    sha256 = hashlib.sha256(bundle).hexdigest()
    key_id = json.loads(bundle)["signatures"][0]["keyid"]
    assert (listed["type"], listed["status"], listed["sha256"]) == ("object", "captured", sha256)
    assert json.loads(listed["expressionJson"]) == {
        "sha256": sha256,
        "storedPath": listed["storedPath"],
        "mediaType": "application/vnd.dsse.envelope.v1+json",
        "attestations": [
            {
                "predicateType": "https://stellaops.io/attestations/task-run/v1",
                "keyId": key_id,
                "publicKey": base64.b64encode(world.evidence.sign(b"").public_key).decode(),
            }
        ],
    }
    url = artifact_url(TENANT, "run-7", "evidence-bundle", world)
    assert url.endswith(f"/evidence/{sha256}/run-7.evidence.json")


def test_signs_the_log_that_is_served() -> None:
    world = ready()
    settle(world)

    served = run_log(TENANT, "run-7", None, None, world).text

    digest = hashlib.sha256(served.encode()).hexdigest()
    assert evidence_of(world)["predicate"]["journal"]["sha256"] == digest


def test_evidence_does_not_cover_entries_after_the_end() -> None:
    world = cancelled()
    covered = run_log(TENANT, "run-7", None, None, world).text
    late = Entry(
        id="late",
        occurred_at="later",
        event=Event.STEP_COMPLETED,
        message="Late.",
        step_path="small",
        metadata={"ask": "policy", "policyId": "late", "value": "passed"},
    )
    outcome = StepOutcome(path="small", attempt=1, status=StepStatus.SUCCEEDED)
    world.runs.record_step(world.runs.snapshot(TENANT, "run-7"), outcome, [late])

    settle(world)

    stated = evidence_of(world)["predicate"]
    digest = hashlib.sha256(covered.encode()).hexdigest()
    assert stated["journal"] == {"lines": len(covered.splitlines()), "sha256": digest}
    assert [policy["policyId"] for policy in stated["policies"]] == ["size"]


def test_signs_a_run_once() -> None:
    world = ready()
    settle(world)

    settle(world, "FAILED")

    assert len(world.evidence.signed) == 1


def test_records_one_of_two_simultaneous_bundles() -> None:
    world = ready()
    store = world.evidence.store

    def other_first(run: Run, bundle: bytes) -> str:
        world.evidence.store = store  # type: ignore[method-assign]
        settle(world)
        return store(run, bundle)

    world.evidence.store = other_first  # type: ignore[method-assign]

    settle(world)

    first, second = world.evidence.signed
    assert first == second
    bundle = bundle_of(world)
    listed = {artifact["name"]: artifact for artifact in run_artifacts(TENANT, "run-7", world)}
    assert bundle is not None
    assert hashlib.sha256(bundle).hexdigest() == listed["evidence-bundle"]["sha256"]


def test_seals_a_run_later_when_the_key_is_busy() -> None:
    world = ready()
    sign = world.evidence.sign

    def throttled(statement: bytes) -> Any:  # noqa: ANN401, ARG001 - the port's form
        world.evidence.sign = sign  # type: ignore[method-assign]
        raise TryAgainError("AWS could not sign evidence now: ThrottlingException")

    world.evidence.sign = throttled  # type: ignore[method-assign]

    assert result_of(lambda: settle(world)) == "TryAgainError"
    run = world.runs.snapshot(TENANT, "run-7").run
    assert (run.outcome, run.sealed) == (RunStatus.SUCCEEDED, False)
    assert settle(world, "FAILED") == {"status": "succeeded"}
    assert evidence_of(world)["predicate"]["run"]["outcome"] == "succeeded"


@pytest.mark.parametrize("error", [None, "StepFailedError", NOT_STARTED])
def test_settling_again_after_a_crash_signs_the_same_statement(error: str | None) -> None:
    ways = assert_recovers(ready, lambda world: settle(world, error))

    # run, plan, journal, artifacts and end; then plan, journal, artifacts, sign, store and seal
    assert ways >= 2 * 2 * 10


def test_settling_a_cancelled_run_again_after_a_crash_signs_the_same_statement() -> None:
    ways = assert_recovers(cancelled, lambda world: settle(world, "ABORTED"))

    assert ways == 2 * 2 * 7


def test_settling_completes_a_cancellation_that_crashed() -> None:
    def act(world: World) -> Any:  # noqa: ANN401 - any JSON
        cancel_run(TENANT, "run-7", "bob", world)
        return settle(world, "ABORTED")

    assert assert_recovers(ready, act) == 2 * 2 * (4 + 7)
