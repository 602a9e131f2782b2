"""Everybody can use the console: with a keyboard, a screen reader, a phone, in light and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.stack.packs import GATED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.stack.console.browser import Person

_PHONE: Any = {"width": 360, "height": 740}
_DESKTOP: Any = {"width": 1280, "height": 900}
_PLACES = (
    "#/approvals",
    "#/runs",
    "#/simulate",
    "#/runs/{waiting}?tab=log",
    "#/runs/{waiting}?tab=timeline",
    "#/runs/{waiting}/steps/build?tab=step",
    "#/runs/{failed}/steps/push?tab=step",
    "#/runs/{failed}?tab=artifacts",
    "#/runs/{failed}?tab=decisions",
    "#/runs/{failed}?tab=plan",
    "#/runs/{failed}?tab=evidence",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    alice: Person, waiting_run: str, failed_run: str, scheme: Literal["light", "dark"]
) -> None:
    alice.page.emulate_media(color_scheme=scheme)
    found = {}
    for template in _PLACES:
        place = template.format(waiting=waiting_run, failed=failed_run)
        alice.go(place)
        _settle(alice)
        found[place] = _violations(alice)
    alice.go(f"#/runs/{waiting_run}")
    alice.gate(waiting_run).get_by_role("button", name="Approve …").click()
    found["the dialog"] = _violations(alice)
    alice.page.keyboard.press("Escape")
    alice.page.emulate_media(color_scheme="light")

    assert {place: problems for place, problems in found.items() if problems} == {}


def test_axe_finds_nothing_in_the_problems_of_a_pack(alice: Person) -> None:
    alice.go("#/simulate")
    alice.page.get_by_label("Pack (YAML)").fill(GATED.replace("uses:", "use:", 1))
    alice.page.get_by_role("button", name="Simulate").click()
    expect(alice.page.get_by_label("Problems")).to_be_visible()

    assert _violations(alice) == []


def test_no_page_is_wider_than_a_phone(
    alice: Person,
    waiting_run: str,
    failed_run: str,
    picture: Callable[[str], Path | None],
) -> None:
    alice.page.set_viewport_size(_PHONE)
    widths = {}
    for template in _PLACES:
        place = template.format(waiting=waiting_run, failed=failed_run)
        alice.go(place)
        _settle(alice)
        widths[place] = alice.page.evaluate("document.scrollingElement.scrollWidth")
    alice.go(f"#/runs/{waiting_run}")
    _settle(alice)
    alice.picture(picture("phone"))
    alice.page.set_viewport_size(_DESKTOP)

    assert {place: width for place, width in widths.items() if width > _PHONE["width"]} == {}


def test_the_keyboard_alone_reaches_and_answers_a_gate(alice: Person, waiting_run: str) -> None:
    alice.go(f"#/runs/{waiting_run}")
    approve = alice.gate(waiting_run).get_by_role("button", name="Approve …")
    expect(approve).to_be_visible()
    alice.page.get_by_role("link", name="Skip to the content").focus()
    alice.page.keyboard.press("Enter")

    reached = []
    for _ in range(12):
        alice.page.keyboard.press("Tab")
        reached.append(alice.page.evaluate("document.activeElement.textContent"))
        if reached[-1] == "Approve …":
            break

    assert reached[-1] == "Approve …"
    alice.page.keyboard.press("Enter")
    expect(alice.page.get_by_role("dialog")).to_be_visible()
    alice.page.keyboard.press("Escape")
    expect(approve).to_be_focused()


def _settle(person: Person) -> None:
    """Wait until the page has its data."""
    expect(person.page.get_by_text("Loading …")).to_have_count(0)
    expect(person.page.get_by_role("heading", level=1)).to_be_visible()


def _violations(person: Person) -> list[str]:
    result = Axe().run(person.page)
    assert result.response["passes"], "axe has checked nothing"
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in result.response["violations"]
        for node in violation["nodes"]
    ]
