"""Run the pack of an earlier run again, with its inputs or with some of them replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.errors import ConflictError
from taskrunner.usecases.create_run import CreateRun, create_run
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonMapping, JsonObject
    from taskrunner.ports import World


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunRun:
    """A request whose caller may create runs for *tenant*.

    *inputs* replace those of the run *rerun_of* by name; null takes the pack's default. The other
    fields are those of `CreateRun`.
    """

    tenant: str
    caller: str
    rerun_of: str
    inputs: JsonMapping
    run_id: str | None = None
    expect_plan_hash: str | None = None
    idempotency_key: str | None = None
    caller_name: str | None = None


def rerun_run(request: RerunRun, world: World) -> JsonObject:
    """Create a run of the manifest of an earlier run. Return the API's RunStateResponse.

    The inputs that are not replaced are those of the earlier run's plan, with the defaults that it
    took: the same manifest gives the same values again.

    Raises:
        NotFoundError: the tenant has no such run, or retention has begun to delete it.
        ConflictError: `manifest_not_stored`, and those of `create_run`.
        InvalidPackError, InvalidRequestError, TooManyRunsError: as `create_run`.
    """
    run = world.runs.snapshot(request.tenant, request.rerun_of).run
    plan = world.plans.get(request.tenant, run.plan_hash)
    if run.manifest_digest is None:
        message = (
            f"the manifest of the run {run.run_id} is not stored, because the run is older than "
            "reruns; create a run with its manifest"
        )
        raise ConflictError("manifest_not_stored", message)
    manifest = world.plans.manifest(request.tenant, run.manifest_digest)
    creation = CreateRun(
        tenant=request.tenant,
        caller=request.caller,
        manifest=manifest,
        inputs={**plan.inputs, **request.inputs},
        run_id=request.run_id,
        expect_plan_hash=request.expect_plan_hash,
        idempotency_key=request.idempotency_key,
        caller_name=request.caller_name,
        rerun_of=run.run_id,
    )
    return create_run(creation, world)
