"""The local stack, started when it is not up, with this code deployed; and callers of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest

from tests.stack import own_stack
from tests.stack.api import PATIENCE_S, Api
from tests.stack.packs import GATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskrunner_cli.local import Stack

_TAKE_A_MINUTE = ("expiring_run",)


@pytest.fixture(name="stack", scope="session")
def _stack() -> Iterator[Stack]:
    yield own_stack.up()
    own_stack.end_if_linked()


@pytest.fixture(name="operator", scope="session")
def _operator(stack: Stack) -> Iterator[Api]:
    with httpx.Client(timeout=PATIENCE_S) as http:
        yield Api(stack, http, "operator")


@pytest.fixture(name="approver", scope="session")
def _approver(operator: Api) -> Api:
    return operator.as_("approver")


@pytest.fixture(name="aws", scope="session")
def _aws(stack: Stack) -> Callable[[str], Any]:
    """Clients behind the API, with the rights of the account's administrator."""

    def client(service: str) -> Any:  # noqa: ANN401 - boto3 has no static types
        return boto3.client(
            service,
            endpoint_url=stack.endpoint_url,
            region_name=stack.region,
            aws_access_key_id=stack.access_key_id,
            aws_secret_access_key=stack.secret_access_key,
        )

    return client


@pytest.fixture(scope="session", autouse=True)
def _begin_early(request: pytest.FixtureRequest) -> None:
    """Begin what takes a minute before the first test, so that no test waits for it."""
    for name in _TAKE_A_MINUTE:
        if any(name in getattr(item, "fixturenames", ()) for item in request.session.items):
            request.getfixturevalue(name)


@pytest.fixture(name="expiring_run", scope="session")
def _expiring_run(operator: Api) -> str:
    """The id of a run whose gate expires after 60 seconds, the least that a pack may ask for."""
    return operator.run(GATED.replace("grants: [packs.approve]", "expiresAfterSeconds: 60"))
