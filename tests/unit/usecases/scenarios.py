"""The start of tests of use cases: packs, callers, and runs in a world in memory."""

from __future__ import annotations

import json
from base64 import b64decode
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from taskrunner.errors import ConflictError, TaskRunnerError, TryAgainError
from taskrunner.model.approval import Verdict
from taskrunner.model.artifact import EVIDENCE_BUNDLE
from taskrunner.model.caller import Caller
from taskrunner.model.run import StepReference
from taskrunner.usecases.create_run import CreateRun, create_run
from taskrunner.usecases.decide_approval import decide_approval
from taskrunner.usecases.enter_gate import enter_gate
from taskrunner.usecases.run_step import run_step
from tests.fakes.failing_world import CrashError, FailingWorld, Failure
from tests.fakes.world import MemoryWorld
from tests.packs import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonObject
    from taskrunner.ports import World
    from tests.fakes.runs import StoredRun

_T = TypeVar("_T")

TENANT = "acme"
NOON = "2025-12-06T12:00:00.000Z"
ANA = Caller(subject="ana", scopes=frozenset({"operator"}), tenants=(TENANT,))
BOB = replace(ANA, subject="bob")
CAROL = replace(ANA, subject="carol")
ADMIN = replace(ANA, subject="root", scopes=frozenset({"admin"}))

PLAIN = pack("- {id: ship, run: {uses: builtin:noop, with: {size: 3}}}", name="plain")
GATED = pack(
    """
    - id: build
      run: {uses: builtin:noop, with: {size: 3}}
    - id: review
      gate: {approval: {id: security, message: "Look at {{ steps.build }} first"}}
    - id: ship
      run: {uses: builtin:noop, with: {size: "{{ steps.build.outputs.size }}"}}
    """.replace("{{ steps.build }}", "the build"),
    spec="""
    approvals: [{id: security, grants: [packs.approve], expiresAfterSeconds: 3600}]
    outputs: [{name: size, type: object, expression: "{{ steps.ship.outputs }}"}]
    """,
    name="gated",
)


def a_request(manifest: str = PLAIN, **changes: Any) -> CreateRun:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {
        "tenant": TENANT,
        "caller": "ana",
        "manifest": manifest,
        "inputs": {},
        "run_id": "run-7",
    }
    return CreateRun(**(fields | changes))


def a_world(manifest: str = PLAIN, **changes: Any) -> MemoryWorld:  # noqa: ANN401
    """A world in which Ana has created the run run-7."""
    world = MemoryWorld()
    create_run(a_request(manifest, **changes), world)
    return world


def step(
    world: World,
    step_id: str,
    *,
    iteration: str = "",
    remaining_s: float = 900.0,
    is_retry: bool = True,
) -> JsonObject:
    """Run a step of run-7, as the machine does."""
    reference = StepReference(TENANT, "run-7", step_id, iteration)
    return run_step(reference, world, remaining_s=remaining_s, is_retry=is_retry)


def gate(
    world: World,
    step_id: str = "review",
    token: str = "token-1",  # noqa: S107
    *,
    iteration: str = "",
) -> JsonObject:
    """Open a gate of run-7, as the machine does."""
    return enter_gate(StepReference(TENANT, "run-7", step_id, iteration), token, world)


def decide(
    world: MemoryWorld,
    verdict: Verdict = Verdict.APPROVED,
    *,
    by: Any = BOB,  # noqa: ANN401
) -> None:
    """Decide the approval `security` of run-7."""
    decide_approval(
        TENANT,
        "run-7",
        "security",
        verdict,
        plan_hash=plan_hash(world),
        caller=by,
        actor=None,
        summary=None,
        world=world,
    )


def plan_hash(world: MemoryWorld) -> str:
    return world.runs.snapshot(TENANT, "run-7").run.plan_hash


def entry_ids(world: MemoryWorld) -> list[str]:
    """The ids of the journal's entries."""
    return [placed.entry.id for placed in world.runs.journal(TENANT, "run-7")]


def last_of_a_step(world: MemoryWorld) -> Entry:
    """The last entry about a step: behind a failure that fails the run is the run's end."""
    entries = [placed.entry for placed in world.runs.journal(TENANT, "run-7")]
    return next(entry for entry in reversed(entries) if entry.step_path is not None)


