"""A call that is answered without a request is the same call, with the same answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults import world
from tests.faults.scenarios import FUNCTIONS, SCENARIOS, SECRETS
from tests.faults.service import service as fresh_service
from tests.faults.sweep import Sweep

if TYPE_CHECKING:
    from tests.faults.sweep import Recording


@pytest.mark.parametrize("scenario", ["approvals", "worker fails", "machine fails"])
def test_a_play_makes_the_same_calls_to_the_same_end(
    scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    directly = recorded(scenario)
    monkeypatch.setattr(world, "direct_calls", lambda client, *_: client)

    by_requests = recorded(scenario)

    assert directly.places == by_requests.places
    assert directly.summary == by_requests.summary
    assert directly.ended.follower.lines == by_requests.ended.follower.lines


def recorded(scenario: str) -> Recording:
    with fresh_service(SECRETS, FUNCTIONS) as service:
        assert SCENARIOS[scenario].abandoned is None
        return Sweep(service).record(scenario)
