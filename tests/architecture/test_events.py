"""Every event of events/ is answered by its real handler as docs/local-invoke.md says.

The page's table is played once, from top to bottom; the claims below are about what came of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskrunner.bootstrap import AwsWorld
from tests.api_schema import assert_conforms
from tests.architecture.events import Told, shown, told
from tests.architecture.ports import USED
from tests.architecture.stage import Stage, stage
from tests.template import ROOT, folder, functions

if TYPE_CHECKING:
    from collections.abc import Iterator

Played = tuple[Stage, list[tuple[Told, Any]]]


@pytest.fixture(name="played", scope="module")
def _played() -> Iterator[Played]:
    with stage() as made:
        yield made, [(row, made.invoke(row)) for row in told()]


def test_the_page_has_every_event_and_no_other() -> None:
    files = set((ROOT / "events").glob("*/*.json"))

    assert {row.path for row in told()} == files


def test_every_function_has_an_event_and_every_folder_a_function() -> None:
    folders = {path.name for path in (ROOT / "events").iterdir()}

    assert folders == {folder(logical_id) for logical_id in functions()}
    assert {row.function for row in told()} == set(functions())


def test_every_event_is_answered_as_the_page_says(played: Played) -> None:
    _, answers = played

    wrong = {
        f"{row.function} {row.case}": (row.answer, shown(answer))
        for row, answer in answers
        if shown(answer) != row.answer
    }
    assert wrong == {}


def test_every_answer_over_http_is_one_that_the_document_describes(played: Played) -> None:
    _, answers = played
    over_http = [(row, answer) for row, answer in answers if "statusCode" in str(answer)]

    for row, answer in over_http:
        event = row.event(token="")
        method, path = event["httpMethod"], event["path"]
        assert_conforms(method, path, answer["statusCode"], answer["headers"], answer["body"])
    assert {row.function for row, _ in over_http} == {
        logical_id
        for logical_id, properties in functions().items()
        if any(event["Type"] == "Api" for event in properties.get("Events", {}).values())
    }


def test_no_answer_shows_an_arn_or_a_traceback(played: Played) -> None:
    _, answers = played

    said = {f"{row.function} {row.case}": str(answer) for row, answer in answers}
    told_too_much = {
        name
        for name, text in said.items()
        if "Traceback" in text or ("arn:" in text and not name.startswith("AuthorizeFunction"))
    }
    assert told_too_much == set()


def test_a_function_finds_every_variable_it_reads_in_its_own_environment(played: Played) -> None:
    made, _ = played

    missed = {name: one.missed for name, one in made.environments.items() if one.missed}
    assert missed == {}


def test_the_table_of_ports_is_what_the_functions_touch(played: Played) -> None:
    made, _ = played
    known = {name for name in vars(AwsWorld) if not name.startswith("_")}

    touched = {name: known & vars(world).keys() for name, world in made.worlds.items()}
    assert touched == {name: ports for name, ports in USED.items() if ports}


def test_an_api_event_looks_like_api_gateways() -> None:
    problems = []
    for row in told():
        event = row.event(token="")
        if "httpMethod" not in event:
            continue
        context, path = event["requestContext"], event["resource"]
        for name, value in (event["pathParameters"] or {}).items():
            path = path.replace(f"{{{name}}}", value).replace(f"{{{name}+}}", value)
        alike = {
            "path": (event["path"], path),
            "stage path": (context["path"], f"/{context['stage']}{path}"),
            "resource": (context["resourcePath"], event["resource"]),
            "method": (context["httpMethod"], event["httpMethod"]),
            "headers": (
                {name: [value] for name, value in event["headers"].items()},
                event["multiValueHeaders"],
            ),
        }
        problems += [f"{row.path.name}: {what}" for what, (a, b) in alike.items() if a != b]
    assert problems == []


def test_an_event_carries_no_more_than_the_authorizer_gives() -> None:
    given = {
        "principalId",
        "integrationLatency",
        "subject",
        "scopes",
        "tenants",
        "grants",
        "expires",
    }
    contexts = {
        row.path: row.event(token="").get("requestContext", {}).get("authorizer", {})
        for row in told()
    }

    assert {path for path, context in contexts.items() if context.keys() - given} == set()
