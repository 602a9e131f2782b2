"""The keyboard alone is enough, from signing in to a decision and beyond."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from playwright.sync_api import expect

from tests.stack.console.browser import RELEASE

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

    from taskrunner_cli.local import Stack
    from tests.stack.api import Api
    from tests.stack.console.browser import Person

_MOST_STEPS: Final = 30  # of the Tab key to anything on a page
_FOCUSED: Final = """
() => {
  const {activeElement} = document;
  const article = activeElement.closest('article')?.ariaLabel ?? '';
  if (activeElement === document.body) return '';
  return `${activeElement.textContent || activeElement.name || ''} ${article}`.trim();
}
"""


def test_somebody_signs_in_and_approves_with_the_keyboard_alone(
    visitors: BrowserContext, stack: Stack, operator: Api
) -> None:
    run_id = operator.run(RELEASE)
    operator.wait(run_id, "waiting")
    page = visitors.new_page()
    page.goto(f"{stack.console_url}#/runs/{run_id}")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()

    _press_on(page, "Sign in")
    expect(page.locator("input[name=username]")).to_be_visible()
    for name, text in (("username", "bob"), ("password", stack.people["bob"].password)):
        _tab_to(page, name)
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    expect(page.get_by_role("article", name=run_id)).to_be_visible()
    _press_on(page, f"Approve … production of {run_id}")
    expect(page.get_by_role("dialog").get_by_role("textbox")).to_be_focused()
    page.keyboard.type("The tests are green.")
    _press_on(page, "Approve production")

    expect(page.get_by_role("heading", level=1)).to_contain_text("Succeeded")
    expect(page.get_by_role("main")).to_be_focused()  # the gate and its button are gone
    _press_on(page, "Run again …")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.close()


def test_the_skip_link_leads_past_the_pages_to_the_gate_and_escape_back_to_its_button(
    alice: Person, waiting_run: str
) -> None:
    alice.go(f"#/runs/{waiting_run}")
    approve = alice.gate(waiting_run).get_by_role("button", name="Approve …")
    expect(approve).to_be_visible()
    alice.page.get_by_role("link", name="Skip to the content").focus()
    alice.page.keyboard.press("Enter")

    _press_on(alice.page, f"Approve … production of {waiting_run}", most=12)
    expect(alice.page.get_by_role("dialog")).to_be_visible()
    alice.page.keyboard.press("Escape")

    expect(approve).to_be_focused()


def _press_on(page: Page, name: str, most: int = _MOST_STEPS) -> None:
    """Move the focus to a button or link, and press it."""
    _tab_to(page, name, most)
    page.keyboard.press("Enter")


def _tab_to(page: Page, name: str, most: int = _MOST_STEPS) -> None:
    reached = [page.evaluate(_FOCUSED)]
    while reached[-1] != name:
        assert len(reached) <= most, f"{name} is not among {reached[-most:]}"
        page.keyboard.press("Tab")
        reached.append(page.evaluate(_FOCUSED))
