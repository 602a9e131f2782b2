"""A run's page follows its run with few requests, and never passes old data off as new."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.sync_api import expect

from tests.stack.packs import GATED

if TYPE_CHECKING:
    from playwright.sync_api import Response, Route

    from tests.stack.api import Api
    from tests.stack.console.browser import Person

_API: Final = re.compile(r"/v1/task-runner/")
_WAITING: Final = re.compile(r"/runs/[^/]+\?(.*&)?since=")
_WAIT_S: Final = 20  # three requests a minute


def test_a_run_that_waits_costs_three_requests_a_minute(alice: Person, waiting_run: str) -> None:
    """Each request lets the service wait for 20 s. The test makes that 1 s, to see several."""
    asked: list[str] = []

    def wait_for_a_second(route: Route) -> None:
        asked.append(route.request.url)
        parts = urlsplit(route.request.url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        shorter = urlencode(query | ({"wait": "1"} if "since" in query else {}))
        route.continue_(url=parts._replace(query=shorter).geturl())

    alice.page.route(_API, wait_for_a_second)
    alice.go(f"#/runs/{waiting_run}")
    expect(alice.gate(waiting_run)).to_contain_text("Proved for this plan")
    expect(alice.page.get_by_role("log")).to_contain_text("Awaiting approval")
    with alice.page.expect_response(_is_unchanged):
        pass
    asked.clear()
    for _ in range(4):  # the first of them may have been asked for before
        with alice.page.expect_response(_is_unchanged):
            pass
    alice.page.unroute_all()

    queries = [parse_qs(urlsplit(address).query) for address in asked]
    assert len(asked) >= 3
    assert [query.get("wait") for query in queries] == [[str(_WAIT_S)]] * len(asked)
    assert all("since" in query for query in queries)


def _is_unchanged(response: Response) -> bool:
    return response.status == 304


def test_a_change_shows_as_soon_as_the_service_knows_it(alice: Person, operator: Api) -> None:
    """The answer to the request that waits has it, so the page asks for it once."""
    run_id = operator.run(GATED)
    operator.wait(run_id, "waiting")
    alice.go(f"#/runs/{run_id}")
    with alice.page.expect_request(_WAITING) as waiting:
        expect(alice.gate(run_id)).to_be_visible()

    operator("POST", f"runs/{run_id}/cancel")

    title = alice.page.get_by_role("heading", level=1)
    expect(title).to_contain_text("Cancelled")
    answer = waiting.value.response()
    assert answer is not None
    assert answer.status == 200, "it had been answered before the change"
    expect(alice.gate(run_id)).to_be_hidden()
    expect(alice.page.get_by_role("log")).to_contain_text("Run cancelled.")
    expect(alice.page.get_by_text("Final")).to_be_visible()


def test_a_service_that_is_too_busy_to_wait_is_asked_for_changes(
    alice: Person, operator: Api
) -> None:
    run_id = operator.run(GATED)
    operator.wait(run_id, "waiting")
    busy = {"error": {"code": "try_again", "message": "busy", "traceId": "t"}}
    alice.page.route(
        _WAITING, lambda route: route.fulfill(status=503, json=busy, headers={"Retry-After": "1"})
    )
    with alice.page.expect_response(lambda response: response.status == 503):
        alice.go(f"#/runs/{run_id}")
    with alice.page.expect_response(lambda response: response.status == 304):
        expect(alice.page.get_by_text("● Live")).to_be_visible()

    operator("POST", f"runs/{run_id}/cancel")

    expect(alice.page.get_by_role("heading", level=1)).to_contain_text("Cancelled")
    alice.page.unroute_all()


def test_gates_that_could_not_be_read_are_read_again(
    alice: Person, waiting_run: str, operator: Api
) -> None:
    refused = {"error": {"code": "internal_error", "message": "failed", "traceId": "t"}}
    alice.page.route(
        "**/approvals/production", lambda route: route.fulfill(status=500, json=refused), times=1
    )

    alice.go("#/runs")
    alice.go(f"#/runs/{waiting_run}")

    expect(alice.gate(waiting_run)).to_be_visible()
    assert operator.state(waiting_run)["status"] == "waiting"
