"""Answers what this API is, with its OpenAPI document, and what it is not, with 404 and 405.

The document lies beside this file and is read once, at import: its digest, ETag and version cannot
change while the code does not. Nothing large is imported, so that a cold start costs what Python's
own start costs.

The ETag is a strong one of the document's bytes, and the metadata carries the same one, because it
tells which document they describe. The signature is an integrity digest of the same bytes, which
anyone can recompute; it holds no key and so proves no author.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from taskrunner.model.access import methods

Response = dict[str, Any]

DOCUMENT = Path(__file__).with_name("openapi.yaml").read_bytes().decode()
# The first line of that form is info.version: a test reads it as YAML and compares.
VERSION = DOCUMENT.partition("\n  version: ")[2].partition("\n")[0]
DIGEST = hashlib.sha256(DOCUMENT.encode()).hexdigest()
ETAG = f'"{DIGEST[:32]}"'
SIGNATURE = f"sha256:{DIGEST}"
METADATA = json.dumps(
    {
        "specUrl": "/openapi",  # relative to the API's base URL, wherever a stage puts that
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
    """Answer a proxy event of API Gateway's REST API by its route, which knows no stage."""
    route, method = str(event.get("resource")), event.get("httpMethod")
    allowed = methods(route)
    if not allowed:
        return _refusal(event, 404, "not_found", f"{event.get('path')} not found")
    if method not in allowed or route not in ANSWERS:
        message = f"{method} is not a method of {route}; use {' or '.join(allowed)}"
        return _refusal(event, 405, "method_not_allowed", message, Allow=", ".join(allowed))
    if _holds_current(event):
        return {"statusCode": 304, "headers": {"ETag": ETAG}, "body": ""}
    media_type, body = ANSWERS[route]
    headers = {"Content-Type": media_type, "ETag": ETAG, "X-Signature": SIGNATURE}
    return {"statusCode": 200, "headers": headers, "body": body}


def _holds_current(event: dict[str, Any]) -> bool:
    """Whether If-None-Match names the document, compared weakly (RFC 9110, section 13.1.2)."""
    single = (event.get("headers") or {}).items()
    multiple = (event.get("multiValueHeaders") or {}).items()
    fields = [value for name, value in single if name.lower() == "if-none-match"]
    fields += [v for name, values in multiple if name.lower() == "if-none-match" for v in values]
    # Our tag holds no comma, so that splitting another one at its commas cannot make ours.
    tags = {tag.strip().removeprefix("W/") for field in fields for tag in field.split(",")}
    return bool(tags & {ETAG, "*"})


def _refusal(
    event: dict[str, Any], status: int, code: str, message: str, **headers: str
) -> Response:
    error = {"code": code, "message": message}
    trace_id = (event.get("requestContext") or {}).get("requestId")
    if trace_id:
        error["traceId"] = trace_id
    content = {"Content-Type": "application/json", **headers}
    return {"statusCode": status, "headers": content, "body": json.dumps({"error": error})}
