"""The parts of a request: content type, body, fields, path and query."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.read_run.app import handler as read_run_handler
from taskrunner.adapters.http_body import Body
from taskrunner.adapters.http_request import MAX_BODY_BYTES
from taskrunner.errors import InvalidRequestError
from tests.api_schema import document, operation_pointer
from tests.architecture.api_document import Json, resolved
from tests.fakes.world import MemoryWorld
from tests.packs import pack
from tests.unit.adapters.api_calls import (
    HASH,
    OPERATIONS,
    WITH_BODY,
    Answer,
    a_body,
    an_event,
    send,
)


def described(operation: str) -> Json:
    """The operation in the API's document."""
    method, _, path = OPERATIONS[operation]
    where = operation_pointer(method, path)
    assert where is not None
    return resolved(document(), {"$ref": where})


def request_schema(operation: str) -> Json:
    content = described(operation)["requestBody"]["content"]
    return resolved(document(), content["application/json"]["schema"])


def query_of(operation: str) -> set[str]:
    """The query parameters of the operation in the API's document."""
    parameters = [
        resolved(document(), parameter) for parameter in described(operation)["parameters"]
    ]
    return {parameter["name"] for parameter in parameters if parameter["in"] == "query"}


class TestContentType:
    @pytest.mark.parametrize("operation", WITH_BODY)
    @pytest.mark.parametrize(
        "headers", [{}, *({"content-type": media_type} for media_type in ("", "text/yaml", "json"))]
    )
    def test_rejects_every_type_but_json(self, operation: str, headers: dict[str, str]) -> None:
        answer = send(operation, a_body(operation), headers)

        assert answer.error == (400, "unsupported_media_type")


