"""Read the state of a run: all of it or the steps in one block, and only if it has changed."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from taskrunner.errors import InvalidRequestError, NotFoundError
from taskrunner.model import api_view, timestamp
from taskrunner.model.journal import Position
from taskrunner.model.plan import ApprovalGate, RunStep
from taskrunner.model.run import RunStatus
from taskrunner.model.state.children import children
from taskrunner.model.state.fold import LONGEST_ATTEMPT, fail_lost_steps, fold
from taskrunner.runtime.step_members import members_of, waits_for_worker
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taskrunner.model.journal import PlacedEntry
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan
    from taskrunner.model.run import Run, RunState, StepState, StepStatus
    from taskrunner.ports import RunSnapshot, World

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 2.0
_BEFORE_ALL: Final = Position(0, -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateQuery:
    """A caller's question about the state of a run.

    With *parent*, the path of a block, it is the steps directly in it: at most *limit* of those
    with *status*, from *cursor* on. *known_tags* are the ETags of what the caller has. With *since*
    it is the state once the journal has moved past that position, for which the call waits *wait_s*
    seconds.
    """

    parent: str | None = None
    status: StepStatus | None = None
    limit: int = 50
    cursor: str | None = None
    known_tags: frozenset[str] = frozenset()
    since: Position | None = None
    wait_s: int = 0


class StateAnswer(NamedTuple):
    """The API's RunStateResponse with its ETag; None if the caller knows it, or nothing came."""

    tag: str
    state: JsonObject | None


def read_state(tenant: str, run_id: str, query: StateQuery, world: World) -> StateAnswer:
    """Return the state of a run, or its ETag alone if the caller has that state.

    The ETag follows from the end of the journal, so a state that has not changed costs one read.

    Raises:
        NotFoundError: the tenant has no such run, or the run no such step, or retention has begun
            to delete it.
        InvalidRequestError: the parent is not a block, or the cursor is not of such a page.
    """
    snapshot = _awaited(tenant, run_id, query, world)
    run, position = snapshot.run, _last(snapshot.last_entries)
    tags = [_tag(run, snapshot.last_entries, world, waits=waits) for waits in (False, True)]
    known = next((tag for tag in tags if tag in query.known_tags), None)
    is_known = known is not None or "*" in query.known_tags
    if is_known or (query.since is not None and position <= query.since):
        return StateAnswer(known or tags[0], None)
    plan = world.plans.get(tenant, run.plan_hash)
    journal = world.runs.journal(tenant, run_id)
    state = fold(plan, (placed.entry for placed in journal), run.created_at)
    if run.outcome is not None:
        state = fail_lost_steps(state, world.clock.now())
    members = members_of(state.steps, plan, tenant, world)
    if query.parent is None:
        view = api_view.run_state(run, plan, state, members)
    else:
        view = _page_of_children(run, plan, state, members, query)
    view |= world.links.of(run)
    view["position"] = api_view.cursor(_last(journal))
    waits = any(map(waits_for_worker, state.steps))
    return StateAnswer(_tag(run, journal, world, waits=waits), view)


def run_state(tenant: str, run_id: str, world: World) -> JsonObject:
    """Return the API's RunStateResponse of the whole run.

    Raises:
        NotFoundError: as for `read_state`.
    """
    return read_state(tenant, run_id, StateQuery(), world).state or {}


def _awaited(tenant: str, run_id: str, query: StateQuery, world: World) -> RunSnapshot:
    """The run once its journal has moved past a position, or as it is when the time is over."""
    snapshot = world.runs.snapshot(tenant, run_id)
    if query.since is None:
        return snapshot
    give_up_at = world.clock.now() + timedelta(seconds=query.wait_s)
    pause_s = _FIRST_PAUSE_S
    while _last(snapshot.last_entries) <= query.since:
        left_s = (give_up_at - world.clock.now()).total_seconds()
        if left_s <= 0:
            break
        world.clock.sleep(min(pause_s, left_s))
        pause_s = min(1.5 * pause_s, _LONGEST_PAUSE_S)
        snapshot = world.runs.snapshot(tenant, run_id)
    return snapshot


def _last(entries: Sequence[PlacedEntry]) -> Position:
    return entries[-1].position if entries else _BEFORE_ALL


def _tag(run: Run, entries: Sequence[PlacedEntry], world: World, *, waits: bool) -> str:
    """The ETag of the state by *entries*, of which the last counts.

    Two things change a state without an entry. Time shows that a step died that was running when
    its run ended: the ETag of an ended run changes each minute until no step can be running. And
    while a step *waits* for a worker, workers come and go: the ETag changes each minute too. No
    state has both kinds of ETags at the same position, so a caller's ETag says which one holds.
    """
    text = api_view.cursor(_last(entries))
    if waits:
        minutes = int(world.clock.now().timestamp()) // 60
        return f'"{text}-w{minutes}"'
    if run.outcome in {RunStatus.FAILED, RunStatus.SUCCEEDED} and entries:
        age = world.clock.now() - timestamp.from_text(entries[-1].entry.occurred_at)
        minutes = max(0, age // timedelta(minutes=1))
        text += "-ended" if age > LONGEST_ATTEMPT else f"-{minutes}"
    return f'"{text}"'


# --- the steps in a block -----------------------------------------------------------------------


def _page_of_children(
    run: Run, plan: Plan, state: RunState, members: api_view.Members, query: StateQuery
) -> JsonObject:
    parent = query.parent or ""
    block = next((step for step in state.steps if step.path == parent), None)
    if block is None:
        raise NotFoundError(f"step {parent[:200]} in run {run.run_id}")
    if isinstance(plan.step(block.template_id), RunStep | ApprovalGate):
        message = f"the step {parent} is not a block; parent must be the stepId of a block"
        raise InvalidRequestError("invalid_request", message)
    following = _after(children(state, parent), query)
    matching = (step for step in following if query.status in {None, step.status})
    page = list(islice(matching, query.limit))
    view = api_view.run_children(run, plan, state, block, page, members=members)
    if len(page) == query.limit and next(matching, None) is not None:
        view["nextCursor"] = _cursor(query, page[-1].path)
    return view


def _after(steps: Iterator[StepState], query: StateQuery) -> Iterable[StepState]:
    """Return the *steps* after the one that the cursor names. A step never changes its place."""
    if query.cursor is None:
        return steps
    for step in steps:
        if _cursor(query, step.path) == query.cursor:
            return steps
    message = "cursor is not one that these steps have given out; omit it to start over"
    raise InvalidRequestError("invalid_request", message)


def _cursor(query: StateQuery, path: str) -> str:
    text = json.dumps([query.parent, query.status, path])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
