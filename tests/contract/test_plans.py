"""The port Plans: documents by tenant and hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskrunner.compiler.driver import plan_pack
from taskrunner.errors import NotFoundError
from taskrunner.model import plan_document
from tests.packs import pack

if TYPE_CHECKING:
    from tests.contract.ports import Ports

HASH = "sha256:" + "a" * 64
PLAN = plan_pack(
    pack(
        "- {id: one, run: {uses: builtin:noop}}",
        spec="""
        inputs:
          - {name: name, type: string, default: "ä ☃"}
          - {name: n, type: number, default: 1.5}
          - {name: none, type: string}
        """,
    ),
    {},
)
DOCUMENT = plan_document.to_document(PLAN)


def test_a_plan_is_read_as_it_was_stored(world: Ports) -> None:
    world.plans.put("acme", HASH, DOCUMENT, 3600)

    assert world.plans.get("acme", HASH) == PLAN
    assert world.plans.document("acme", HASH) == DOCUMENT


def test_storing_a_plan_twice_has_no_further_effect(world: Ports) -> None:
    for _ in range(2):
        world.plans.put("acme", HASH, DOCUMENT, 3600)

    assert world.plans.document("acme", HASH) == DOCUMENT


def test_a_manifest_is_read_as_it_was_stored_beside_a_plan_of_its_hash(world: Ports) -> None:
    text = "# ä ☃\n\r\nspec: {}\n"
    world.plans.put("acme", HASH, DOCUMENT, 3600)
    world.plans.put_manifest("acme", HASH, text, 3600)

    assert world.plans.manifest("acme", HASH) == text
    assert world.plans.document("acme", HASH) == DOCUMENT


def test_a_manifest_that_is_not_stored_for_the_tenant_is_not_found(world: Ports) -> None:
    digest = "sha256:" + "b" * 64
    world.plans.put_manifest("acme", digest, "text", 3600)

    with pytest.raises(NotFoundError, match=digest):
        world.plans.manifest("globex", digest)


def test_a_plan_of_another_tenant_is_not_found(world: Ports) -> None:
    world.plans.put("acme", HASH, DOCUMENT, 3600)

    with pytest.raises(NotFoundError):
        world.plans.get("globex", HASH)


def test_a_plan_that_has_expired_is_not_found(world: Ports) -> None:
    expired = "sha256:" + "e" * 64

    with pytest.raises(NotFoundError, match=expired):
        world.plans.get("acme", expired)
    with pytest.raises(NotFoundError, match=expired):
        world.plans.document("acme", expired)


def test_reads_plans_again_that_the_cache_has_dropped(world: Ports) -> None:
    hashes = [f"sha256:{number:064x}" for number in range(40)]
    for number, plan_hash in enumerate(hashes):
        world.plans.put("acme", plan_hash, DOCUMENT | {"inputs": {"number": number}}, 3600)

    numbers = [world.plans.get("acme", plan_hash).inputs["number"] for plan_hash in hashes]

    assert numbers == list(range(40))
