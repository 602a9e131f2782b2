"""The function that gives CloudFormation a digest of settings."""

from __future__ import annotations

from typing import Any

import pytest

from functions.digest_settings.app import handler
from tests.machine.client import LambdaContext
from tests.unit.functions.test_remove_machines import cloudformation, request

CONTEXT: Any = LambdaContext()


def digest(kind: str = "Create", **settings: str) -> str:
    with cloudformation() as server:
        event = request(kind, server) | {"ResourceProperties": {"Settings": settings}}
        handler(event, CONTEXT)
    (answer,) = server.answers
    assert answer["Status"] == "SUCCESS"
    found: str = answer["Data"]["Digest"]
    return found


def test_other_settings_have_another_digest() -> None:
    assert len({digest(A="1", B="2"), digest(A="2", B="1"), digest(A="1"), digest(A="12")}) == 4


@pytest.mark.parametrize("kind", ["Update", "Delete"])
def test_the_same_settings_have_the_same_digest_at_any_time(kind: str) -> None:
    """So a deployment that is rolled back leads to the description from before."""
    assert digest(kind, B="2", A="1") == digest(A="1", B="2")


def test_a_digest_leaves_room_in_a_description() -> None:
    assert len(digest(A="x" * 4096)) == 64
