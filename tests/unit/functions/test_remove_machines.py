"""The function that removes machines: every day, and for CloudFormation."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from functions.remove_machines.app import handler
from taskrunner.adapters import custom_resource
from taskrunner.errors import TryAgainError
from taskrunner.model.machine_count import MachineCount
from taskrunner.model.metrics import Metric
from tests.fakes.clock import NOON
from tests.fakes.world import MemoryWorld
from tests.machine.client import LambdaContext

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTEXT: Any = LambdaContext()


class CloudFormation(HTTPServer):
    """Takes answers; the first *refusals* are refused."""

    def __init__(self, refusals: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.refusals = refusals
        self.answers: list[dict[str, Any]] = []
        self.media_types: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/answer?Signature=s"


class _Answer(BaseHTTPRequestHandler):
    server: CloudFormation

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.server.refusals:
            self.server.refusals -= 1
            self.send_response(503)
        else:
            self.server.answers.append(json.loads(body))
            self.server.media_types.append(self.headers["content-type"])
            self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def cloudformation(refusals: int = 0) -> Iterator[CloudFormation]:
    with CloudFormation(refusals) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def request(kind: str, server: CloudFormation, **more: str) -> dict[str, Any]:
    return {
        "RequestType": kind,
        "RequestId": "r-1",
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/taskrunner/1",
        "LogicalResourceId": "PackMachines",
        "ResponseURL": server.url,
        **more,
    }


def a_world(*names: str) -> MemoryWorld:
    world = MemoryWorld()
    world.inventory.created = dict.fromkeys(names, NOON - timedelta(days=40))
    return world


def test_removes_unused_machines_every_day_and_counts_them() -> None:
    world = a_world("a", "b")
    world.inventory.running.add("b")
    world.inventory.others_in_account = 7

    assert handler({"source": "aws.events"}, CONTEXT, world=world) == {
        "machines": 2,
        "deleted": 1,
        "left": 0,
    }

    assert world.metrics.values(Metric.STATE_MACHINES) == [9]
    assert world.metrics.values(Metric.PACK_MACHINES) == [2]
    assert world.metrics.values(Metric.PACK_MACHINES_DELETED) == [1]
    assert world.metrics.values(Metric.MACHINES_NOT_DELETED) == [0]
    assert world.machine_counts.stored == MachineCount(8, 90_000, "2025-12-06T12:00:00.000Z")


def test_counts_machines_that_could_not_be_deleted() -> None:
    world = a_world("a", "b")
    world.inventory.refusals["b"] = PermissionError("no")

    handler({}, CONTEXT, world=world)

    assert world.metrics.values(Metric.MACHINES_NOT_DELETED) == [1]


def test_records_the_metrics_of_a_pass_whose_count_cannot_be_stored() -> None:
    world = a_world("a")
    world.machine_counts.refusal = PermissionError("no")

    answer = handler({}, CONTEXT, world=world)

    assert answer == {"machines": 1, "deleted": 1, "left": 0}
    assert world.metrics.values(Metric.STATE_MACHINES) == [1]


class TestCustomResource:
    @pytest.mark.parametrize("kind", ["Create", "Update"])
    def test_leaves_the_machines_of_a_stack_that_stays(self, kind: str) -> None:
        world = a_world("a")
        with cloudformation() as server:
            handler(request(kind, server), CONTEXT, world=world)

        (answer,) = server.answers
        assert answer["Status"] == "SUCCESS"
        assert list(world.inventory.created) == ["a"]

    def test_removes_all_machines_of_a_stack_that_is_deleted(self) -> None:
        world = a_world("a", "b")
        world.inventory.running.add("b")
        with cloudformation() as server:
            event = request("Delete", server, PhysicalResourceId="pack-machines")
            handler(event, CONTEXT, world=world)

        assert world.inventory.created == {}
        assert server.answers == [
            {
                "Status": "SUCCESS",
                "Reason": "2 machines were deleted and 0 are left",
                "PhysicalResourceId": "pack-machines",
                "StackId": event["StackId"],
                "RequestId": "r-1",
                "LogicalResourceId": "PackMachines",
                "Data": {},
            }
        ]
        assert server.media_types == [""]

    @pytest.mark.parametrize("kind", ["Create", "Update", "Delete"])
    def test_answers_without_the_table_which_may_be_gone(self, kind: str) -> None:
        world = a_world("a")
        world.machine_counts = None  # type: ignore[assignment]
        with cloudformation() as server:
            handler(request(kind, server), CONTEXT, world=world)

        (answer,) = server.answers
        assert answer["Status"] == "SUCCESS"

    def test_keeps_its_id_so_that_an_update_never_deletes_machines(self) -> None:
        with cloudformation() as server:
            handler(request("Create", server), CONTEXT, world=a_world())
            handler(request("Update", server, PhysicalResourceId="old"), CONTEXT, world=a_world())

        assert [answer["PhysicalResourceId"] for answer in server.answers] == [
            "PackMachines",
            "old",
        ]

    def test_asks_to_delete_the_stack_again_when_some_are_left(self) -> None:
        world = a_world("a", "b", "c")
        world.inventory.refusals["b"] = TryAgainError("busy")
        with cloudformation() as server:
            handler(request("Delete", server), CONTEXT, world=world)
            # The second time nothing can be deleted, and the stack must go nevertheless.
            handler(request("Delete", server), CONTEXT, world=world)

        first, second = server.answers
        assert first["Status"] == "FAILED"
        assert first["Reason"].endswith("2 are left; delete the stack again to go on")
        assert second["Status"] == "SUCCESS"
        assert second["Reason"] == "0 machines were deleted and 2 are left"

    @pytest.mark.parametrize("error", [PermissionError("secret detail"), TryAgainError("busy")])
    def test_answers_when_the_machines_cannot_be_listed(self, error: Exception) -> None:
        world = a_world("a")

        def listing() -> Any:  # noqa: ANN401 - it returns nothing
            raise error

        world.inventory.listing = listing  # type: ignore[method-assign]
        with cloudformation() as server:
            handler(request("Delete", server), CONTEXT, world=world)

        (answer,) = server.answers
        assert answer["Status"] == "SUCCESS"
        assert type(error).__name__ in answer["Reason"]
        assert "secret detail" not in answer["Reason"]

    def test_answers_before_the_function_times_out(self) -> None:
        class Late:
            def get_remaining_time_in_millis(self) -> int:
                return 90_000

        world = a_world("a")
        with cloudformation() as server:
            handler(request("Delete", server), Late(), world=world)

        (answer,) = server.answers
        assert answer["Reason"] == "0 machines were deleted and 1 are left"


class TestAnswer:
    def test_is_repeated_until_it_arrives(self) -> None:
        pauses: list[float] = []
        with cloudformation(refusals=3) as server:
            custom_resource.answer(
                request("Create", server), "", succeeded=True, sleep=pauses.append
            )

        assert len(server.answers) == 1
        assert pauses == [0.5, 1, 2]

    def test_raises_at_last_so_that_lambda_repeats_the_request(self) -> None:
        with cloudformation(refusals=99) as server, pytest.raises(OSError, match="503"):
            custom_resource.answer(
                request("Create", server), "", succeeded=True, sleep=lambda _: None
            )

    def test_has_room_for_a_long_reason(self) -> None:
        with cloudformation() as server:
            custom_resource.answer(request("Delete", server), "x" * 9000, succeeded=False)

        (answer,) = server.answers
        assert len(json.dumps(answer)) < 4096
