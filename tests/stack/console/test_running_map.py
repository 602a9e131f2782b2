"""Somebody looks at a map with many items while it runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import expect

from tests.packs import pack
from tests.stack.console.browser import WIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.stack.api import Api
    from tests.stack.console.browser import Person

_MANY: Final = pack(
    """
    - id: hosts
      map:
        items: {range: {end: 499}}
        maxParallel: 2
        step:
          id: reach
          continueOnError: true
          run: {uses: builtin:assert, with: {that: "{{ item > `1` }}", message: It is down.}}
    """,
    name="reach-hosts",
)


@pytest.fixture(name="large_run", scope="module")
def _large_run(operator: Api) -> Iterator[str]:
    """A run with 500 items, of which the first two fail.

    It would go on for minutes, and cost the stack a processor, so it ends with these tests.
    """
    run_id = operator.run(_MANY)
    yield run_id
    operator("POST", f"runs/{run_id}/cancel")


def test_a_map_of_500_items_shows_counts_and_its_failed_items_first(
    alice: Person, large_run: str, picture: Callable[[str], Path | None]
) -> None:
    alice.go(f"#/runs/{large_run}")
    hosts = alice.page.locator("li.box", has_text="hosts").first
    expect(hosts).to_contain_text("2 failed")
    expect(hosts).to_contain_text(re.compile(r"\d+ not started"))

    hosts.get_by_role("button", name="Open hosts").click()

    items = hosts.locator("li.iteration")
    expect(items).to_have_count(25)
    expect(items.nth(0)).to_contain_text("#0Failed")
    expect(items.nth(1)).to_contain_text("#1Failed")
    alice.picture(picture("run-map"), items.nth(7), width=WIDE)
    hosts.get_by_role("button", name="Show 25 more").click()
    expect(items).to_have_count(50)
    items.nth(0).get_by_role("button", name="Open iteration 0").click()
    items.nth(0).get_by_role("link", name="reach").click()
    expect(alice.page).to_have_url(re.compile(r"/steps/hosts%5B0%5D%3A%3Areach$"))
    expect(alice.page.get_by_role("log")).to_contain_text("It is down.")


def test_a_link_to_an_item_opens_the_blocks_around_it(alice: Person, large_run: str) -> None:
    alice.go("#/runs")
    alice.go(f"#/runs/{large_run}/steps/hosts%5B499%5D%3A%3Areach")

    expect(alice.page.locator("li.selected")).to_contain_text("reach")
