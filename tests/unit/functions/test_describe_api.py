"""describe_api serves the document, tells how to check it, and spares who holds it already."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from functions.describe_api.app import DIGEST, ETAG, VERSION, handler
from taskrunner.model.access import methods
from tests.api_schema import assert_conforms
from tests.architecture.api_document import DOCUMENT, ROOT
from tests.template import fallbacks

METADATA = "/.well-known/openapi"
EVENTS = sorted((ROOT / "events" / "describe_api").glob("*.json"))


def a_request(path: str = "/openapi", **changes: object) -> dict[str, Any]:
    return {
        "resource": path,
        "path": path,
        "httpMethod": "GET",
        "headers": None,
        "multiValueHeaders": None,
        "requestContext": {"requestId": "c6af9ac6", "stage": "v0", "path": f"/v0{path}"},
        **changes,
    }


def answered(event: dict[str, Any]) -> tuple[int, dict[str, str], str]:
    """Answer the event as Lambda would, and hold the answer to the document."""
    answer = json.loads(json.dumps(handler(event, None)))
    status, headers, body = answer["statusCode"], answer["headers"], answer["body"]
    assert_conforms(event["httpMethod"], event["path"], status, headers, body)
    return status, headers, body


class TestTheDocument:
    def test_it_is_the_file_byte_for_byte(self) -> None:
        status, headers, body = answered(a_request())

        assert status == 200
        assert headers["Content-Type"] == "application/yaml"
        assert body.encode() == DOCUMENT.read_bytes()

    def test_whoever_downloads_it_can_verify_the_signature(self) -> None:
        _, headers, body = answered(a_request())

        assert headers["X-Signature"] == "sha256:" + hashlib.sha256(body.encode()).hexdigest()

    def test_its_etag_is_strong_and_made_of_its_digest(self) -> None:
        _, headers, body = answered(a_request())

        digest = hashlib.sha256(body.encode()).hexdigest()
        assert headers["ETag"].startswith('"')
        assert digest.startswith(headers["ETag"].strip('"'))


class TestTheMetadata:
    def test_it_describes_the_document(self) -> None:
        _, of_document, _ = answered(a_request())

        status, headers, body = answered(a_request(METADATA))

        metadata = json.loads(body)
        assert status == 200
        assert metadata["specUrl"] == "/openapi"
        assert metadata["version"] == yaml.safe_load(DOCUMENT.read_bytes())["info"]["version"]
        assert metadata["etag"] == headers["ETag"] == of_document["ETag"]
        assert metadata["signature"] == headers["X-Signature"] == of_document["X-Signature"]

    @pytest.mark.parametrize(
        ("environment", "told"),
        [({"BUILD_VERSION": "20251206.1"}, "20251206.1"), ({"BUILD_VERSION": ""}, VERSION)],
    )
    def test_the_build_is_the_environments(self, environment: dict[str, str], told: str) -> None:
        source = "import app, json; print(json.loads(app.METADATA)['buildVersion'])"

        assert printed(source, environment) == told

    def test_without_an_environment_the_build_is_the_version(self) -> None:
        source = "import app, json; print(json.loads(app.METADATA)['buildVersion'])"

        assert printed(source, {}) == VERSION


@pytest.mark.parametrize("path", ["/openapi", METADATA])
class TestIfNoneMatch:
    @pytest.mark.parametrize(
        "tags",
        [ETAG, f"W/{ETAG}", "*", f'"old", {ETAG}', f'W/"old",W/{ETAG} , "older"', f'"a,b", {ETAG}'],
    )
    def test_who_holds_the_document_gets_no_body(self, path: str, tags: str) -> None:
        status, headers, body = answered(a_request(path, headers={"If-None-Match": tags}))

        assert (status, body) == (304, "")
        assert headers == {"ETag": ETAG}

    @pytest.mark.parametrize("name", ["if-none-match", "IF-NONE-MATCH", "If-none-match"])
    def test_the_headers_name_has_no_case(self, path: str, name: str) -> None:
        single = a_request(path, headers={name: ETAG})
        repeated = a_request(path, multiValueHeaders={name: ['"old"', ETAG]})

        assert answered(single)[0] == 304
        assert answered(repeated)[0] == 304

    @pytest.mark.parametrize(
        "tags", ["", '"old"', DIGEST[:32], f'"x{DIGEST[:32]}"', f'"{DIGEST}"', '"*"', ETAG[:-2]]
    )
    def test_any_other_tag_gets_the_whole(self, path: str, tags: str) -> None:
        status, _, body = answered(a_request(path, headers={"If-None-Match": tags}))

        assert status == 200
        assert body


class TestWhatItRefuses:
    def test_a_path_of_somebody_else(self) -> None:
        status, _, body = answered(a_request("/nowhere"))

        assert status == 404
        assert json.loads(body)["error"] == {
            "code": "not_found",
            "message": "/nowhere not found",
            "traceId": "c6af9ac6",
        }

    @pytest.mark.parametrize("path", fallbacks())
    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
    def test_a_method_that_a_path_does_not_have(self, path: str, method: str) -> None:
        status, headers, body = answered(a_request(path, httpMethod=method))

        error = json.loads(body)["error"]
        if allowed := methods(path):
            assert (status, error["code"]) == (405, "method_not_allowed")
            assert headers["Allow"] == ", ".join(allowed)
            assert error["message"].endswith(f"use {' or '.join(allowed)}")
        else:
            assert (status, error["code"]) == (404, "not_found")

    def test_a_route_that_is_somebody_elses(self) -> None:
        status, _, _ = answered(a_request("/v1/task-runner/runs"))

        assert status == 405

    def test_an_event_with_nothing_in_it(self) -> None:
        assert handler({}, None)["statusCode"] == 404


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_every_event_is_answered(path: Path) -> None:
    event = json.loads(path.read_text(encoding="utf-8"))

    status, _, _ = answered(event)

    expected = {"unchanged": 304, "method": 405, "path": 404}
    assert status == expected.get(path.stem.rpartition("_")[2], 200)


def test_there_are_events() -> None:
    assert {"document", "metadata"} <= {path.stem for path in EVENTS}


def test_a_cold_start_imports_nothing_large() -> None:
    source = (
        "import sys; before = set(sys.modules); import app; "
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )

    imported = set(printed(source, {}).split())

    assert imported - sys.stdlib_module_names == {"app", "taskrunner"}


def printed(source: str, environment: dict[str, str]) -> str:
    """Run *source* in a Python of its own beside app.py, the way Lambda finds it."""
    kept = {name: value for name, value in os.environ.items() if name != "BUILD_VERSION"}
    done = subprocess.run(  # noqa: S603 -- this very Python, and a source from this file
        [sys.executable, "-B", "-c", source],
        cwd=DOCUMENT.parent,
        env={**kept, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()
