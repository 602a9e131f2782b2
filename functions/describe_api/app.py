"""Serves the API's OpenAPI document, and answers 404 or 405 to requests for which it has no route.

The document is beside this file and is read once, at import: its digest, ETag and version change
only with the code. This module imports nothing large, so its cold start costs little more than
Python's own.

The ETag is strong and made of the document's bytes. The metadata has the same ETag, which names the
document it describes. The signature is a digest of the same bytes. Anyone can recompute it; it
involves no key and therefore proves no author.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from taskrunner.model.access import methods

Response = dict[str, Any]

DOCUMENT = Path(__file__).with_name("openapi.yaml").read_bytes().decode()
# The first line like this one is info.version; a test compares it with the parsed document.
VERSION = DOCUMENT.partition("\n  version: ")[2].partition("\n")[0]
DIGEST = hashlib.sha256(DOCUMENT.encode()).hexdigest()
ETAG = f'"{DIGEST[:32]}"'
SIGNATURE = f"sha256:{DIGEST}"
METADATA = json.dumps(
    {
        "specUrl": "/openapi",  # relative to the API's base URL, which may contain a stage
        "version": VERSION,
        "buildVersion": os.environ.get("BUILD_VERSION") or VERSION,
        "etag": ETAG,
        "signature": SIGNATURE,
    }
)
ANSWERS = {
    "/.well-known/openapi": ("application/json", METADATA),
    "/openapi": ("application/yaml", DOCUMENT),
}


def handler(event: dict[str, Any], _context: object) -> Response:
    """Answer a proxy event by its `resource`, which does not contain the stage."""
    route, method = str(event.get("resource")), event.get("httpMethod")
    allowed = methods(route)
    if not allowed:
        return _error(event, 404, "not_found", f"{event.get('path')} not found")
    if method not in allowed or route not in ANSWERS:
        message = f"{method} is not a method of {route}; use {' or '.join(allowed)}"
        return _error(event, 405, "method_not_allowed", message, Allow=", ".join(allowed))
    if _client_has_document(event):
        return {"statusCode": 304, "headers": {"ETag": ETAG}, "body": ""}
    media_type, body = ANSWERS[route]
    headers = {"Content-Type": media_type, "ETag": ETAG, "X-Signature": SIGNATURE}
    return {"statusCode": 200, "headers": headers, "body": body}


def _client_has_document(event: dict[str, Any]) -> bool:
    """Return whether If-None-Match names the document (weakly: RFC 9110, section 13.1.2)."""
    single = (event.get("headers") or {}).items()
    multiple = (event.get("multiValueHeaders") or {}).items()
    fields = [value for name, value in single if name.lower() == "if-none-match"]
    fields += [v for name, values in multiple if name.lower() == "if-none-match" for v in values]
    # Our tag contains no comma, so splitting another tag at its commas cannot produce ours.
    tags = {tag.strip().removeprefix("W/") for field in fields for tag in field.split(",")}
    return bool(tags & {ETAG, "*"})


def _error(event: dict[str, Any], status: int, code: str, message: str, **headers: str) -> Response:
    error = {"code": code, "message": message}
    trace_id = (event.get("requestContext") or {}).get("requestId")
    if trace_id:
        error["traceId"] = trace_id
    content = {"Content-Type": "application/json", **headers}
    return {"statusCode": status, "headers": content, "body": json.dumps({"error": error})}
