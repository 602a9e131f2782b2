"""Every message arrives as it was sent, and an object that is not a message is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest

from taskrunner.executors.work import Bundle
from taskrunner.sandbox import messages
from taskrunner.sandbox.attempt import AttemptRequest, Limits
from taskrunner.sandbox.messages import MalformedMessageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskrunner.model.json_types import JsonObject

LIMITS = Limits(memory_mib=64, cpu_s=0.5, wall_s=30)
REQUEST = AttemptRequest(
    uses="builtin:noop",
    parameters={"text": "hello"},
    run_id="run-7",
    run_created_at="2025-12-06T12:00:00.000Z",
    tenant="acme",
    step_path="ship",
    attempt=2,
    plan_document={"inputs": {"a": [1, None]}},
    folder=Path("/attempt"),
    limits=LIMITS,
)
BUNDLE = Bundle("bundles/sha256-00.zip", "sha256:00", 7)
FROM_SERVER = [messages.Forked(4711), messages.Exited(9, 0.25, 64)]
FROM_SESSION = [
    messages.Prepare("builtin:noop", LIMITS),
    messages.Execute(REQUEST),
    messages.Returned({"a": [1, "☃", None]}),
    messages.CallFailed("no luck"),
    messages.CallDenied("no way"),
]
CALLS = [
    messages.PutBundle("output/bundle.zip"),
    messages.FindBundle("sha256:00"),
    messages.FindLastBundle(),
    messages.FindArtifacts("report"),
    messages.FetchArtifact("report", "scratch/report"),
    messages.PromoteBundle("production", BUNDLE),
    messages.Connect("example.com", 443, 2.5),
    messages.InvokeFunction("change-window", {"with": {}}),
    messages.FindImageScan("registry.example.com", "app", "v1"),
]
ENDINGS = [
    messages.Finished({"a": [1, "☃", None]}, 0.5, 0.25, 64),
    messages.Failed("no luck"),
    messages.Denied("no way"),
    messages.OutOfMemory(),
    messages.Crashed("KeyError"),
]
ROUTES: list[tuple[Callable[[JsonObject], Any], list[Any]]] = [
    (messages.decode_from_server, FROM_SERVER),
    (messages.decode_from_session, FROM_SESSION),
    (messages.decode_from_child, CALLS + ENDINGS),
]
SENT = [(decode, message) for decode, sent in ROUTES for message in sent]


def through_json(message: Any) -> JsonObject:  # noqa: ANN401 - any message
    document: JsonObject = json.loads(json.dumps(messages.encode(message)))
    return document


@pytest.mark.parametrize(("decode", "message"), SENT, ids=lambda it: type(it).__name__)
def test_a_message_arrives_as_it_was_sent(
    decode: Callable[[JsonObject], Any],
    message: Any,  # noqa: ANN401 - any message
) -> None:
    received = decode(through_json(message))

    assert type(received) is type(message)
    assert received == message


def test_every_kind_of_message_is_tested() -> None:
    tested = {type(message) for _, message in SENT} | {messages.Fork}

    assert tested == set(get_args(messages.Message))


@pytest.mark.parametrize(("decode", "message"), SENT, ids=lambda it: type(it).__name__)
def test_a_message_without_one_of_its_fields_is_refused(
    decode: Callable[[JsonObject], Any],
    message: Any,  # noqa: ANN401 - any message
) -> None:
    document = through_json(message)

    for field in document:
        with pytest.raises(MalformedMessageError):
            decode({name: value for name, value in document.items() if name != field})


@pytest.mark.parametrize("field", ["wall_s", "cpu_s", "memory_mib"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), 2**31])
def test_what_no_process_can_have_used_is_refused(field: str, value: float) -> None:
    document = through_json(messages.Finished(None, 0.5, 0.25, 64))
    document[field] = value if field == "memory_mib" else float(value)

    with pytest.raises(MalformedMessageError):
        messages.decode_from_child(document)


@pytest.mark.parametrize("call", [*CALLS, *ENDINGS[1:]], ids=lambda it: type(it).__name__)
def test_a_field_of_another_type_from_a_child_is_refused(call: Any) -> None:  # noqa: ANN401
    document = through_json(call)

    for field in document:
        with pytest.raises(MalformedMessageError):
            messages.decode_from_child(document | {field: [None]})


@pytest.mark.parametrize(
    "bundle", [{}, {"reference": 1, "digest": "a", "size_bytes": 1}, {"digest": "a"}]
)
def test_a_bundle_of_another_shape_from_a_child_is_refused(bundle: JsonObject) -> None:
    document = {"type": "PromoteBundle", "environment": "production", "bundle": bundle}

    with pytest.raises(MalformedMessageError):
        messages.decode_from_child(document)


def test_a_child_cannot_send_what_only_the_session_sends() -> None:
    with pytest.raises(MalformedMessageError):
        messages.decode_from_child(messages.encode(messages.Returned(1)))