def stored_state(world: MemoryWorld) -> JsonObject:
    """A copy of the contents of a world, which stays as it is."""
    return deepcopy(contents(world))


def contents(world: MemoryWorld) -> JsonObject:
    """All that a world contains, except how often an approval was written or notified of.

    An evidence bundle is replaced by its statement. Signatures differ each time, and a bundle that
    was not recorded first leaves a file that nothing names.
    """
    return {
        "runs": {key: _without_bundle(stored) for key, stored in world.runs.stored.items()},
        "evidence": {key: evidence_of(world, *key) for key in world.runs.stored},
        "approvals": {
            key: replace(stored, record=replace(stored.record, version=0))
            for key, stored in world.approvals.stored.items()
        },
        "gates": world.approvals.stored_gates,
        "woken": world.approvals.woken,
        "notifications": {sent.id: sent for sent in world.notifications.published},
        "notified": world.approvals.notified,
        "plans": world.plans.texts,
        "files": {
            key: content
            for key, content in world.artifacts.files.items()
            if ".evidence." not in key[1]
        },
        "environments": {
            tenant: environments.history for tenant, environments in world.releases.tenants.items()
        },
        "machines": world.machines,
        "jobs": {key: stored.job for key, stored in world.jobs.stored.items()},
        "executions": world.called_machines.executions,
    }


def _without_bundle(stored: StoredRun) -> StoredRun:
    others = {name: kept for name, kept in stored.artifacts.items() if name[0] != EVIDENCE_BUNDLE}
    return replace(stored, artifacts=others)


def bundle_of(world: MemoryWorld, tenant: str = TENANT, run_id: str = "run-7") -> bytes | None:
    """The file that the run's evidence bundle names, or None when it has none."""
    listed = {artifact.name: artifact for artifact in world.artifacts.list(tenant, run_id)}
    if EVIDENCE_BUNDLE not in listed:
        return None
    return world.artifacts.files[tenant, str(listed[EVIDENCE_BUNDLE].stored_path)]


def evidence_of(world: MemoryWorld, tenant: str = TENANT, run_id: str = "run-7") -> Any:  # noqa: ANN401
    """The statement that the run's evidence bundle holds, or None when it has none."""
    bundle = bundle_of(world, tenant, run_id)
    return None if bundle is None else json.loads(b64decode(json.loads(bundle)["payload"]))


def interruptions(
    arrange: Callable[[], MemoryWorld],
) -> Iterator[Callable[[Callable[[World], Any]], MemoryWorld | None]]:
    """For each call of a port: a function that lets an act fail there and returns its world.

    The function returns None when the act made fewer calls, which ends the series. Each world is a
    copy of what *arrange* makes once.
    """
    arranged = arrange()
    for error in (CrashError, TryAgainError):
        for effect_lost in (True, False):
            for call in range(1, 100):
                failure = Failure(call=call, effect_lost=effect_lost, error=error)
                reached: list[bool] = []

                def interrupted(
                    act: Callable[[World], Any],
                    failure: Failure = failure,
                    reached: list[bool] = reached,
                ) -> MemoryWorld | None:
                    world = deepcopy(arranged)
                    failing = FailingWorld(world, failure)
                    result_of(lambda: act(cast("World", failing)))
                    reached.append(failing.failed)
                    return world if failing.failed else None

                yield interrupted
                if not reached[-1]:
                    break


def result_of(call: Callable[[], _T]) -> _T | str:
    """The answer of a call, or the name and the code of its error."""
    try:
        return call()
    except (TaskRunnerError, CrashError) as error:
        code = f" {error.code}" if isinstance(error, ConflictError) else ""
        return f"{type(error).__name__}{code}"


def assert_recovers(arrange: Callable[[], MemoryWorld], act: Callable[[World], Any]) -> int:
    """Assert that *act*, repeated after any failure, has the result of an act that never failed.

    Return how many ways of failing were tried, so that a test can check that there were some.
    """
    healthy = arrange()
    answer, expected = result_of(lambda: act(healthy)), contents(healthy)
    ways = 0
    for interrupted in interruptions(arrange):
        world = interrupted(act)
        if world is None:
            continue
        ways += 1
        assert result_of(lambda world=world: act(world)) == answer  # type: ignore[misc]
        assert contents(world) == expected
    return ways
