"""Plan a pack, record its run, and start it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from taskrunner.compiler.budget.duration import longest_s
from taskrunner.compiler.driver import CompiledPack, compile_pack
from taskrunner.compiler.machine.execution_input import execution_input
from taskrunner.errors import ConflictError, InvalidRequestError, NotFoundError, TooManyRunsError
from taskrunner.model import canonical_json, moment
from taskrunner.model.ceilings import NO_CEILINGS
from taskrunner.model.fold import fold
from taskrunner.model.journal import Entry, Event
from taskrunner.model.run import RUN_ID, RUN_ID_RULE, Reason, Run
from taskrunner.runtime import run_view
from taskrunner.usecases.start_run import start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan
    from taskrunner.ports.world import World

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRun:
    """A checked request: *caller* is the token's subject, *body* all that the digest covers."""

    tenant: str
    caller: str
    manifest: str
    inputs: JsonObject
    run_id: str | None = None
    expect_plan_hash: str | None = None
    idempotency_key: str | None = None


def create_run(request: CreateRun, world: World) -> JsonObject:
    """Record and start a run; returns the API's RunStateResponse as of the moment of creation.

    Raises:
        InvalidPackError: the manifest or the inputs cannot be planned.
        InvalidRequestError: the run id or the idempotency key is malformed.
        ConflictError: `run_exists`, `idempotency_conflict`, `plan_hash_mismatch`.
        TooManyRunsError: the pack's queue is full.
    """
    _check_names(request)
    now = world.clock.now()
    run_id = request.run_id or _keyed_run_id(request) or world.ids.run_id(now)
    first = _existing(request, run_id, world)
    # What was accepted once is not refused because the deployment has become stricter since.
    ceilings = world.ceilings if first is None else NO_CEILINGS
    compiled = compile_pack(request.manifest, request.inputs, ceilings)
    _check_plan_hash(request, compiled)
    run = first or _run(request, run_id, compiled, moment.to_text(now), world)
    if first is None:
        _check_queue(run, world)
        # The plan before the run: a run that is recorded can always be read and started. A crash
        # after the record leaves a queued run, which a retry with the key or the reconciler starts.
        world.plans.put(run.tenant, run.plan_hash, compiled.document, run.longest_s)
        if not world.runs.create(run, _first_entries(run, compiled.plan)):
            # Another request created it since; it may have been this very one, sent twice.
            first = _existing(request, run_id, world)
            if first is None:
                raise _exists(run_id)
            run = first
    entries = _first_entries(run, compiled.plan)
    start(run, compiled.definition, execution_input(compiled.plan, run.tenant, run.run_id), world)
    state = fold(compiled.plan, entries, run.created_at)
    return run_view.run_state(run, compiled.plan, state)


def _check_names(request: CreateRun) -> None:
    if request.run_id is not None and not RUN_ID.fullmatch(request.run_id):
        raise InvalidRequestError("invalid_request", RUN_ID_RULE)
    if request.idempotency_key is not None and not _KEY.fullmatch(request.idempotency_key):
        message = "Idempotency-Key has 1 to 255 printable ASCII characters without spaces"
        raise InvalidRequestError("invalid_request", message)


def _keyed_run_id(request: CreateRun) -> str | None:
    """The run id of a request with a key and no id: the same request finds the same run."""
    if request.idempotency_key is None:
        return None
    text = f"{request.tenant}\x00{request.caller}\x00{request.idempotency_key}"
    return "run-" + hashlib.sha256(text.encode()).hexdigest()[:24]


def _check_plan_hash(request: CreateRun, compiled: CompiledPack) -> None:
    expected = request.expect_plan_hash
    if expected is not None and expected != compiled.plan_hash:
        message = f"the plan is {compiled.plan_hash}, not the expected {expected}; simulate again"
        raise ConflictError("plan_hash_mismatch", message)


def _run(
    request: CreateRun, run_id: str, compiled: CompiledPack, created_at: str, world: World
) -> Run:
    plan = compiled.plan
    # Step Functions keeps a name for 90 days after the end, so a run whose id retention has freed
    # needs another one: by the old name it would be taken for the run that had the id before.
    name = hashlib.sha256(f"{request.tenant}\x00{run_id}\x00{created_at}".encode()).hexdigest()
    return Run(
        tenant=request.tenant,
        run_id=run_id,
        plan_hash=compiled.plan_hash,
        definition_hash=compiled.definition_hash,
        pack_name=plan.pack_name,
        pack_version=plan.pack_version,
        machine=world.machines.name(plan.pack_name, compiled.definition_hash),
        execution=name,
        created_at=created_at,
        created_by=request.caller,
        request_digest=_digest(request),
        longest_s=longest_s(plan),
        queue_depth=plan.slo.max_queue_depth,
        idempotency_key=request.idempotency_key,
    )


def _digest(request: CreateRun) -> str:
    return canonical_json.digest(
        {
            "manifest": request.manifest,
            "inputs": request.inputs,
            "runId": request.run_id,
            "tenant": request.tenant,
            "expectPlanHash": request.expect_plan_hash,
        }
    )


def _first_entries(run: Run, plan: Plan) -> Sequence[Entry]:
    created = Entry(
        id="run.created",
        at=run.created_at,
        event=Event.RUN_CREATED,
        message="Run created via API.",
        metadata={"planHash": run.plan_hash, "requestedAt": run.created_at, "by": run.created_by},
    )
    skipped = [
        Entry(
            id=f"{step.id}#skipped",
            at=run.created_at,
            event=Event.STEP_SKIPPED,
            step=step.id,
            message=f"Step skipped: {step.id}, its condition is false for these inputs",
            metadata={"reason": Reason.CONDITION_FALSE.value},
        )
        for step in plan.steps
        if step.enabled is False
    ]
    return [created, *skipped]


def _existing(request: CreateRun, run_id: str, world: World) -> Run | None:
    """The run of that id, when this request or its twin made it; None when the id is free.

    Only a request that could have been sent before is worth the read: a caller that names neither
    run nor key gets a fresh id. A caller's own id without a key is left to the conditional write.
    """
    if request.idempotency_key is None:
        return None
    try:
        run = world.runs.head(request.tenant, run_id).run
    except NotFoundError:
        return None
    if run.idempotency_key != request.idempotency_key:
        raise _exists(run_id)
    if (run.request_digest, run.created_by) != (_digest(request), request.caller):
        message = "this Idempotency-Key was used with another request; use a new key"
        raise ConflictError("idempotency_conflict", message)
    return run


def _exists(run_id: str) -> ConflictError:
    return ConflictError("run_exists", f"the run {run_id} exists already; choose another runId")


def _check_queue(run: Run, world: World) -> None:
    """Refuse one run more than the pack wants unfinished.

    This counts the runs of all versions, by an index that lags by moments. Of those at once that
    pass here, recording them counts exactly.
    """
    depth = run.queue_depth
    if depth is None:
        return
    if world.runs.count_unfinished(run.tenant, run.pack_name, depth) >= depth:
        raise TooManyRunsError(run.pack_name, depth)
