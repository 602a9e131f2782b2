"""People sign in on the issuer's page, and their token stays in the page's memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.stack.console.browser import Person

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Route

    from taskrunner_cli.local import Stack


def test_no_storage_cookie_or_address_has_the_token(alice: Person) -> None:
    stored = alice.page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    )

    assert "eyJ" not in stored
    assert "code=" not in stored
    assert "verifier" not in stored


def test_a_deep_link_leads_to_its_step_after_signing_in(
    visitors: BrowserContext, stack: Stack, failed_run: str
) -> None:
    alice = Person.at(visitors, stack, "alice", f"#/runs/{failed_run}/steps/push?tab=step")

    expect(alice.page.get_by_role("heading", name="push")).to_be_visible()
    expect(alice.page.get_by_label("Failures")).to_contain_text("the disk is full")
    alice.page.close()


def test_a_person_of_several_tenants_chooses_one(visitors: BrowserContext, stack: Stack) -> None:
    refusal = {"error": {"code": "invalid_request", "message": "choose X-StellaOps-Tenant"}}

    def ask(route: Route) -> None:
        if "x-stellaops-tenant" in route.request.headers:
            route.continue_()
        else:
            route.fulfill(status=400, json=refusal)

    alice = Person.at(visitors, stack, "alice", "#/runs")
    alice.page.route("**/v1/task-runner/approvals?**", ask)
    alice.go("#/approvals")
    alice.page.get_by_label("Tenant").fill("tenant-prod")
    alice.page.get_by_role("button", name="Choose").click()

    expect(alice.page.get_by_text("● Live")).to_be_visible()
    alice.page.get_by_label("Tenant").fill("tenant-dev")
    alice.page.get_by_role("button", name="Choose").click()
    expect(alice.page.get_by_role("alert")).to_contain_text("tenant-dev")
    alice.page.unroute_all()
    alice.page.get_by_label("Tenant").fill("")
    alice.page.get_by_role("button", name="Choose").click()
    expect(alice.page.get_by_text("● Live")).to_be_visible()
    alice.page.close()


def test_an_answer_to_another_sign_in_is_refused(visitors: BrowserContext, stack: Stack) -> None:
    page = visitors.new_page()
    page.goto(f"{stack.console_url}?code=stolen&state=somebody-elses")

    expect(page.get_by_role("alert")).to_contain_text("not for this tab")
    assert "stolen" not in page.url
    page.close()


def test_an_expired_token_asks_to_sign_in_again_and_keeps_the_place(
    visitors: BrowserContext, stack: Stack, waiting_run: str
) -> None:
    place = f"#/runs/{waiting_run}/steps/review?tab=timeline"
    alice = Person.at(visitors, stack, "alice", place)
    expect(alice.page.get_by_role("heading", name=waiting_run)).to_be_visible()

    def expire(route: Route) -> None:
        bad = {**route.request.headers, "authorization": "Bearer expired"}
        route.continue_(headers=bad)

    alice.page.route("**/v1/task-runner/**", expire)
    again = alice.page.get_by_role("button", name="Sign in again")
    expect(again).to_be_visible()
    expect(alice.page.get_by_role("heading", name=waiting_run)).to_be_visible()
    alice.page.unroute("**/v1/task-runner/**")
    again.click()
    alice.enter_password()

    expect(alice.page).to_have_url(re.compile(f"{re.escape(place)}$"))
    expect(alice.page.get_by_text("● Live")).to_be_visible()
    alice.page.close()
