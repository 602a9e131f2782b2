"""The cancellation of a run that is under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.machine.packs import GATED
from tests.machine.runs import decide, has_entry, start, state_of, statuses
from tests.packs import pack

if TYPE_CHECKING:
    from tests.machine.client import Client
    from tests.machine.engine import Engine


def test_cancelling_ends_a_waiting_run_for_good(engine: Engine, ana: Client, bob: Client) -> None:
    run_id = start(ana, GATED)
    engine.wait(ana, run_id, "waiting")

    first, second = ana("POST", f"runs/{run_id}/cancel"), ana("POST", f"runs/{run_id}/cancel")
    late = decide(bob, run_id, "security", "approved")
    state = ana("GET", f"runs/{run_id}").json

    assert (first.status, second.status) == (202, 202)
    assert first.json == second.json == {"status": "cancelled", "runStatus": "cancelled"}
    assert late.status == 409
    assert late.json["error"]["code"] == "approval_not_open"
    assert state["status"] == "cancelled"
    assert statuses(state) == {
        "build": "Succeeded",
        "review": "Skipped cancelled",
        "ship": "Skipped cancelled",
    }


def test_cancelling_skips_what_has_not_ended_in_a_map(ana: Client) -> None:
    manifest = pack(
        """
        - id: each
          map:
            items: "[`1`, `2`]"
            steps:
              - {id: quick, run: {uses: builtin:noop}}
              - {id: review, gate: {approval: {id: security}}}
              - {id: then, run: {uses: builtin:noop}}
        - {id: after, run: {uses: builtin:noop}}
        """,
        spec="approvals: [{id: security}]",
    )
    run_id = start(ana, manifest)
    ana.engine.until(
        lambda: all(
            has_entry(ana, run_id, f"each[{index}]::review", "gate.awaiting") for index in (0, 1)
        ),
        "the gates do not open",
    )

    answer = ana("POST", f"runs/{run_id}/cancel")
    state = state_of(ana, run_id)

    assert answer.status == 202
    assert state["status"] == "cancelled"
    assert statuses(state) == {
        "each": "Skipped cancelled",
        "each[0]::quick": "Succeeded",
        "each[0]::review": "Skipped cancelled",
        "each[0]::then": "Skipped cancelled",
        "each[1]::quick": "Succeeded",
        "each[1]::review": "Skipped cancelled",
        "each[1]::then": "Skipped cancelled",
        "after": "Skipped cancelled",
    }
