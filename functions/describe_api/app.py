"""Serves the API's OpenAPI document and the JSON Schema of packs, and answers 404 or 405 otherwise.

The document is beside this file and is read once, at import. It names the server that its client
has reached and the token address of the deployment, so its digest and ETag differ between the
addresses of one deployment. This module imports nothing large, so its cold start costs little more
than Python's own.

The ETag is strong and made of the document's bytes. The metadata has the same ETag, which names the
document it describes. The signature is a digest of the same bytes. Anyone can recompute it; it
involves no key and therefore proves no author. The schema has an ETag and a signature of the same
kind.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from taskrunner.adapters.http_accept import media_type
from taskrunner.adapters.http_address import base_url
from taskrunner.adapters.http_etags import known_tags
from taskrunner.adapters.http_origins import origin_headers
from taskrunner.model.access import methods

Response = dict[str, Any]

SOURCE = Path(__file__).with_name("openapi.yaml").read_bytes().decode()
# The first line like this one is info.version; a test compares it with the parsed document.
VERSION = SOURCE.partition("\n  version: ")[2].partition("\n")[0]
BUILD_VERSION = os.environ.get("BUILD_VERSION") or VERSION
TOKEN_URL = os.environ.get("TOKEN_URL", "")
_SERVERS = re.compile(r"(?<=^servers:\n)(?:  .*\n)+", re.MULTILINE)
_TOKEN_URL = re.compile(r"(?<=tokenUrl: ).*")
PATHS = ("/.well-known/openapi", "/openapi", "/schemas/pack.v1.json")
MEDIA_TYPES = ("application/yaml", "text/plain")
PACK_SCHEMA = Path(__file__).with_name("pack.v1.json")


class Served(NamedTuple):
    """A text as the clients of one server get it."""

    text: str
    etag: str
    signature: str


@lru_cache(maxsize=8)
def served(server: str, token_url: str = TOKEN_URL) -> Served:
    """Return the document for clients that reach the API at the URL *server*.

    Its addresses replace the examples in the source. A JSON string is one in YAML, too.
    """
    entry = f"  - url: {json.dumps(server or '/')}\n    description: This deployment\n"
    text = _SERVERS.sub(lambda _: entry, SOURCE, count=1)
    if token_url:
        text = _TOKEN_URL.sub(lambda _: json.dumps(token_url), text, count=1)
    return _with_digest(text)


@lru_cache(maxsize=1)
def pack_schema() -> Served:
    """Return the JSON Schema of packs. The first request for it reads it, so no cold start does."""
    return _with_digest(PACK_SCHEMA.read_bytes().decode())


def _with_digest(text: str) -> Served:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Served(text, f'"{digest[:32]}"', f"sha256:{digest}")


def handler(event: dict[str, Any], _context: object) -> Response:
    """Answer a proxy event, also to a page of the allowed origin."""
    response = _answer(event)
    return {**response, "headers": {**response["headers"], **origin_headers(event)}}


def _answer(event: dict[str, Any]) -> Response:
    """Answer a proxy event by its `resource`, which does not contain the stage."""
    route, method = str(event.get("resource")), event.get("httpMethod")
    allowed = methods(route)
    if not allowed:
        return _error(event, 404, "not_found", f"{event.get('path')} not found")
    if method not in allowed or route not in PATHS:
        message = f"{method} is not a method of {route}; use {' or '.join(allowed)}"
        return _error(event, 405, "method_not_allowed", message, Allow=", ".join(allowed))
    server = base_url(event)
    document = pack_schema() if route == "/schemas/pack.v1.json" else served(server)
    if _client_has(document, event):
        return {"statusCode": 304, "headers": {"ETag": document.etag}, "body": ""}
    match route:
        case "/openapi":
            content_type = media_type(", ".join(_header_values(event, "accept")), MEDIA_TYPES)
            body = document.text
        case "/schemas/pack.v1.json":
            content_type, body = "application/schema+json", document.text
        case _:
            content_type, body = "application/json", json.dumps(_metadata(server, document))
    headers = {
        "Content-Type": content_type,
        "ETag": document.etag,
        "X-Signature": document.signature,
    }
    return {"statusCode": 200, "headers": headers, "body": body}


def _metadata(server: str, document: Served) -> Mapping[str, str]:
    return {
        "specUrl": f"{server}/openapi",
        "version": VERSION,
        "buildVersion": BUILD_VERSION,
        "etag": document.etag,
        "signature": document.signature,
    }


def _client_has(document: Served, event: dict[str, Any]) -> bool:
    """Return whether If-None-Match names *document*."""
    return bool(known_tags(_header_values(event, "if-none-match")) & {document.etag, "*"})


def _header_values(event: dict[str, Any], wanted: str) -> list[str]:
    single = (event.get("headers") or {}).items()
    multiple = (event.get("multiValueHeaders") or {}).items()
    values = [value for name, value in single if name.lower() == wanted]
    return values + [v for name, texts in multiple if name.lower() == wanted for v in texts]


def _error(event: dict[str, Any], status: int, code: str, message: str, **headers: str) -> Response:
    error = {"code": code, "message": message}
    trace_id = (event.get("requestContext") or {}).get("requestId")
    if trace_id:
        error["traceId"] = trace_id
    content = {"Content-Type": "application/json", **headers}
    return {"statusCode": status, "headers": content, "body": json.dumps({"error": error})}
