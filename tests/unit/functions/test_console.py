"""The console's function serves its page and files, and lets the page do nothing else."""

from __future__ import annotations

import html
import json
import re
from copy import deepcopy
from typing import Any

import pytest

from functions.console.app import RELEASE, handler
from tests.api_schema import assert_conforms
from tests.template import ROOT

STATIC = ROOT / "functions/console/static"
PAGE = json.loads((ROOT / "events/console/page.json").read_text(encoding="utf-8"))
SCRIPTS = sorted(STATIC.glob("*.js"))


def get(resource: str = "/console", headers: dict[str, str] | None = None, **path: str) -> Any:  # noqa: ANN401
    event = deepcopy(PAGE)
    address = resource.format(**path)
    event |= {"resource": resource, "path": address, "pathParameters": path or None}
    event["headers"] |= headers or {}
    event["requestContext"]["path"] = f"/live{address}"
    answer = handler(event, None)
    assert_conforms("GET", address, answer["statusCode"], answer["headers"], answer["body"])
    return answer


def get_file(name: str, release: str = RELEASE) -> Any:  # noqa: ANN401
    return get("/console/{release}/{file}", release=release, file=name)


def settings(page: str) -> dict[str, Any]:
    match = re.search(r'name="taskrunner" content="([^"]*)"', page)
    assert match
    found: dict[str, Any] = json.loads(html.unescape(match[1]))
    return found


def test_the_policy_allows_the_page_only_its_own_files_and_the_issuer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOKEN_URL", "https://login.example.com/oauth2/token")

    policy = get()["headers"]["Content-Security-Policy"].split("; ")

    assert policy == [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self' https://login.example.com",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ]


def test_every_answer_forbids_sniffing_and_sends_no_referrer() -> None:
    for answer in (get(), get_file("console.js"), get_file("none.js")):
        assert answer["headers"]["X-Content-Type-Options"] == "nosniff"
        assert answer["headers"]["Referrer-Policy"] == "no-referrer"


def test_the_page_names_paths_below_the_stage_and_the_client_of_the_stage() -> None:
    page = get()["body"]

    found = settings(page)
    assert found["apiPath"] == "/live"
    assert found["consolePath"] == "/live/console"
    assert found["clientId"] == PAGE["stageVariables"]["ConsoleClientId"]
    assert f'src="/live/console/{RELEASE}/boot.js"' in page


def test_a_deployment_without_a_client_has_an_empty_one() -> None:
    event = PAGE | {"stageVariables": {"ConsoleClientId": "none"}}

    assert settings(handler(event, None)["body"])["clientId"] == ""


def test_a_hostile_path_stays_text() -> None:
    event = deepcopy(PAGE)
    event["requestContext"]["path"] = '/"><script>/console'

    assert "<script>/" not in handler(event, None)["body"]


def test_the_page_is_revalidated_by_its_etag() -> None:
    etag = get()["headers"]["ETag"]

    assert get(headers={"If-None-Match": f'"other", W/{etag}'})["statusCode"] == 304
    assert get(headers={"If-None-Match": "*"})["statusCode"] == 304
    assert get(headers={"If-None-Match": '"other"'})["statusCode"] == 200


def test_a_page_needs_four_files_which_are_kept_for_a_year() -> None:
    names = settings(get()["body"])["files"]

    assert names == ["console.js", "console.css"]
    for name in [*names, "boot.js", "icon.svg"]:
        answer = get_file(name)
        assert answer["statusCode"] == 200
        assert answer["headers"]["Cache-Control"] == "public, max-age=31536000, immutable"


def test_every_script_is_in_one_of_the_files() -> None:
    served = get_file("boot.js")["body"] + get_file("console.js")["body"]
    first_comments = {
        path.name: path.read_text(encoding="utf-8").partition("*/")[0] for path in SCRIPTS
    }

    assert [name for name, comment in first_comments.items() if comment not in served] == []


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("console.js", "another"),
        ("main.js", RELEASE),  # a part of console.js
        ("../app.py", RELEASE),
        ("app.py", RELEASE),
        ("index.html", RELEASE),
    ],
)
def test_another_file_or_release_is_not_found(name: str, release: str) -> None:
    event = deepcopy(PAGE)
    event |= {"resource": "/console/{release}/{file}"}
    event["pathParameters"] = {"release": release, "file": name}

    assert handler(event, None)["statusCode"] == 404


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_makes_markup_or_code_of_text(path: Any) -> None:  # noqa: ANN401
    text = path.read_text(encoding="utf-8")
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|localStorage"
    )

    assert re.findall(forbidden, text) == []


def test_the_dark_palette_changes_the_light_ones_colours_alone() -> None:
    """So the console's tests look for faults beside those of colours in the light one alone."""
    style = (STATIC / "console.css").read_text(encoding="utf-8")
    light, dark = (
        set(re.findall(r"^ +(--[\w-]+): #[0-9a-f]+;$", block, re.MULTILINE))
        for block in re.findall(r":root {\n(.*?)\n *}", style, re.DOTALL)
    )
    [of_dark] = re.findall(r"@media \(prefers-color-scheme: dark\) {\n(.*?)\n}", style, re.DOTALL)

    assert light == dark
    assert len(of_dark.splitlines()) == len(dark) + 2, "more than a :root with colours"
    assert "color-scheme" not in "".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
