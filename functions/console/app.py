"""Serves the console, the service's web page, from the files in `static/`.

The page is one document (`GET /console`) and the scripts, style and picture that it names, at
addresses with a digest of all of them. So a browser keeps these for a year, and a page never runs
the script of one deployment with that of another. The scripts are joined into `console.js`, which
`boot.js` loads: a page costs five requests at first, and one when it is loaded again. The files are
data: nobody is identified here, and what the page shows comes from the API, with the token of the
person who looks at it.

The document has the deployment's settings in a `meta` element, so the page needs no request for
them. This module imports nothing large, so its cold start costs little more than Python's own.
"""

import hashlib
import html
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from taskrunner.adapters.console_scripts import join_scripts
from taskrunner.adapters.http_address import base_url
from taskrunner.adapters.http_etags import known_tags

Response = dict[str, Any]

PAGE: Final = "/console"
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_SOURCES: Final = {
    path.name: path.read_text(encoding="utf-8")
    for path in sorted((Path(__file__).parent / "static").iterdir())
}
_DOCUMENT: Final = _SOURCES["index.html"]
_FILES: Final = {
    "console.js": join_scripts(_SOURCES, "main.js"),
    **{name: _SOURCES[name] for name in ("boot.js", "console.css", "icon.svg")},
}
RELEASE: Final = hashlib.sha256(json.dumps([_DOCUMENT, _FILES]).encode()).hexdigest()[:16]
_COMMON_HEADERS: Final = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Strict-Transport-Security": "max-age=31536000",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_A_YEAR: Final = "public, max-age=31536000, immutable"


def handler(event: dict[str, Any], _context: object) -> Response:
    """Answer a proxy event with the page, or with one of its files."""
    if event.get("resource") == PAGE:
        return _page(event)
    parameters = event.get("pathParameters") or {}
    name = str(parameters.get("file"))
    text = _FILES.get(name) if parameters.get("release") == RELEASE else None
    if text is None:
        return _not_found(event)
    headers = {
        "Content-Type": _MEDIA_TYPES[Path(name).suffix],
        "Cache-Control": _A_YEAR,
        **_COMMON_HEADERS,
    }
    return {"statusCode": 200, "headers": headers, "body": text}


def _page(event: Mapping[str, Any]) -> Response:
    """Return the document, or 304 if the browser has it."""
    settings = _settings(event, os.environ)
    text = _DOCUMENT.replace("{{files}}", html.escape(f"{settings['consolePath']}/{RELEASE}"))
    text = text.replace("{{settings}}", html.escape(json.dumps(settings)))
    headers = {
        "Content-Security-Policy": _content_security_policy(settings["tokenUrl"]),
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-cache",
        "ETag": f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"',
        "X-Frame-Options": "DENY",
        **_COMMON_HEADERS,
    }
    sent = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    if known_tags([sent.get("if-none-match", "")]) & {headers["ETag"], "*"}:
        return {"statusCode": 304, "headers": headers, "body": ""}
    return {"statusCode": 200, "headers": headers, "body": text}


def _settings(event: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what the page must know of its deployment; none of it is secret.

    The paths begin with the stage, or with the base path of a custom domain. The client of the
    stack's own user pool is a variable of the stage: the client names the API, so the API's
    functions cannot name the client.
    """
    base_path = urlsplit(base_url(event)).path
    client_id = (event.get("stageVariables") or {}).get("ConsoleClientId", "none")
    return {
        "apiPath": base_path,
        "consolePath": f"{base_path}{PAGE}",
        "clientId": "" if client_id == "none" else client_id,
        "authorizeUrl": environment.get("AUTHORIZE_URL", ""),
        "tokenUrl": environment.get("TOKEN_URL", ""),
        "logoutUrl": environment.get("LOGOUT_URL", ""),
        "scopes": environment.get("CONSOLE_SCOPES", ""),
        "files": ["console.js", "console.css"],
    }


def _content_security_policy(token_url: str) -> str:
    """Return a policy by which the page runs and calls only what this deployment serves."""
    token = urlsplit(token_url)
    issuer = f" {token.scheme}://{token.netloc}" if token.netloc else ""
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            f"connect-src 'self'{issuer}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ]
    )


def _not_found(event: Mapping[str, Any]) -> Response:
    error = {"code": "not_found", "message": f"{event.get('path')} not found"}
    trace_id = (event.get("requestContext") or {}).get("requestId")
    body = {"error": error | ({"traceId": trace_id} if trace_id else {})}
    headers = {"Content-Type": "application/json", **_COMMON_HEADERS}
    return {"statusCode": 404, "headers": headers, "body": json.dumps(body)}