class TestBodies:
    @pytest.mark.parametrize("operation", WITH_BODY)
    @pytest.mark.parametrize(
        "body",
        [
            None,
            "",
            "{",
            '{"a": 1,}',
            "{'a': 1}",
            '{"a": NaN}',
            '{"a": -Infinity}',
            "[" * 100_000,
            '{"a":' * 100_000,
            "\ud800",
        ],
        ids=[
            "none",
            "empty",
            "cut off",
            "comma",
            "quotes",
            "NaN",
            "infinity",
            "deep lists",
            "deep objects",
            "surrogate",
        ],
    )
    def test_rejects_a_body_that_is_not_json(self, operation: str, body: str | None) -> None:
        assert send(operation, body).error == (400, "bad_json")

    @pytest.mark.parametrize("operation", WITH_BODY)
    @pytest.mark.parametrize(
        "content", [b"\xff\xfe\xfd", b'{"manifest": "\xff"}', b"\xc3("], ids=repr
    )
    def test_rejects_invalid_utf_8(self, operation: str, content: bytes) -> None:
        body = base64.b64encode(content).decode()

        assert send(operation, body, isBase64Encoded=True).error == (400, "bad_json")

    @pytest.mark.parametrize("body", ["ä", "a", "{}", "===="])
    def test_rejects_invalid_base64(self, body: str) -> None:
        answer = send("create_run", body, isBase64Encoded=True)

        assert answer.error == (400, "bad_json")

    @pytest.mark.parametrize("operation", WITH_BODY)
    @pytest.mark.parametrize("body", ["[]", '"text"', "1", "null", "true"])
    def test_rejects_json_that_is_not_an_object(self, operation: str, body: str) -> None:
        assert send(operation, body).error == (400, "invalid_request")

    @pytest.mark.parametrize("operation", WITH_BODY)
    @pytest.mark.parametrize("in_base64", [True, False])
    def test_rejects_a_body_over_the_limit(self, operation: str, *, in_base64: bool) -> None:
        body = json.dumps({"manifest": "é" * (MAX_BODY_BYTES // 2)}, ensure_ascii=False)
        text = base64.b64encode(body.encode()).decode() if in_base64 else body

        assert send(operation, text, isBase64Encoded=in_base64).error == (413, "body_too_large")

    def test_reads_a_body_at_the_limit(self) -> None:
        body = json.dumps({"manifest": "x"})
        padded = body + " " * (MAX_BODY_BYTES - len(body))

        assert send("simulate_pack", padded).error == (400, "invalid_pack")


class TestFields:
    @pytest.mark.parametrize("operation", WITH_BODY)
    def test_names_a_missing_field(self, operation: str) -> None:
        answer = send(operation, {})

        required = "decision" if operation == "decide_approval" else "manifest"
        assert answer.error == (400, "invalid_request")
        assert answer.json["error"]["message"] == f"'{required}' is missing; it is required"

    @pytest.mark.parametrize(
        ("operation", "field"),
        [
            ("simulate_pack", "manifest"),
            ("simulate_pack", "inputs"),
            ("create_run", "manifest"),
            ("create_run", "inputs"),
            ("create_run", "runId"),
            ("create_run", "tenantId"),
            ("create_run", "expectPlanHash"),
            ("decide_approval", "decision"),
            ("decide_approval", "planHash"),
            ("decide_approval", "actorId"),
            ("decide_approval", "summary"),
        ],
    )
    @pytest.mark.parametrize("value", [None, 1, 1.5, True, [], ["a"]], ids=repr)
    def test_names_a_field_of_another_type(self, operation: str, field: str, value: object) -> None:
        answer = send(operation, a_body(operation, **{field: value}))

        assert answer.error == (400, "invalid_request")
        assert f"'{field}'" in answer.json["error"]["message"]

    @pytest.mark.parametrize(
        ("operation", "field"),
        [("create_run", "manifest"), ("create_run", "runId"), ("decide_approval", "summary")],
    )
    def test_rejects_a_lone_surrogate_in_a_text(self, operation: str, field: str) -> None:
        answer = send(operation, a_body(operation, **{field: "a\ud800b"}))

        assert answer.error == (400, "invalid_request")

    @pytest.mark.parametrize(
        "inputs",
        [{"\ud800": 1}, {"name": "\ud800"}, {"name": {"\udfff": 1}}, {"n": 2**60}, {"n": 1e400}],
        ids=repr,
    )
    def test_rejects_inputs_that_cannot_be_hashed(self, inputs: Any) -> None:  # noqa: ANN401
        manifest = pack(
            "- {id: ship, run: {uses: builtin:noop}}",
            spec="inputs: [{name: name, type: object}, {name: n, type: number}]",
        )
        body = json.dumps({"manifest": manifest, "inputs": inputs}).replace("Infinity", "1e400")

        for operation in ("simulate_pack", "create_run"):
            answer = send(operation, body)
            assert answer.error == (400, "invalid_inputs")
            assert answer.json["errors"]

    @pytest.mark.parametrize(
        "manifest", ['a: "\\uD800"', "\x00", "{" * 5000, "&a [*a]", "- " * 5000, "!!python/name:os"]
    )
    def test_lists_the_problems_of_a_manifest_that_is_not_a_pack(self, manifest: str) -> None:
        for operation in ("simulate_pack", "create_run"):
            answer = send(operation, {"manifest": manifest})
            assert answer.error == (400, "invalid_pack")
            assert answer.json["errors"]

    @pytest.mark.parametrize(
        ("decision", "plan_hash"),
        [("maybe", HASH), ("Approved", HASH), ("approved", "sha256:12"), ("approved", HASH + "\n")],
    )
    def test_rejects_a_malformed_decision_or_plan_hash(self, decision: str, plan_hash: str) -> None:
        answer = send("decide_approval", {"decision": decision, "planHash": plan_hash})

        assert answer.error == (400, "invalid_request")

    @pytest.mark.parametrize("field", ["actorId", "summary"])
    def test_limits_the_texts_of_a_decision(self, field: str) -> None:
        answer = send("decide_approval", a_body("decide_approval", **{field: "x" * 2001}))

        assert answer.error == (400, "invalid_request")


class TestUnknownNames:
    """The document may allow more members, as the contract does. The service takes those it has."""

    @pytest.mark.parametrize("operation", WITH_BODY)
    def test_names_an_unknown_member(self, operation: str) -> None:
        answer = send(operation, a_body(operation, planHsah=HASH))

        assert answer.error == (400, "invalid_request")
        assert "unknown member 'planHsah'; " in answer.json["error"]["message"]

    def test_names_the_member_that_was_meant(self) -> None:
        answer = send("create_run", a_body("create_run", expectedPlanHash=HASH, tenantID="acme"))

        assert answer.json["error"]["message"] == (
            "unknown member 'expectedPlanHash'; did you mean 'expectPlanHash'?; "
            "unknown member 'tenantID'; did you mean 'tenantId'?"
        )
        assert [problem["path"] for problem in answer.json["errors"]] == ["$"]

    @pytest.mark.parametrize("operation", WITH_BODY)
    def test_accepts_every_member_of_the_document(self, operation: str) -> None:
        schema = request_schema(operation)

        for name in schema["properties"]:
            answer = send(operation, a_body(operation, **{name: 0}))
            assert answer.json["error"]["message"].startswith(f"'{name}' must be ")

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_names_an_unknown_query_parameter(self, operation: str) -> None:
        answer = send(operation, a_body(operation), queryStringParameters={"limits": "3"})

        names = query_of(operation)
        hint = "available: " if names else "this request takes"
        hint = "did you mean 'limit'?" if "limit" in names else hint
        assert answer.error == (400, "invalid_request")
        assert f"unknown query parameter 'limits'; {hint}" in answer.json["error"]["message"]

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_accepts_every_query_parameter_of_the_document(self, operation: str) -> None:
        for name in query_of(operation):
            answer = send(operation, a_body(operation), queryStringParameters={name: "\ud800"})
            assert answer.json["error"]["message"].startswith(f"{name} is ")

    def test_rejects_a_query_parameter_that_is_given_twice(self) -> None:
        answer = send(
            "read_run/list",
            queryStringParameters={"limit": "2"},
            multiValueQueryStringParameters={"limit": ["1", "2"]},
        )

        assert answer.error == (400, "invalid_request")
        assert "'limit' is given twice" in answer.json["error"]["message"]

    @pytest.mark.parametrize(
        "body",
        [
            '{"manifest": "a", "manifest": "b"}',
            '{"manifest": "a", "inputs": {"name": 1, "n\\u0061me": 2}}',
        ],
    )
    def test_rejects_a_member_that_is_given_twice(self, body: str) -> None:
        answer = send("create_run", body)

        assert answer.error == (400, "invalid_request")
        assert "is given twice" in answer.json["error"]["message"]

    def test_rejects_two_different_idempotency_keys(self) -> None:
        repeated = {"Idempotency-Key": ["one"], "idempotency-key": ["two"]}

        answer = send("create_run", a_body("create_run"), multiValueHeaders=repeated)

        assert answer.error == (400, "invalid_request")

    def test_accepts_any_header(self) -> None:
        answer = send("read_run/list", headers={"X-Unknown": "1", "Idempotency-Kay": "x"})

        assert answer.status == 200

    def test_ignores_the_parameters_that_sign_a_request(self) -> None:
        signature = {"X-Amz-Signature": "0f", "X-Amz-Credential": "AKIA/x", "x-amz-date": "now"}
        signer = {"identity": {"userArn": "arn:aws:iam::123456789012:user/ana"}}
        event = an_event("read_run/list", queryStringParameters=signature)

        event["requestContext"] |= signer
        signed = Answer("read_run/list", read_run_handler(event, None, world=MemoryWorld()))
        unsigned = send("read_run/list", queryStringParameters=signature)

        assert (signed.status, unsigned.status) == (200, 400)


class TestRequestsWithoutABody:
    @pytest.mark.parametrize("body", [None, "", " ", "{}"], ids=repr)
    @pytest.mark.parametrize("operation", ["cancel_run", "read_run"])
    def test_accepts_an_empty_body(self, operation: str, body: str | None) -> None:
        assert send(operation, body).error == (404, "not_found")

    def test_names_a_member_where_there_is_none(self) -> None:
        answer = send("cancel_run", {"reason": "no longer needed"})

        assert answer.error == (400, "invalid_request")
        assert answer.json["error"]["message"] == (
            "unknown member 'reason'; this request takes none"
        )

    def test_rejects_a_body_that_is_not_json(self) -> None:
        assert send("cancel_run", "reason=x", {}).error == (400, "unsupported_media_type")


class TestPathsAndQueries:
    def test_decodes_a_path(self) -> None:
        path = {"runId": "%72un-7", "approvalId": "a", "name": "report"}

        answer = send("read_run", pathParameters=path)

        assert answer.json["error"]["message"] == "run run-7 not found"

    @pytest.mark.parametrize(
        "operation", [name for name in OPERATIONS if "{runId}" in OPERATIONS[name][1]]
    )
    @pytest.mark.parametrize("run_id", ["a b", "a.b", "%20", "x" * 129, "é", "\ud800", "a\n"])
    def test_rejects_a_malformed_run_id(self, operation: str, run_id: str) -> None:
        path = {"runId": run_id, "approvalId": "security", "name": "report"}

        answer = send(operation, a_body(operation), pathParameters=path)

        assert answer.error == (400, "invalid_request")

    @pytest.mark.parametrize("run_id", ["a b", "", "x" * 129])
    def test_rejects_a_malformed_run_id_in_a_body(self, run_id: str) -> None:
        answer = send("create_run", a_body("create_run", runId=run_id))

        assert answer.error == (400, "invalid_request")
        assert [problem["path"] for problem in answer.json["errors"]] == ["$"]

    @pytest.mark.parametrize("name", ["\ud800", "x" * 8000, "../secret", "a/b"])
    def test_an_unknown_artifact_or_approval_is_not_found(self, name: str) -> None:
        world = MemoryWorld()
        created = send("create_run", a_body("create_run", runId="run-7"), world=world)
        path = {"runId": "run-7", "approvalId": name, "name": name}

        artifact = send("read_run/artifact", world=world, pathParameters=path)
        approval = send(
            "decide_approval",
            a_body("decide_approval", planHash=created.json["planHash"]),
            world=world,
            pathParameters=path,
        )

        assert artifact.error == approval.error == (404, "not_found")

    @pytest.mark.parametrize("operation", ["read_run/list", "read_run/approvals", "read_run/logs"])
    @pytest.mark.parametrize("limit", ["0", "-1", "1.5", "many", "", "99999999", "٣", " 1"])
    def test_rejects_a_limit_out_of_bounds(self, operation: str, limit: str) -> None:
        answer = send(operation, queryStringParameters={"limit": limit})

        assert answer.error == (400, "invalid_request")

    @pytest.mark.parametrize("operation", ["read_run/list", "read_run/approvals", "read_run/logs"])
    @pytest.mark.parametrize("cursor", ["nonsense", "", "\ud800", "=", "x" * 5000])
    def test_rejects_a_cursor_that_no_list_has_returned(self, operation: str, cursor: str) -> None:
        answer = send(operation, queryStringParameters={"cursor": cursor})

        assert answer.error == (400, "invalid_request")

    @pytest.mark.parametrize(
        "operation", [name for name in OPERATIONS if "{runId}" in OPERATIONS[name][1]]
    )
    def test_an_unknown_run_is_not_found(self, operation: str) -> None:
        answer = send(operation, a_body(operation))

        assert answer.error == (404, "not_found")
        assert answer.json["error"]["message"] == "run run-7 not found"


_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_fields = st.sampled_from(
    ["manifest", "inputs", "runId", "tenantId", "expectPlanHash", "decision", "planHash", "summary"]
)


@settings(max_examples=150)
@given(
    operation=st.sampled_from(WITH_BODY), body=st.dictionaries(_fields, _json_values) | _json_values
)
def test_no_json_body_causes_an_internal_error(operation: str, body: Any) -> None:  # noqa: ANN401
    assert send(operation, json.dumps(body)).status < 500


@settings(max_examples=100)
@given(operation=st.sampled_from(WITH_BODY), content=st.binary(max_size=40), encoded=st.booleans())
def test_no_bytes_cause_an_internal_error(operation: str, content: bytes, *, encoded: bool) -> None:
    body = base64.b64encode(content).decode() if encoded else content.decode("latin-1")

    assert send(operation, body, isBase64Encoded=encoded).status < 500


class TestTexts:
    @pytest.mark.parametrize(
        ("members", "texts"), [({}, None), ({"a": "x"}, ["x"]), ({"a": ["x", "y"]}, ["x", "y"])]
    )
    def test_takes_one_text_or_a_list(self, members: Any, texts: list[str] | None) -> None:  # noqa: ANN401 - any JSON
        assert Body(members).texts("a", 2) == texts

    @pytest.mark.parametrize(
        "value", [None, 1, {}, [], ["x", "y", "z"], ["x", 1], [None], ["\ud800"]]
    )
    def test_refuses_anything_else(self, value: Any) -> None:  # noqa: ANN401 - any JSON
        with pytest.raises(InvalidRequestError):
            Body({"a": value}).texts("a", 2)
