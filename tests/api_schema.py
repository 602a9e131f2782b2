"""Validates real HTTP responses against the project's OpenAPI document.

    assert_conforms("GET", "/v1/task-runner/runs/run-7", 200, headers, body)

It is stricter than the document: a field that the document does not name is a problem, so that new
fields get documented. Every response of 400 and above must have the envelope, with a code of
`ErrorCode` and the status of that code. Paths are relative to the API's base, without the stage.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.architecture.api_document import DOCUMENT, Json, pointer, read, resolved

_BASE = "urn:taskrunner:openapi"


def assert_conforms(
    method: str,
    path: str,
    status: int,
    headers: Mapping[str, str],
    body: str | bytes | None,
) -> None:
    """Assert that the document describes this response to *method* *path*."""
    problems = list(nonconformities(method, path, status, headers, body))
    listed = "\n  ".join(problems)
    assert not problems, f"the response {status} to {method} {path} is invalid:\n  {listed}"


def nonconformities(
    method: str,
    path: str,
    status: int,
    headers: Mapping[str, str],
    body: str | bytes | None,
) -> Iterator[str]:
    """Yield the problems of this response, one line each."""
    text = body.decode() if isinstance(body, bytes) else body or ""
    sent = {name.lower(): value for name, value in headers.items()}
    where = response_pointer(method, path, status)
    if where is None:
        yield f"the document has no response {status} to {method} {path}"
        return
    response = resolved(document(), {"$ref": where})
    yield from _header_problems(response.get("headers", {}), sent)
    yield from _body_problems(response.get("content"), where, sent, text)
    if status >= 400:
        yield from _envelope_problems(status, text)


@cache
def document() -> Json:
    """Return the document, with every object closed to fields that it does not name."""
    return {
        key: _closed(value) if key in ("components", "paths") else value
        for key, value in read(DOCUMENT).items()
    }


def operation_pointer(method: str, path: str) -> str | None:
    """Return the pointer of the operation of *path*, or None if there is none."""
    segments = path.partition("?")[0].split("/")
    for template, item in document()["paths"].items():
        if method.lower() in item and _fits(template.split("/"), segments):
            return pointer(pointer("#/paths", template), method.lower())
    return None


def response_pointer(method: str, path: str, status: int) -> str | None:
    """Return the pointer of the response with this status. Unknown routes have errors only."""
    is_error = status >= 400
    operation = operation_pointer(method, path)
    if operation is None:
        return "#/components/responses/Error" if is_error else None
    responses = resolved(document(), {"$ref": operation})["responses"]
    name = str(status) if str(status) in responses else "default"
    if name == "default" and not is_error:
        return None
    reference = responses[name].get("$ref")
    return reference or pointer(pointer(operation, "responses"), name)


def ndjson_problems(schema: str, text: str) -> Iterator[str]:
    """Yield the problems of NDJSON text in which *schema* describes each line."""
    if text and not text.endswith("\n"):
        yield "the last line has no end, so it may be incomplete"
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else [], 1):
        for problem in _json_problems(schema, line):
            yield f"line {number}: {problem}"


def schema_problems(where: str, value: object) -> Iterator[str]:
    """Yield the problems of *value* under the schema at the pointer *where*."""
    validator = Draft202012Validator(
        {"$ref": f"{_BASE}{where}"},
        registry=_registry(),
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    for error in sorted(validator.iter_errors(value), key=lambda error: error.json_path):
        yield f"{error.json_path}: {error.message}"


@cache
def _registry() -> "Registry[Any]":
    empty: Registry[Any] = Registry()
    filled: Registry[Any] = empty.with_resource(_BASE, DRAFT202012.create_resource(document()))
    return filled


def _fits(template: list[str], segments: list[str]) -> bool:
    return len(template) == len(segments) and all(
        expected == actual or (expected.startswith("{") and actual)
        for expected, actual in zip(template, segments, strict=True)
    )


def _closed(value: object) -> object:
    """Copy *value* with every schema that lists properties closed to others."""
    if isinstance(value, list):
        return [_closed(item) for item in value]
    if not isinstance(value, dict):
        return value
    copy = {key: _closed(item) for key, item in value.items()}
    if copy.get("type") == "object" and "properties" in copy:
        copy.setdefault("additionalProperties", False)
    return copy


def _header_problems(described: Json, sent: Mapping[str, str]) -> Iterator[str]:
    for name, header in described.items():
        rule = resolved(document(), header)
        value = sent.get(name.lower())
        if value is not None:
            for error in Draft202012Validator(
                rule["schema"], format_checker=Draft202012Validator.FORMAT_CHECKER
            ).iter_errors(value):
                yield f"header {name}: {error.message}"
        elif rule.get("required"):
            yield f"header {name} is missing"


def _body_problems(
    content: Json | None, where: str, sent: Mapping[str, str], text: str
) -> Iterator[str]:
    if content is None:
        if text:
            yield f"a body that the document does not have: {text[:80]!r}"
        return
    media_type = sent.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in content:
        yield f"content-type {media_type!r} is not one of {', '.join(content)}"
        return
    schema = pointer(pointer(pointer(where, "content"), media_type), "schema")
    match media_type:
        case "application/json" | "application/schema+json":
            yield from _json_problems(schema, text)
        case "application/x-ndjson":
            yield from ndjson_problems(schema, text)
        case "application/yaml":
            yield from schema_problems(schema, yaml.load(text, yaml.CSafeLoader))
        case _:
            yield from schema_problems(schema, text)


def _json_problems(schema: str, text: str) -> Iterator[str]:
    try:
        value = json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        yield f"not JSON: {error}"
    else:
        yield from schema_problems(schema, value)


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _envelope_problems(status: int, text: str) -> Iterator[str]:
    try:
        code = str(json.loads(text)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        yield "no error envelope"
        return
    known = document()["components"]["schemas"]["ErrorCode"]["x-enum"]
    if code not in known:
        yield f"error code {code!r} is not documented"
    elif known[code]["status"] != status:
        yield f"error code {code!r} belongs to status {known[code]['status']}"
