"""A gate that opens while its run ends: after the look for what waits, and before the fence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskrunner.model.run import RunStatus
from tests.contract.ports import aws, client, moto
from tests.contract.test_ends_with_gates import BUNDLE, CANCELLED, begun, listed, opened

if TYPE_CHECKING:
    from collections.abc import Callable


class Between:
    """A client that lets something happen behind its next query for approvals."""

    def __init__(self, real: Any) -> None:  # noqa: ANN401 - boto3 has no static types
        self._real = real
        self.next: Callable[[], object] = bool

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._real, name)

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 - boto3's own
        answer = self._real.query(**arguments)
        if {"S": "A#"} in arguments["ExpressionAttributeValues"].values():
            happens, self.next = self.next, bool
            happens()
        return answer


def test_a_gate_that_opens_while_its_run_ends_does_not_stay_in_the_list() -> None:
    with moto():
        between = Between(client("dynamodb"))
        world = aws(between)
        head = begun(world)
        opened(world, head, "early")
        between.next = lambda: opened(world, head, "late")

        world.runs.end(head, RunStatus.CANCELLED, [CANCELLED])
        ended = world.runs.head("acme", head.run.run_id).run

        assert not opened(world, head, "later")
        assert world.runs.seal(ended, BUNDLE)
        assert listed(world) == []
