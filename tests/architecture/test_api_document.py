"""The project's OpenAPI document contains the contract unchanged, and is consistent."""

import copy
import json
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from taskrunner.model.entries.run_entries import LAST_EVENTS
from taskrunner.model.refusal import RefusalCode
from taskrunner_cli.api.documents import STATUS_OF_LAST_EVENT
from tests.api_schema import ndjson_problems, schema_problems
from tests.architecture.api_document import (
    CONTRACT,
    DOCUMENT,
    ROOT,
    Json,
    differences,
    pointer,
    read,
    resolved,
)

RUNS = "/v1/task-runner/runs"
RUN = f"{RUNS}/{{runId}}"
DECIDE = f"{RUN}/approvals/{{approvalId}}"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

# These two examples of the contract abbreviate a hash, so they do not match the contract's pattern.
# They stay, because the contract is fixed.
ABBREVIATED = {
    "simulation-result": "$.planHash: 'sha256:a1b2c3d4e5f6...' does not match",
    "running": "$.planHash: 'sha256:a1b2c3d4...' does not match",
}

Change = Callable[[Json], object]


@pytest.fixture(name="contract", scope="module")
def _contract() -> Json:
    assert CONTRACT.exists(), f"the contract is expected beside the clone, at {CONTRACT}"
    return read(CONTRACT)


@pytest.fixture(name="document", scope="module")
def _document() -> Json:
    return read(DOCUMENT)


def schema(document: Json, name: str) -> Any:  # noqa: ANN401 -- to be changed in place
    return document["components"]["schemas"][name]


def operation(document: Json, path: str, method: str = "get") -> Any:  # noqa: ANN401 -- as above
    return document["paths"][path][method]


def content(document: Json, path: str, method: str, status: str) -> Any:  # noqa: ANN401 -- as above
    return operation(document, path, method)["responses"][status]["content"]


def test_the_document_contains_the_contract_unchanged(contract: Json, document: Json) -> None:
    assert differences(contract, document) == []


VIOLATIONS: dict[str, Change] = {
    "a path gone": lambda d: d["paths"].pop(RUN),
    "a method gone": lambda d: d["paths"][RUNS].pop("post"),
    "an operation renamed": lambda d: operation(d, RUN).update(operationId="getRun"),
    "another tag": lambda d: operation(d, RUN).update(tags=["Run"]),
    "a parameter gone": lambda d: operation(d, RUN)["parameters"].pop(),
    "a required parameter more": lambda d: operation(d, RUN)["parameters"].append(
        {"name": "verbose", "in": "query", "required": True, "schema": {"type": "boolean"}}
    ),
    "a referenced parameter turns required": lambda d: d["components"]["parameters"][
        "IdempotencyKey"
    ].update(required=True),
    "parameters where the contract has none, one of them required": lambda d: d["components"][
        "parameters"
    ]["IfNoneMatch"].update(required=True),
    "the tenant header required": lambda d: d["components"]["parameters"]["Tenant"].update(
        required=True
    ),
    "the pattern of a run's id": lambda d: d["components"]["parameters"]["RunId"]["schema"].update(
        pattern="^[a-z]+$"
    ),
    "a pattern where there was none": lambda d: schema(d, "CreateRunRequest")["properties"][
        "runId"
    ].update(pattern="^run-"),
    "a status gone": lambda d: operation(d, DECIDE, "post")["responses"].pop("409"),
    "another success": lambda d: operation(d, RUNS, "post")["responses"].update(
        {"202": {"description": "Run queued"}}
    ),
    "another schema of an answer": lambda d: content(d, RUNS, "post", "400")[
        "application/json"
    ].update(schema={"$ref": "#/components/schemas/ErrorEnvelope"}),
    "another media type": lambda d: content(d, f"{RUN}/logs", "get", "200").update(
        {"application/json": content(d, f"{RUN}/logs", "get", "200").pop("application/x-ndjson")}
    ),
    "a body no longer required": lambda d: operation(d, RUNS, "post")["requestBody"].update(
        required=False
    ),
    "a body where there is none": lambda d: operation(d, f"{RUN}/cancel", "post").update(
        requestBody={"content": {"application/json": {}}}
    ),
    "a header gone": lambda d: operation(d, RUNS, "post")["responses"]["201"].pop("headers"),
    "a security rule of an operation": lambda d: operation(d, RUN).update(security=[]),
    "anonymous callers": lambda d: d["security"].append({}),
    "a scope renamed": lambda d: d["components"]["securitySchemes"]["oauth2"]["flows"][
        "clientCredentials"
    ].update(scopes={"viewer": "", "operator": "", "admin": ""}),
    "the meaning of a scope": lambda d: d["components"]["securitySchemes"]["oauth2"]["flows"][
        "clientCredentials"
    ]["scopes"].update({"taskrunner.viewer": "Everything"}),
    "another address of tokens": lambda d: d["components"]["securitySchemes"]["oauth2"]["flows"][
        "clientCredentials"
    ].update(tokenUrl="https://elsewhere.example.com"),
    "a server gone": lambda d: d["servers"].pop(),
    "the title": lambda d: d["info"].update(title="Task Runner"),
    "the description": lambda d: d["info"].update(description="An API."),
    "a field gone": lambda d: schema(d, "RunStateStep")["properties"].pop("attempts"),
    "a field of another type": lambda d: schema(d, "RunStateStep")["properties"]["attempts"].update(
        type="number"
    ),
    "a format gone": lambda d: schema(d, "RunStateResponse")["properties"]["createdAt"].pop(
        "format"
    ),
    "a bound moved": lambda d: schema(d, "FailurePolicy")["properties"]["maxAttempts"].update(
        minimum=0
    ),
    "true turned into 1": lambda d: schema(d, "SimulationRequest")["properties"]["inputs"].update(
        additionalProperties=1
    ),
    "an enum shorter": lambda d: schema(d, "RunStateStep")["properties"]["status"]["enum"].pop(),
    "an enum longer": lambda d: schema(d, "RunStateStep")["properties"]["status"]["enum"].append(
        "Cancelled"
    ),
    "an enum where there was none": lambda d: schema(d, "SimulationOutput")["properties"][
        "type"
    ].update(enum=["file", "object"]),
    "a required field more": lambda d: schema(d, "RunStateResponse")["required"].append("status"),
    "a required field less": lambda d: schema(d, "RunStateResponse")["required"].remove("steps"),
    "a required field where there was none": lambda d: schema(d, "LoopInfo").update(
        required=["iterator"]
    ),
    "an object closed": lambda d: schema(d, "SimulationRequest").update(additionalProperties=False),
    "a schema narrowed from beside": lambda d: schema(d, "RunLogEntry").update(
        allOf=[{"required": ["stepId"]}]
    ),
    "a field's text": lambda d: schema(d, "RunArtifact")["properties"]["expressionJson"].update(
        description="An expression"
    ),
    "a known event type less": lambda d: schema(d, "RunLogEntry")["properties"]["eventType"].update(
        description="Known types: run.created"
    ),
    "an example": lambda d: content(d, RUN, "get", "200")["application/json"]["examples"][
        "running"
    ]["value"]["steps"][0].update(name="Build"),
}


