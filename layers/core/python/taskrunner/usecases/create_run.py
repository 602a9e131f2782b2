"""Plan a pack, record its run, and start it."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from taskrunner.compiler.budget.duration import longest_s
from taskrunner.compiler.driver import CompiledPack, compile_pack
from taskrunner.compiler.machine.execution_input import execution_input
from taskrunner.errors import (
    ConflictError,
    InvalidRequestError,
    MachineQuotaError,
    NotFoundError,
    TooManyRunsError,
)
from taskrunner.model import api_view, canonical_json, timestamp
from taskrunner.model.brief import brief_of
from taskrunner.model.ceilings import NO_CEILINGS
from taskrunner.model.due_work import breached_at
from taskrunner.model.entries import run_entries, step_entries
from taskrunner.model.run import RUN_ID, RUN_ID_RULE, Run
from taskrunner.model.state.fold import fold
from taskrunner.usecases.start_run import start
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.journal import Entry
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan
    from taskrunner.ports import World

_IDEMPOTENCY_KEY: Final = re.compile(r"[ -~]{1,255}")
_MAX_EXECUTION_NAME: Final = 80
_EXECUTION_HASH_DIGITS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRun:
    """A request whose caller may create runs for *tenant*; *caller* is the token's subject.

    *caller_name* is what the registry calls the caller. *rerun_of* is the run that this one
    repeats, if it repeats one.
    """

    tenant: str
    caller: str
    manifest: str
    inputs: JsonObject
    run_id: str | None = None
    expect_plan_hash: str | None = None
    idempotency_key: str | None = None
    caller_name: str | None = None
    rerun_of: str | None = None


def create_run(request: CreateRun, world: World) -> JsonObject:
    """Record a run and start it. Return the API's RunStateResponse as of the run's creation.

    The answer has `warnings` if the run needed a new machine near AWS's quota of them.

    Raises:
        InvalidPackError: the manifest or the inputs cannot be planned.
        InvalidRequestError: the run id or the idempotency key is malformed.
        ConflictError: `run_exists`, `idempotency_conflict`, `plan_hash_mismatch`.
        TooManyRunsError: the pack's queue is full.
        MachineQuotaError: the account may have no further state machine.
        TryAgainError: AWS is busy, or the deployment is being updated.
    """
    world.logs.add(tenant=request.tenant)  # it may be named by the body
    _check_names(request)
    now = world.clock.now()
    run = _existing(request, world)
    # A request that was accepted once is accepted again, even if the ceilings are lower now.
    ceilings = world.ceilings if run is None else NO_CEILINGS
    compiled = compile_pack(request.manifest, request.inputs, ceilings)
    _check_plan_hash(request, compiled)
    if run is None:
        run_id = request.run_id or world.ids.run_id(now)
        world.logs.add(run=run_id)
        new = _new_run(request, run_id, compiled, timestamp.to_text(now), world)
        run = _record(new, request, compiled, world)
    world.logs.add(run=run.run_id)  # a twin of the request may have chosen another id
    plan = compiled.plan
    warnings = _try_to_start(run, compiled, world)
    state = fold(plan, _first_entries(run, plan), run.created_at)
    view = api_view.run_state(run, plan, state)
    return view | {"warnings": warnings} if warnings else view


def _try_to_start(run: Run, compiled: CompiledPack, world: World) -> list[JsonObject]:
    """Start the run if that is possible now, and return the warnings to its creator.

    The run is recorded, so the caller must learn its id. A failure here comes again when the
    reconciler starts the run, a minute later. It logs the error, and decides what follows.
    """
    of_execution = execution_input(compiled.plan, run.tenant, run.run_id)
    with suppress(Exception):
        try:
            if start(run, compiled.definition, of_execution, world):
                from taskrunner.usecases import warn_of_quota  # noqa: PLC0415 - few runs need it

                return warn_of_quota.near(world)
        except MachineQuotaError:
            from taskrunner.usecases import warn_of_quota  # noqa: PLC0415 - as above

            return warn_of_quota.reached()
    return []


def _check_names(request: CreateRun) -> None:
    if request.run_id is not None and not RUN_ID.fullmatch(request.run_id):
        raise InvalidRequestError("invalid_request", RUN_ID_RULE)
    if request.idempotency_key is not None and not _IDEMPOTENCY_KEY.fullmatch(
        request.idempotency_key
    ):
        message = "Idempotency-Key must have 1 to 255 printable ASCII characters"
        raise InvalidRequestError("invalid_request", message)


def _check_plan_hash(request: CreateRun, compiled: CompiledPack) -> None:
    expected = request.expect_plan_hash
    if expected is not None and expected != compiled.plan_hash:
        message = f"the plan is {compiled.plan_hash}, not the expected {expected}; simulate again"
        raise ConflictError("plan_hash_mismatch", message)


def _record(run: Run, request: CreateRun, compiled: CompiledPack, world: World) -> Run:
    """Record *run*, or return the run that a twin of this request has recorded just before.

    The plan is stored before the run, so that every recorded run can be read and started. A crash
    after the record leaves a queued run. A retry with its key, or the reconciler, starts it.
    """
    _check_queue(run, world)
    world.plans.put(run.tenant, run.plan_hash, compiled.document, run.longest_s)
    if run.manifest_digest is not None:
        digest, text = run.manifest_digest, request.manifest
        world.plans.put_manifest(run.tenant, digest, text, run.longest_s)
    entries = _first_entries(run, compiled.plan)
    watch_at = breached_at(run.created_at, compiled.plan.slo.run_p95_s)
    if world.runs.create(run, entries, brief_of(compiled.plan), watch_at=watch_at):
        return run
    twin = _existing(request, world)
    if twin is None:
        message = f"the run {run.run_id} exists already; choose another runId"
        raise ConflictError("run_exists", message)
    return twin


def _new_run(
    request: CreateRun, run_id: str, compiled: CompiledPack, created_at: str, world: World
) -> Run:
    plan = compiled.plan
    return Run(
        tenant=request.tenant,
        run_id=run_id,
        plan_hash=compiled.plan_hash,
        definition_hash=compiled.definition_hash,
        pack_name=plan.pack_name,
        pack_version=plan.pack_version,
        machine=world.machines.name(plan.pack_name, plan.pack_version, compiled.definition),
        distributed=tuple(sorted(compiled.distributed)),
        execution=_execution_name(request.tenant, run_id, created_at),
        created_at=created_at,
        created_by=request.caller,
        created_by_name=request.caller_name,
        request_digest=_digest(request),
        longest_s=longest_s(plan),
        queue_depth=plan.slo.max_queue_depth,
        idempotency_key=request.idempotency_key,
        manifest_digest=_manifest_digest(request.manifest),
        rerun_of=request.rerun_of,
    )


def _execution_name(tenant: str, run_id: str, created_at: str) -> str:
    """Return the name of a run's execution: the run's id, cut if it is long, and a hash.

    Tenants share machines, and may use the same run ids. Step Functions keeps a name for 90 days
    after the end of its execution. When retention has freed a run id sooner, a new run of that id
    needs another execution name than the old one.
    """
    digits = hashlib.sha256(f"{tenant}\x00{run_id}\x00{created_at}".encode()).hexdigest()
    suffix = f"-{digits[:_EXECUTION_HASH_DIGITS]}"
    return run_id[: _MAX_EXECUTION_NAME - len(suffix)] + suffix


def _manifest_digest(manifest: str) -> str:
    return f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"


def _digest(request: CreateRun) -> str:
    document: JsonObject = {
        "manifest": request.manifest,
        "inputs": request.inputs,
        "runId": request.run_id,
        "tenant": request.tenant,
        "expectPlanHash": request.expect_plan_hash,
    }
    rerun = {} if request.rerun_of is None else {"rerunOf": request.rerun_of}
    return canonical_json.digest(document | rerun)


def _first_entries(run: Run, plan: Plan) -> Sequence[Entry]:
    """The creation of the run, and the steps that planning has skipped."""
    skipped = [
        step_entries.step_skipped(step.id, run.created_at, when_planned=True)
        for step in (*plan.steps, *plan.final_steps)
        if step.enabled is False
    ]
    return [run_entries.run_created(run), *skipped]


def _existing(request: CreateRun, world: World) -> Run | None:
    """The run that this request created when it was sent before; None if it has not been.

    The key decides, whatever run id the request names. A request without a key is never taken for
    one that was sent before.
    """
    key = request.idempotency_key
    run_id = None if key is None else world.runs.keyed(request.tenant, request.caller, key)
    if run_id is None:
        return None
    try:
        run = world.runs.snapshot(request.tenant, run_id).run
    except NotFoundError:  # retention deletes a run and its key one after the other
        return None
    try:
        digest = _digest(request)
    except ValueError:  # a value that RFC 8785 refuses, which planning explains and refuses too
        return None
    if run.request_digest != digest:
        message = "this Idempotency-Key was used with another request; use a new key"
        raise ConflictError("idempotency_conflict", message)
    return run


def _check_queue(run: Run, world: World) -> None:
    """Refuse the run if its pack, in all versions, has as many unfinished runs as it may have.

    The count is read from an index that lags by moments. When several runs pass this check at the
    same time, recording them counts exactly.
    """
    depth = run.queue_depth
    if depth is None:
        return
    if world.runs.count_unfinished(run.tenant, run.pack_name, depth) >= depth:
        raise TooManyRunsError(run.pack_name, depth)
