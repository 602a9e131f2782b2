"""An executor in the sandbox reaches the parent's services, and nothing beside them."""

from __future__ import annotations

import hashlib
import socket
import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.errors import TryAgainError
from taskrunner.model.run import Reason
from tests.contract.sandbox.attempt import SERVICES, works
from tests.fakes.executor_world import MemoryFunctions, MemoryImages, NoNetwork

if TYPE_CHECKING:
    from tests.contract.sandbox.attempt import Attempt


class OpenNetwork(NoNetwork):
    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        return socket.create_connection((host, port), timeout_s)


def test_an_executor_uses_a_connection_that_the_parent_made(attempt: Attempt) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def answer_in_capitals() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(connection.recv(100).upper())

        thread = threading.Thread(target=answer_in_capitals)
        thread.start()
        stack.callback(thread.join)
        result = attempt(
            "connect_through_the_parent",
            services=replace(SERVICES, network=OpenNetwork()),
            host="127.0.0.1",
            port=server.getsockname()[1],
        )

    assert result.outputs == {"answer": "HELLO"}


def test_a_connection_that_the_parent_denies_fails_the_step(attempt: Attempt) -> None:
    result = attempt("connect_through_the_parent", host="example.com", port=443)

    assert result.reason is Reason.EGRESS_DENIED
    assert "example.com:443" in result.message


def test_an_executor_names_only_files_of_its_own_folder(attempt: Attempt) -> None:
    outside = attempt.folder.parent / "outside"
    outside.write_text("not yours")
    (attempt.folder / "output" / "link").symlink_to(outside)
    (attempt.folder / "output" / "fine").write_text("mine")

    assert attempt("put_a_bundle", file="fine").reason is None
    for file in ("../../outside", "link", "/etc/passwd"):
        result = attempt("put_a_bundle", file=file)
        assert result.reason is Reason.EXECUTOR_ERROR
        assert "unexpected error" in result.message or "not a file of this step" in result.message
    assert attempt("fetch_into", into="here").outputs == {"fetched": True}
    assert attempt("fetch_into", into="../../outside").reason is Reason.EXECUTOR_ERROR
    assert outside.read_text() == "not yours"


def test_every_service_answers_through_the_sandbox(attempt: Attempt) -> None:
    scan = {"counts": {"high": 1}, "findings": []}
    images = MemoryImages({"registry.example.com/app@v1": scan}, ["registry.example.com"])
    (attempt.folder / "output" / "bundle.zip").write_bytes(b"zip")

    outputs = attempt("use_every_service", services=replace(SERVICES, images=images)).outputs

    assert outputs == {
        "found": outputs["put"],
        "last": outputs["put"],
        "unknown": None,
        "put": f"sha256:{hashlib.sha256(b'zip').hexdigest()}",
        "revision": 1,
        "matching": ["report"],
        "fetched": True,
        "not_fetched": False,
        "function": {"open": True},
        "scan": scan,
    }


def test_a_call_that_does_not_exist_is_refused(attempt: Attempt) -> None:
    result = attempt("call_what_does_not_exist")

    assert result.reason is Reason.EXECUTOR_ERROR
    assert result.message == "the executor made a call that the sandbox does not offer"
    assert works(attempt)


def test_a_service_that_says_later_stops_the_attempt_without_a_result(attempt: Attempt) -> None:
    class BusyFunctions(MemoryFunctions):
        def invoke(self, name: str, payload: Any) -> Any:  # noqa: ANN401, ARG002
            raise TryAgainError("too many requests")

    with pytest.raises(TryAgainError):
        attempt("call_a_function", services=replace(SERVICES, functions=BusyFunctions()))
    assert works(attempt)


def test_a_function_may_answer_with_six_megabytes(attempt: Attempt) -> None:
    functions = MemoryFunctions({"change-window": {"text": "x" * 6_000_000}})

    result = attempt("call_a_function", services=replace(SERVICES, functions=functions))

    assert len(result.outputs["text"]) == 6_000_000
