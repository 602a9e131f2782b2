"""Plans of any kind, with journals whose entries may or may not be likely."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from taskrunner.compiler.driver import plan_pack
from taskrunner.model import step_path
from taskrunner.model.journal import Entry, Event
from taskrunner.model.plan import walk
from tests.machine.generated_packs import packs

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from taskrunner.model.plan import Plan

CREATED_AT = "2026-01-01T00:00:00.000Z"
_TIMES = st.integers(0, 59).map(lambda second: f"2026-01-01T00:00:{second:02}.000Z")
_EVENTS = st.sampled_from(Event)
_METADATA = st.fixed_dictionaries(
    {},
    optional={
        "attempt": st.sampled_from(["1", "2", "many"]),
        "ask": st.sampled_from(["branch", "items", "end", "policy"]),
        "value": st.sampled_from(["0", "1", "2", "branch", "passed", "failed", "retry"]),
        "reason": st.sampled_from(["condition-false", "policy-failed", "no-reason"]),
        "nextAttemptAt": st.just("2026-01-01T00:01:00.000Z"),
    },
)


@st.composite
def journals(draw: DrawFn) -> tuple[Plan, list[Entry]]:
    """A plan, and entries about its steps in any order."""
    plan = plan_pack(json.dumps(draw(packs())), {})  # JSON is YAML, and is written at once
    paths = [first_path(plan, step.id) for step in walk(plan.steps)]
    entries = st.builds(
        Entry,
        id=st.just("an-entry"),
        occurred_at=_TIMES,
        event=_EVENTS,
        message=st.just("A message."),
        step_path=st.none() | st.sampled_from([*paths, "nobody", "s1[0]::s1"]),
        metadata=_METADATA,
    )
    return plan, draw(st.lists(entries, max_size=25))


def first_path(plan: Plan, step_id: str) -> str:
    """The path of a step in the first iteration of every map and loop around it."""
    prefix = ""
    for block in plan.iterations(step_id):
        prefix = step_path.iteration_prefix(step_path.join(prefix, block.id), 0)
    return step_path.join(prefix, step_id)
