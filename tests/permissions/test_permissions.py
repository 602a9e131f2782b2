"""Each role grants what its code calls, and nothing more: both ways, call by call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.permissions import grants
from tests.permissions.grants import Names

if TYPE_CHECKING:
    from tests.permissions.covering import Play


def test_the_play_came_to_where_the_calls_are_made(played: Play) -> None:
    unfinished = {name: status for name, status in played.statuses.items() if status == "Pending"}

    assert unfinished == {}
    assert played.strays == set()
    assert played.statuses["working"] == "succeeded"


def test_a_function_may_do_what_it_does(played: Play) -> None:
    granted = grants.of_functions(Names(played.known))

    missing = [
        f"{function}: {need.action} on {need.resource} for {sorted(need.keys)}"
        for function, needs in played.needs.items()
        for need in sorted(needs, key=str)
        if not any(one.allows(need) for one in granted[function])
    ]
    assert "\n".join(missing) == ""


def test_a_function_does_all_that_it_may(played: Play) -> None:
    granted = grants.of_functions(Names(played.known))

    unused = [
        f"{function}, {one.sid}: {one.action} on {one.resource} for {one.keys}"
        for function, grants_of_it in granted.items()
        for one in grants_of_it
        if not any(one.allows(need) for need in played.needs.get(function, ()))
    ]
    assert "\n".join(unused) == ""
