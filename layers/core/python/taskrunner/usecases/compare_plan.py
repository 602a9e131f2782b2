"""Compare a plan with an earlier one: a run's, one of a hash, or the last that was approved."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.errors import InvalidRequestError
from taskrunner.model import plan_view
from taskrunner.model.plan_diff import diff
from taskrunner.model.run import RUN_ID

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonMapping, JsonObject
    from taskrunner.ports import World

LAST_APPROVED: Final = "last-approved"
_PLAN_HASH: Final = re.compile(r"sha256:[a-f0-9]{64}")
_NO_RUN: Final = "no other run of the pack has an approval that was granted"
_RULE: Final = f"compareTo is a runId, a plan hash (sha256: and 64 hex digits) or {LAST_APPROVED}"


class _Base(NamedTuple):
    """The plan to compare with, and the run that it was found by, if any."""

    plan_hash: str
    run_id: str | None = None


def compare_plan(  # noqa: PLR0913 - what is compared, with what, and where
    tenant: str,
    plan_hash: str,
    document: JsonMapping,
    compare_to: str,
    world: World,
    *,
    run_id: str | None = None,
) -> JsonObject:
    """Return the API's PlanComparison of a plan document with the plan that *compare_to* names.

    `last-approved` is the newest other run of the same pack that has an approval that was granted;
    *run_id* is the run whose plan is compared. If there is none, the comparison says so.

    Raises:
        InvalidRequestError: *compare_to* has none of the three forms.
        NotFoundError: the tenant has no such run or plan, or retention has deleted it.
    """
    base = _base(tenant, document["pack"]["name"], compare_to, run_id, world)
    if base is None:
        return {"compareTo": compare_to, "reason": _NO_RUN}
    comparison: JsonObject = {"compareTo": compare_to, "planHash": base.plan_hash}
    if base.run_id is not None:
        comparison["runId"] = base.run_id
    is_same = base.plan_hash == plan_hash
    old = document if is_same else world.plans.document(tenant, base.plan_hash)
    found = diff(old, document)
    return comparison | {"identical": is_same, "diff": plan_view.changes(found)}


def check_form(compare_to: str) -> None:
    """Raise InvalidRequestError if *compare_to* is not of the form of a run id or a plan hash."""
    if not (_PLAN_HASH.fullmatch(compare_to) or RUN_ID.fullmatch(compare_to)):
        raise InvalidRequestError("invalid_request", _RULE)


def _base(
    tenant: str, pack_name: str, compare_to: str, run_id: str | None, world: World
) -> _Base | None:
    check_form(compare_to)
    if _PLAN_HASH.fullmatch(compare_to):
        return _Base(compare_to)
    if compare_to != LAST_APPROVED:
        return _Base(world.runs.snapshot(tenant, compare_to).run.plan_hash, compare_to)
    approved = world.runs.last_approved(tenant, pack_name, run_id)
    return None if approved is None else _Base(approved.plan_hash, approved.run_id)
