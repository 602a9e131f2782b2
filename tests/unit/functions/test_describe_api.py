"""describe_api serves the document and the schema of packs, and 304 to clients that have them."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import yaml

from functions.describe_api.app import VERSION, handler, served
from taskrunner.model.access import methods
from tests.api_schema import assert_conforms
from tests.architecture.api_document import CONTRACT, DOCUMENT, ROOT, differences, read
from tests.template import fallbacks

METADATA = "/.well-known/openapi"
PACK_SCHEMA = "/schemas/pack.v1.json"
SERVER = "/v0"  # a request without a host
ETAG = served(SERVER).etag
DIGEST = served(SERVER).signature.removeprefix("sha256:")
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


def respond(event: dict[str, Any]) -> tuple[int, dict[str, str], str]:
    """Return status, headers and body of the response, which conforms to the document."""
    response = json.loads(json.dumps(handler(event, None)))
    status, headers, body = response["statusCode"], response["headers"], response["body"]
    assert_conforms(event["httpMethod"], event["path"], status, headers, body)
    return status, headers, body


class TestDocument:
    def test_returns_the_file_with_the_server_that_the_client_has_reached(self) -> None:
        status, headers, body = respond(a_request(headers={"Host": "api.example.com"}))

        assert status == 200
        assert headers["Content-Type"] == "application/yaml"
        expected = read(DOCUMENT) | {
            "servers": [{"url": "https://api.example.com/v0", "description": "This deployment"}]
        }
        assert yaml.load(body, yaml.CSafeLoader) == expected

    def test_names_the_token_address_of_the_deployment(self) -> None:
        source = "import app; print(app.served('https://api.example.com/v0').text)"
        text = printed(source, {"TOKEN_URL": "https://issuer.example.com/token"})

        served_document = yaml.load(text, yaml.CSafeLoader)

        flows = served_document["components"]["securitySchemes"]["oauth2"]["flows"]
        assert flows["clientCredentials"]["tokenUrl"] == "https://issuer.example.com/token"
        assert "stellaops.example.com/" not in text
        assert [
            line.partition(":")[0] for line in differences(read(CONTRACT), served_document)
        ] == [
            "#/servers",
            "#/servers",
            "#/components/securitySchemes/oauth2/flows/clientCredentials/tokenUrl",
        ]

    @pytest.mark.parametrize("host", ["a.example.com", "[::1]:4566"])
    def test_each_address_of_a_deployment_has_an_etag_of_its_own(self, host: str) -> None:
        _, headers, body = respond(a_request(headers={"Host": host}))

        assert headers["ETag"] != ETAG
        assert headers["X-Signature"] == "sha256:" + hashlib.sha256(body.encode()).hexdigest()
        unchanged = a_request(headers={"Host": host, "If-None-Match": headers["ETag"]})
        assert respond(unchanged)[0] == 304

    def test_is_plain_text_for_a_client_that_prefers_that(self) -> None:
        _, headers, body = respond(a_request(headers={"Accept": "text/plain"}))

        assert headers["Content-Type"] == "text/plain"
        assert body == respond(a_request())[2]

    def test_the_signature_is_the_digest_of_the_body(self) -> None:
        _, headers, body = respond(a_request())

        assert headers["X-Signature"] == "sha256:" + hashlib.sha256(body.encode()).hexdigest()

    def test_the_etag_is_strong_and_part_of_the_digest(self) -> None:
        _, headers, body = respond(a_request())

        digest = hashlib.sha256(body.encode()).hexdigest()
        assert headers["ETag"].startswith('"')
        assert digest.startswith(headers["ETag"].strip('"'))


class TestMetadata:
    def test_describes_the_document(self) -> None:
        _, document_headers, _ = respond(a_request())

        status, headers, body = respond(a_request(METADATA))

        metadata = json.loads(body)
        assert status == 200
        assert metadata["specUrl"] == "/v0/openapi"
        assert (
            metadata["version"]
            == yaml.load(DOCUMENT.read_bytes(), yaml.CSafeLoader)["info"]["version"]
        )
        assert metadata["etag"] == headers["ETag"] == document_headers["ETag"]
        assert metadata["signature"] == headers["X-Signature"] == document_headers["X-Signature"]

    @pytest.mark.parametrize(
        ("host", "stage"), [("a1b2c3.execute-api.eu-west-1.amazonaws.com", "/live"), ("x.org", "")]
    )
    def test_the_url_of_the_document_resolves_against_the_deployed_stage(
        self, host: str, stage: str
    ) -> None:
        request_url = f"https://{host}{stage}{METADATA}"
        event = a_request(
            METADATA, headers={"Host": host}, requestContext={"path": f"{stage}{METADATA}"}
        )

        spec_url = json.loads(respond(event)[2])["specUrl"]

        assert urljoin(request_url, spec_url) == f"https://{host}{stage}/openapi"

    @pytest.mark.parametrize(
        ("environment", "version"),
        [({"BUILD_VERSION": "20251206.1"}, "20251206.1"), ({"BUILD_VERSION": ""}, VERSION)],
    )
    def test_reads_the_build_version_from_the_environment(
        self, environment: dict[str, str], version: str
    ) -> None:
        source = "import app; print(app.BUILD_VERSION)"

        assert printed(source, environment) == version

    def test_the_build_version_defaults_to_the_documents_version(self) -> None:
        source = "import app; print(app.BUILD_VERSION)"

        assert printed(source, {}) == VERSION


@pytest.mark.parametrize("path", ["/openapi", METADATA])
class TestIfNoneMatch:
    @pytest.mark.parametrize(
        "tags",
        [ETAG, f"W/{ETAG}", "*", f'"old", {ETAG}', f'W/"old",W/{ETAG} , "older"', f'"a,b", {ETAG}'],
    )
    def test_a_client_with_the_document_gets_no_body(self, path: str, tags: str) -> None:
        status, headers, body = respond(a_request(path, headers={"If-None-Match": tags}))

        assert (status, body) == (304, "")
        assert headers == {"ETag": ETAG}

    @pytest.mark.parametrize("name", ["if-none-match", "IF-NONE-MATCH", "If-none-match"])
    def test_the_name_of_the_header_is_case_insensitive(self, path: str, name: str) -> None:
        single = a_request(path, headers={name: ETAG})
        repeated = a_request(path, multiValueHeaders={name: ['"old"', ETAG]})

        assert respond(single)[0] == 304
        assert respond(repeated)[0] == 304

    @pytest.mark.parametrize(
        "tags", ["", '"old"', DIGEST[:32], f'"x{DIGEST[:32]}"', f'"{DIGEST}"', '"*"', ETAG[:-2]]
    )
    def test_a_client_with_another_tag_gets_the_document(self, path: str, tags: str) -> None:
        status, _, body = respond(a_request(path, headers={"If-None-Match": tags}))

        assert status == 200
        assert body


class TestPackSchema:
    def test_is_the_schema_that_init_writes_beside_a_pack(self) -> None:
        status, headers, body = respond(a_request(PACK_SCHEMA))

        assert (status, headers["Content-Type"]) == (200, "application/schema+json")
        assert body == (ROOT / "cli/taskrunner_cli/pack.v1.json").read_text(encoding="utf-8")
        assert headers["X-Signature"] == "sha256:" + hashlib.sha256(body.encode()).hexdigest()

    def test_a_client_with_the_schema_gets_no_body(self) -> None:
        etag = respond(a_request(PACK_SCHEMA))[1]["ETag"]

        unchanged = a_request(PACK_SCHEMA, headers={"If-None-Match": etag})
        with_the_document = a_request(PACK_SCHEMA, headers={"If-None-Match": ETAG})

        assert respond(unchanged) == (304, {"ETag": etag}, "")
        assert respond(with_the_document)[0] == 200

    def test_a_cold_start_does_not_read_it(self) -> None:
        source = (
            "import sys; opened = []; "
            "sys.addaudithook(lambda name, args: name == 'open' and opened.append(str(args[0]))); "
            "import app; app.served(''); before = len(opened); app.pack_schema(); "
            "print(*('pack.v1.json' in ' '.join(part) for part in (opened[:before], opened)))"
        )

        assert printed(source, {}) == "False True"


class TestErrors:
    def test_an_unknown_path_is_404(self) -> None:
        status, _, body = respond(a_request("/nowhere"))

        assert status == 404
        assert json.loads(body)["error"] == {
            "code": "not_found",
            "message": "/nowhere not found",
            "traceId": "c6af9ac6",
        }

    @pytest.mark.parametrize("path", fallbacks())
    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
    def test_an_unknown_method_is_405_with_the_allowed_methods(
        self, path: str, method: str
    ) -> None:
        status, headers, body = respond(a_request(path, httpMethod=method))

        error = json.loads(body)["error"]
        if allowed := methods(path):
            assert (status, error["code"]) == (405, "method_not_allowed")
            assert headers["Allow"] == ", ".join(allowed)
            assert error["message"].endswith(f"use {' or '.join(allowed)}")
        else:
            assert (status, error["code"]) == (404, "not_found")

    def test_a_route_of_another_function_is_405(self) -> None:
        status, _, _ = respond(a_request("/v1/task-runner/runs"))

        assert status == 405

    def test_an_empty_event_is_404(self) -> None:
        assert handler({}, None)["statusCode"] == 404


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_answers_every_event(path: Path) -> None:
    event = json.loads(path.read_text(encoding="utf-8"))

    status, _, _ = respond(event)

    expected = {"unchanged": 304, "method": 405, "path": 404}
    assert status == expected.get(path.stem.rpartition("_")[2], 200)


def test_has_events_for_every_route() -> None:
    assert {"document", "metadata", "pack_schema"} <= {path.stem for path in EVENTS}


def test_imports_only_the_standard_library_and_taskrunner() -> None:
    source = (
        "import sys; before = set(sys.modules); import app; "
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )

    imported = set(printed(source, {}).split())

    assert imported - sys.stdlib_module_names == {"app", "taskrunner"}


def printed(source: str, environment: dict[str, str]) -> str:
    """Run *source* in another Python beside app.py, and return its output."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in {"BUILD_VERSION", "TOKEN_URL"}
    }
    done = subprocess.run(  # noqa: S603 -- this very Python, and a source from this file
        [sys.executable, "-B", "-c", source],
        cwd=DOCUMENT.parent,
        env={**inherited, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()
