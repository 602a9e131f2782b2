"""A change from one plan to another: what differs, where, and what stood and stands there."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from taskrunner.values import dataclass

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json


class Part(StrEnum):
    """The parts of a plan, in the order in which their changes are listed."""

    PACK = "pack"
    INPUTS = "inputs"
    FAILURE_POLICY = "failurePolicy"
    SANDBOX = "sandbox"
    SLO = "slo"
    SECRETS = "secrets"
    APPROVALS = "approvals"
    POLICIES = "policies"
    STEPS = "steps"
    OUTPUTS = "outputs"


class ChangeKind(StrEnum):
    """The kinds of change."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


class Place(NamedTuple):
    """A place in a plan: a list of the block *parent_id*, or of the plan if None.

    *number* counts its steps or members from 0.
    *list_pointer* is the JSON pointer of the list in the block, such as `/branches/0/steps`.
    """

    parent_id: str | None
    list_pointer: str
    number: int


class PlanValue(NamedTuple):
    """A value of a plan. *is_template* is whether the run fills in some of its texts."""

    value: Json
    is_template: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change from an old plan to a new one.

    *id* names the step, input, approval, policy, secret or output; other parts have none. *field*
    is a JSON pointer in it, and None for the whole. *old* or *new* is None where the plan has no
    such value. Steps and members of lists that were added, removed or moved have their places.
    """

    kind: ChangeKind
    part: Part
    id: str | None = None
    field: str | None = None
    old: PlanValue | None = None
    new: PlanValue | None = None
    old_place: Place | None = None
    new_place: Place | None = None
