"""A page loads with few requests, none of which is refused when the service has little room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from playwright.sync_api import expect

from tests.stack.console.browser import new_context

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route

    from taskrunner_cli.local import Stack

# The files that the browser did not have yet.
_LOADED: Final = """
() => performance.getEntriesByType('resource')
  .filter((entry) => entry.transferSize > 0)
  .map((entry) => entry.name.split('/').at(-1))
"""


def test_a_first_page_loads_four_files_and_a_second_one_none(
    browser: Browser, stack: Stack
) -> None:
    context = new_context(browser)
    page = context.new_page()

    assert sorted(_load(page, stack)) == ["boot.js", "console.css", "console.js", "icon.svg"]
    assert _load(page, stack) == []
    context.close()


def test_a_page_loads_although_its_files_are_refused_at_first(
    visitors: BrowserContext, stack: Stack
) -> None:
    refused: list[str] = []

    def refuse_twice(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if refused.count(name) < 2:
            refused.append(name)
            route.fulfill(status=429, headers={"Retry-After": "1"})
        else:
            route.continue_()

    page = visitors.new_page()
    page.route("**/console.*", refuse_twice)

    _load(page, stack)

    assert sorted(refused) == ["console.css", "console.css", "console.js", "console.js"]
    page.close()


def _load(page: Page, stack: Stack) -> list[str]:
    """Open the console, and return the files that were loaded for it."""
    page.goto(f"{stack.console_url}")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.wait_for_load_state("networkidle")
    loaded: list[str] = page.evaluate(_LOADED)
    return loaded
