"""The real handlers answer every event of events/ as docs/local-invoke.md says.

The events are sent once, in the order of the page's table. All tests below look at the results.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.bootstrap import AwsWorld
from tests.api_schema import assert_conforms
from tests.architecture.events import EventRow, event_rows, shown
from tests.architecture.ports import USED
from tests.architecture.stage import Stage, stage
from tests.template import ROOT, folder, functions

if TYPE_CHECKING:
    from collections.abc import Iterator

Results = tuple[Stage, list[tuple[EventRow, Any]]]


@pytest.fixture(name="results", scope="module")
def _results() -> Iterator[Results]:
    with stage() as deployment:
        yield deployment, [(row, deployment.invoke(row)) for row in event_rows()]


def test_the_page_lists_every_event_and_no_others() -> None:
    files = set((ROOT / "events").glob("*/*.json"))

    assert {row.path for row in event_rows()} == files


def test_every_function_has_events_and_every_folder_a_function() -> None:
    folders = {path.name for path in (ROOT / "events").iterdir()}

    assert folders == {folder(logical_id) for logical_id in functions()}
    assert {row.function for row in event_rows()} == set(functions())


def test_every_event_is_answered_as_the_page_says(results: Results) -> None:
    _, answers = results

    wrong = {
        f"{row.function} {row.case}": (row.answer, shown(answer))
        for row, answer in answers
        if shown(answer) != row.answer
    }
    assert wrong == {}


def test_every_http_response_conforms_to_the_api_document(results: Results) -> None:
    _, answers = results
    over_http = [
        (row, answer)
        for row, answer in answers
        if isinstance(answer, dict) and "statusCode" in answer
    ]

    for row, answer in over_http:
        event = row.event(token="")
        method, path = event["httpMethod"], event["path"]
        assert_conforms(method, path, answer["statusCode"], answer["headers"], answer["body"])
    assert {row.function for row, _ in over_http} == {
        logical_id
        for logical_id, properties in functions().items()
        if any(event["Type"] == "Api" for event in properties.get("Events", {}).values())
    }


def test_no_answer_shows_an_arn_or_a_traceback(results: Results) -> None:
    """A run's state names its execution, and nothing else of the account."""
    _, answers = results

    texts = {
        f"{row.function} {row.case}": re.sub(r'"executionArn": ?"[^"]+"', "", str(answer))
        for row, answer in answers
    }
    revealing = {
        name
        for name, text in texts.items()
        if "Traceback" in text or ("arn:" in text and not name.startswith("AuthorizeFunction"))
    }
    assert revealing == set()


def test_the_template_sets_every_variable_that_a_function_reads(results: Results) -> None:
    deployment, _ = results

    missed = {
        name: environment.missed
        for name, environment in deployment.environments.items()
        if environment.missed
    }
    assert missed == {}


def test_functions_use_exactly_the_ports_of_the_table(results: Results) -> None:
    deployment, _ = results
    ports = {name for name in vars(AwsWorld) if not name.startswith("_")}

    used = {name: ports & vars(world).keys() for name, world in deployment.worlds.items()}
    assert used == {name: expected for name, expected in USED.items() if expected}


def test_an_api_event_has_the_form_of_api_gateway() -> None:
    problems = []
    for row in event_rows():
        event = row.event(token="")
        if "httpMethod" not in event:
            continue
        context, path = event["requestContext"], event["resource"]
        for name, value in (event["pathParameters"] or {}).items():
            path = path.replace(f"{{{name}}}", value).replace(f"{{{name}+}}", value)
        pairs = {
            "path": (event["path"], path),
            "stage path": (context["path"], f"/{context['stage']}{path}"),
            "resource": (context["resourcePath"], event["resource"]),
            "method": (context["httpMethod"], event["httpMethod"]),
            "headers": (
                {name: [value] for name, value in event["headers"].items()},
                event["multiValueHeaders"],
            ),
        }
        problems += [f"{row.path.name}: {part}" for part, (a, b) in pairs.items() if a != b]
    assert problems == []


def test_an_event_contains_only_what_the_authorizer_returns() -> None:
    returned = {
        "principalId",
        "integrationLatency",
        "subject",
        "scopes",
        "tenants",
        "grants",
        "expires",
        "pools",
    }
    contexts = {
        row.path: row.event(token="").get("requestContext", {}).get("authorizer", {})
        for row in event_rows()
    }

    assert {path for path, context in contexts.items() if context.keys() - returned} == set()