@pytest.mark.parametrize("change", VIOLATIONS.values(), ids=VIOLATIONS)
def test_finds_a_violation(contract: Json, document: Json, change: Change) -> None:
    violating = copy.deepcopy(document)

    change(violating)

    assert json.dumps(violating) != json.dumps(document)
    assert differences(contract, violating)


ADDITIONS: dict[str, Change] = {
    "a path": lambda d: d["paths"].update({"/v1/task-runner/packs": {"get": {"responses": {}}}}),
    "a method": lambda d: d["paths"][RUN].update(delete={"responses": {}}),
    "an optional parameter": lambda d: operation(d, RUN)["parameters"].append(
        {"name": "verbose", "in": "query", "schema": {"type": "boolean"}}
    ),
    "a refusal": lambda d: operation(d, RUN)["responses"].update({"410": {"description": "Gone"}}),
    "an optional field": lambda d: schema(d, "RunArtifact")["properties"].update(
        colour={"type": "string", "enum": ["red"]}
    ),
    "a schema": lambda d: d["components"]["schemas"].update(Colour={"type": "string"}),
    "an example": lambda d: content(d, RUN, "get", "200")["application/json"]["examples"].update(
        another={"value": {}}
    ),
    "a scope": lambda d: d["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"][
        "scopes"
    ].update({"taskrunner.auditor": "Read evidence"}),
    "a server": lambda d: d["servers"].insert(0, {"url": "http://127.0.0.1:4566"}),
    "the version": lambda d: d["info"].update(version="7.0.0"),
    "a sentence": lambda d: d["info"].update(description=d["info"]["description"] + " More."),
    "an extension": lambda d: schema(d, "RunArtifact").update({"x-order": 1}),
}


@pytest.mark.parametrize("change", ADDITIONS.values(), ids=ADDITIONS)
def test_accepts_an_addition(contract: Json, document: Json, change: Change) -> None:
    adding = copy.deepcopy(document)

    change(adding)

    assert adding != document
    assert differences(contract, adding) == []


