"""Requests that no client sends by mistake: never a 500, and always the envelope."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.world import MemoryWorld
from tests.unit.adapters.api_calls import HASH, OPERATIONS, PLAIN, WITH_BODY, a_body, send

LISTS = ["read_run/list", "read_run/approvals"]
LOG_SIZES = ["limit", "tail"]
# Everything that a proxy event may hold where a client chose it: UTF-16's halves as well.
wild = st.text(max_size=40) | st.text(st.characters(categories=["Cs", "Cc", "Co"]), max_size=5)
names = wild | st.sampled_from(["Content-Type", "X-STELLAOPS-TENANT", "idempotency-key", "Host"])
values = wild | st.sampled_from(["application/json", "acme", "globex", "a" * 9000, "", "0", "\x00"])
fields = st.sampled_from(
    [
        "compareTo",
        "manifest",
        "inputs",
        "runId",
        "tenantId",
        "expectPlanHash",
        "decision",
        "planHash",
        "summary",
    ]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | wild | st.sampled_from([PLAIN, HASH]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields | wild, inner, max_size=4),
    max_leaves=10,
)
all_headers = st.dictionaries(names, values, max_size=5)
queries = st.none() | st.dictionaries(
    st.sampled_from(["limit", "cursor", "compareTo"]) | wild, values
)
paths = st.fixed_dictionaries({"runId": wild | st.just("run-7"), "approvalId": wild, "name": wild})
lists_of_headers = st.none() | st.dictionaries(names, st.lists(values, min_size=1))
bodies = {
    operation: st.none()
    | wild
    | json_values.map(json.dumps)
    | st.just(json.dumps(a_body(operation)))
    for operation in OPERATIONS
}


def in_base64(content: bytes) -> dict[str, Any]:
    return {"body": base64.b64encode(content).decode(), "isBase64Encoded": True}


@given(data=st.data(), operation=st.sampled_from(sorted(OPERATIONS)))
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_every_event_gets_an_answer_of_the_api_document(
    data: st.DataObject, operation: str
) -> None:
    headers = data.draw(all_headers)
    query = data.draw(queries)
    path = data.draw(paths)
    body = data.draw(bodies[operation])

    answer = send(
        operation,
        body,
        headers,
        pathParameters=path,
        queryStringParameters=query,
        multiValueHeaders=data.draw(lists_of_headers),
        isBase64Encoded=data.draw(st.booleans()),
    )

    assert answer.status < 500


@pytest.mark.parametrize("operation", WITH_BODY)
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (in_base64(gzip.compress(b"{}", mtime=0)), "bad_json"),
        (in_base64(json.dumps({"manifest": PLAIN}).encode("utf-16")), "bad_json"),
        (in_base64(b"\xef\xbb\xbf{}"), "invalid_request"),
        ({"body": "\ufeff{}"}, "invalid_request"),
        ({"body": '{"manifest": "\x00"}'}, "bad_json"),
        ({"body": '{"manifest": ' + "9" * 10_000 + "}"}, "invalid_request"),
        ({"body": '{"manifest": 1e' + "9" * 10_000 + "}"}, "invalid_request"),
        ({"body": '{"inputs": -Infinity}'}, "bad_json"),
        ({"body": '{"manifest": {' * 400}, "bad_json"),
        ({"body": '{"manifest":' * 990 + "1" + "}" * 990}, None),
        ({"body": '{"manifest": 1, "manifest": [2]}'}, "invalid_request"),
        ({"body": "--x\r\nContent-Disposition: form-data\r\n\r\n{}\r\n--x--"}, "bad_json"),
    ],
    ids=lambda value: None if value is None or isinstance(value, str) else str(value)[:40],
)
def test_a_strange_body_is_refused_by_name(
    operation: str, change: dict[str, Any], code: str | None
) -> None:
    answer = send(operation, **change)

    assert answer.status == 400
    assert code is None or answer.error == (400, code)


@pytest.mark.parametrize("operation", WITH_BODY)
@pytest.mark.parametrize(
    "media_type",
    [
        "multipart/form-data; boundary=x",
        "application/json-patch+json",
        "text/json",
        "*/*",
        ";",
        ",",
    ],
)
def test_another_media_type_is_refused(operation: str, media_type: str) -> None:
    answer = send(operation, a_body(operation), {"Content-Type": media_type})

    assert answer.error == (400, "unsupported_media_type")


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_a_tenant_that_is_sent_twice_is_refused(operation: str) -> None:
    doubled = {"x-stellaops-TENANT": ["acme", "globex"]}

    answer = send(operation, a_body(operation), multiValueHeaders=doubled)

    assert answer.error == (400, "invalid_request")


@pytest.mark.parametrize("key", ["k" * 256, "\n", "é", ""])
def test_an_idempotency_key_has_its_form(key: str) -> None:
    headers = {"content-type": "application/json", "Idempotency-Key": key}

    assert send("create_run", a_body("create_run"), headers).error == (400, "invalid_request")


@pytest.mark.parametrize(
    "limit", ["0", "-1", "1e9", "NaN", "5 ", "+5", "5,5", "\u0665", "0x5", "1" * 5000]
)
@pytest.mark.parametrize(
    ("operation", "name"),
    [*((operation, "limit") for operation in LISTS), *(("read_run/logs", n) for n in LOG_SIZES)],
)
def test_a_limit_is_plain_digits_within_bounds(operation: str, name: str, limit: str) -> None:
    answer = send(operation, queryStringParameters={name: limit})

    assert answer.error == (400, "invalid_request")


@pytest.mark.parametrize("other", [{"cursor": "0.0"}, {"limit": "1"}])
def test_the_tail_of_a_log_is_not_combined_with_another_place(other: dict[str, str]) -> None:
    answer = send("read_run/logs", queryStringParameters={"tail": "1001"})
    assert answer.error == (400, "invalid_request")

    answer = send("read_run/logs", queryStringParameters={"tail": "1", **other})
    assert answer.error == (400, "invalid_request")


@given(data=st.data())
@settings(max_examples=100)
def test_a_bent_cursor_is_refused_or_a_place_in_ones_own_list(data: st.DataObject) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(["run-7", "R", "2025-12-06#run-7"]).encode())
    bent = bytearray(cursor)
    bent[data.draw(st.integers(0, len(bent) - 1))] ^= 1 << data.draw(st.integers(0, 6))

    for operation in LISTS:
        query = {"cursor": bent.decode("latin-1")}
        answer = send(operation, world=MemoryWorld(), queryStringParameters=query)
        assert answer.status in {200, 400}
