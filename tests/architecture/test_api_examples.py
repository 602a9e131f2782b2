"""docs/api.md shows a request to and an answer of every operation, as openapi.yaml has them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import pytest

from tests.api_schema import document, ndjson_problems, operation_pointer, schema_problems
from tests.architecture.api_document import pointer, resolved
from tests.template import ROOT

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
MEDIA_TYPES = {"json": "application/json", "ndjson": "application/x-ndjson"}
SUCCESSES = {"200", "201", "202", "204", "302"}
_ROUTE = re.compile(r"^`(GET|POST) ([^?`]+)[^`]*`", re.MULTILINE)
# The line above a block says what the block is.
_BLOCK = re.compile(
    r"^(?P<lead>[^\n]+)\n```(?P<form>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_STATUS = re.compile(r"\banswer (\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Example:
    """The body of a request to *operation*, or of its answer with *status*."""

    operation: str
    status: str | None
    form: str
    text: str

    def problems(self) -> list[str]:
        """Return what is wrong with the body under the schema that the document has for it."""
        operation = OPERATIONS[self.operation]
        body = (
            pointer(operation, "requestBody")
            if self.status is None
            else pointer(pointer(operation, "responses"), self.status)
        )
        media_type = MEDIA_TYPES[self.form]
        schema = pointer(pointer(pointer(body, "content"), media_type), "schema")
        if self.form == "ndjson":
            return list(ndjson_problems(schema, self.text))
        if media_type not in resolved(document(), {"$ref": body})["content"]:
            # One line of NDJSON, spread out for the reader.
            schema = schema.replace("application~1json", "application~1x-ndjson")
        return list(schema_problems(schema, json.loads(self.text)))


def section(heading: str) -> str:
    """Return the text of the page under *heading*."""
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


OPERATIONS = {
    operation["operationId"]: pointer(pointer("#/paths", path), method)
    for path, item in document()["paths"].items()
    for method, operation in item.items()
}
SECTIONS = dict(part.split("\n", 1) for part in section("Examples").split("\n### ")[1:])
EXAMPLES = [
    Example(name, status[1] if status else None, block["form"], block["text"])
    for name, text in SECTIONS.items()
    for block in _BLOCK.finditer(text)
    for status in [_STATUS.search(block["lead"])]
]


def test_every_operation_has_a_section_that_begins_with_its_route() -> None:
    routes = {name: _ROUTE.search(text) for name, text in SECTIONS.items()}

    shown = {
        name: None if route is None else operation_pointer(route[1], route[2])
        for name, route in routes.items()
    }

    assert shown == OPERATIONS


def test_every_section_has_the_successes_that_the_document_has() -> None:
    described = {
        name: resolved(document(), {"$ref": operation})["responses"].keys() & SUCCESSES
        for name, operation in OPERATIONS.items()
    }

    assert {name: set(_STATUS.findall(text)) for name, text in SECTIONS.items()} == described


def test_every_operation_with_a_request_body_has_an_example_of_it() -> None:
    with_body = {
        name
        for name, operation in OPERATIONS.items()
        if "requestBody" in resolved(document(), {"$ref": operation})
    }

    assert {example.operation for example in EXAMPLES if example.status is None} == with_body


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda given: f"{given.operation}-{given.status}")
def test_an_example_fits_the_schema_of_its_operation(example: Example) -> None:
    assert example.problems() == []


def test_the_examples_of_errors_fit_the_schemas_of_errors() -> None:
    schemas = ["ErrorEnvelope", "PlanErrorResponse"]
    shown = re.findall(r"```json\n(.*?)```", section("Errors"), re.DOTALL)

    assert len(shown) == len(schemas)
    for schema, text in zip(schemas, shown, strict=True):
        assert list(schema_problems(f"#/components/schemas/{schema}", json.loads(text))) == []


def test_the_errors_have_the_descriptions_of_the_document() -> None:
    codes = document()["components"]["schemas"]["ErrorCode"]["x-enum"]
    rows = re.findall(r"^\| `(\w+)` \| \d+ \| (.+) \|$", section("Errors"), re.MULTILINE)

    assert [code for code, _ in rows] == list(codes)
    for code, meaning in rows:
        description = codes[code]["description"].replace("`", "")
        assert meaning.replace("`", "").startswith(description), code
