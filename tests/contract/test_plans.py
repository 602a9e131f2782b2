"""The port Plans: documents by tenant and hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskrunner.errors import NotFoundError

if TYPE_CHECKING:
    from tests.contract.ports import Ports

HASH = "sha256:" + "a" * 64
DOCUMENT = {"planVersion": 1, "inputs": {"name": "ä ☃", "n": 1.5, "none": None}, "steps": []}


def test_a_plan_is_read_as_it_was_stored(world: Ports) -> None:
    world.plans.put("acme", HASH, DOCUMENT, 3600)

    assert world.plans.get("acme", HASH) == DOCUMENT


def test_storing_a_plan_twice_has_no_further_effect(world: Ports) -> None:
    for _ in range(2):
        world.plans.put("acme", HASH, DOCUMENT, 3600)

    assert world.plans.get("acme", HASH) == DOCUMENT


def test_a_plan_of_another_tenant_is_not_found(world: Ports) -> None:
    world.plans.put("acme", HASH, DOCUMENT, 3600)

    with pytest.raises(NotFoundError):
        world.plans.get("globex", HASH)


def test_a_plan_that_has_expired_is_not_found(world: Ports) -> None:
    expired = "sha256:" + "e" * 64

    with pytest.raises(NotFoundError, match=expired):
        world.plans.get("acme", expired)


def test_reads_plans_again_that_the_cache_has_dropped(world: Ports) -> None:
    hashes = [f"sha256:{number:064x}" for number in range(40)]
    for number, plan_hash in enumerate(hashes):
        world.plans.put("acme", plan_hash, DOCUMENT | {"number": number}, 3600)

    numbers = [world.plans.get("acme", plan_hash)["number"] for plan_hash in hashes]

    assert numbers == list(range(40))