def entries(value: Any, where: str = "#") -> Iterator[tuple[Any, Any, str]]:  # noqa: ANN401 -- JSON
    """Yield each container of a document with each key or index in it, and that entry's pointer."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    for key in keys:
        here = pointer(where, key)
        yield value, key, here
        if isinstance(value[key], dict | list):
            yield from entries(value[key], here)


def replace(container: Any, key: Any) -> None:  # noqa: ANN401 -- a mapping or a list
    container[key] = "another"


def test_notices_every_missing_or_changed_part_of_the_contract(contract: Json) -> None:
    ours = copy.deepcopy(contract)
    ignored = {"#/info/version"}
    unnoticed = []
    for container, key, where in list(entries(ours)):
        original = copy.copy(container)
        for damage in (operator.delitem, replace):
            damage(container, key)
            if not differences(contract, ours) and where not in ignored:
                unnoticed.append(where)
            container.clear()
            if isinstance(container, list):
                container.extend(original)
            else:
                container.update(original)

    assert unnoticed == []
    assert ours == contract


def test_is_valid_openapi_3_1(document: Json) -> None:
    assert document["openapi"].startswith("3.1")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_no_name_is_read_as_a_boolean(document: Json) -> None:
    """A reader of YAML 1.1, as most are, takes an unquoted `on` or `no` for a boolean."""
    assert [where for _, key, where in entries(document) if isinstance(key, bool)] == []


def examples(value: Any, where: str = "#") -> Iterator[tuple[str, str, str, Any]]:  # noqa: ANN401 -- JSON
    """Yield (name, media type, pointer of its schema, value) of each example below *value*."""
    for container, key, here in entries(value, where):
        if key == "examples" and "schema" in container:
            place = here.removesuffix("/examples")
            media_type = place.rpartition("/")[2].replace("~1", "/")
            for name, example in container[key].items():
                yield name, media_type, pointer(place, "schema"), example["value"]


def test_every_example_matches_its_schema(document: Json) -> None:
    listed = list(examples(document))
    problems: dict[str, list[str]] = {}
    for name, media_type, where, value in listed:
        check = ndjson_problems if media_type == "application/x-ndjson" else schema_problems
        problems.setdefault(name, []).extend(check(where, value))

    unexpected = {name: found for name, found in problems.items() if found}
    assert unexpected.keys() == ABBREVIATED.keys(), unexpected
    for name, beginning in ABBREVIATED.items():
        assert [problem.startswith(beginning) for problem in problems[name]] == [True]
    assert len(listed) >= 20


def test_every_event_that_ends_a_run_is_known_to_the_document_and_the_command_line(
    document: Json,
) -> None:
    text = schema(document, "RunLogEntry")["properties"]["eventType"]["description"]
    named = re.search(r"A run ends with one of ([^A-Z]+)\. After", text)

    assert named
    assert LAST_EVENTS == set(STATUS_OF_LAST_EVENT) == set(re.split(r",\s+", named[1]))


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def test_every_error_response_has_the_envelope(document: Json) -> None:
    reference = {"$ref": "#/components/schemas/ErrorEnvelope"}
    plan_error = {"$ref": "#/components/schemas/PlanErrorResponse"}
    without = []
    for method, path, described in operations(document):
        expected = {"429", "default"}
        if described["x-required-scope"] != "none":
            expected |= {"401", "403"}
        assert expected <= described["responses"].keys(), path
        for status, response in described["responses"].items():
            if status[0] in "45d":
                media = resolved(document, response).get("content", {}).get("application/json", {})
                if media.get("schema") not in (reference, plan_error):
                    without.append(f"{method} {path} {status}")

    assert without == []


def test_every_operation_names_an_existing_scope(document: Json) -> None:
    flow = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    scopes = {path: described["x-required-scope"] for _, path, described in operations(document)}
    public = {path for path, scope in scopes.items() if scope == "none"}

    assert set(scopes.values()) <= {*flow["scopes"], "none"}
    console = {"/console", "/console/{release}/{file}"}
    documents = {"/.well-known/openapi", "/openapi", "/schemas/pack.v1.json"}
    assert public == documents | console


def test_every_error_code_has_a_status_and_a_description(document: Json) -> None:
    code = schema(document, "ErrorCode")

    assert list(code["x-enum"]) == code["enum"]
    for name, entry in code["x-enum"].items():
        assert 400 <= entry["status"] <= 599, name
        assert entry["description"].endswith("."), name


def test_every_reason_why_a_caller_cannot_decide_is_documented(document: Json) -> None:
    code = schema(document, "CannotDecideReason")["properties"]["code"]
    guide = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    table = guide.partition("| `code` | the caller |\n")[2].partition("\n\n")[0]

    assert list(code["x-enum"]) == list(RefusalCode)
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(RefusalCode)


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under *heading* of docs/api.md, without its header."""
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_guide_has_a_row_for_every_operation(document: Json) -> None:
    listed = [tuple(row[:3]) for row in rows("Operations")]

    expected = [
        (f"{method} `{path}`", described["operationId"], described["x-required-scope"])
        for method, path, described in operations(document)
    ]
    assert sorted(listed) == sorted(
        (row, name, scope.rpartition(".")[2]) for row, name, scope in expected
    )


def test_the_guide_names_existing_tests_for_every_operation() -> None:
    tests = {row[0]: re.findall(r"`([^`]+)`", row[3]) for row in rows("Operations")}

    missing = {
        name: [test for test in listed if not (ROOT / test.partition("::")[0]).is_file()]
        for name, listed in tests.items()
    }
    assert [name for name, listed in tests.items() if not listed] == []
    assert {name: paths for name, paths in missing.items() if paths} == {}


def test_the_guide_lists_every_error_code(document: Json) -> None:
    listed = [(row[0].strip("`"), int(row[1])) for row in rows("Errors")]

    codes = schema(document, "ErrorCode")["x-enum"]
    assert listed == [(name, entry["status"]) for name, entry in codes.items()]
